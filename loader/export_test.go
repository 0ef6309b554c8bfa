package loader

// Indices lists at most n indices that a pipeline of c would make.
func (c Config) Indices(n int) []uint64 {
	c.Shards = max(1, c.Shards)
	var got []uint64
	for i := range c.indices {
		if len(got) == n {
			break
		}
		got = append(got, i)
	}
	return got
}
