package trainconfig

// FeaturesOnly returns a copy in which every layer has order 0: the same network and
// training without the neighbours, against which the use of the edges can be measured. It
// shares the sections of c, so the two must not be used at the same time.
func (c *Config) FeaturesOnly() *Config {
	f := *c
	f.Network.Arch = make([]int, len(c.Network.Arch))
	f.Phases = append([]Phase(nil), c.Phases...)
	return &f
}
