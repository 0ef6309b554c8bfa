package formats

// RawDataset is a data set before preparation: what a data folder holds or a generator
// makes. Prepare turns it into a Dataset; saintdir writes it to disk. Both ways give the
// same Dataset, bit for bit.
type RawDataset struct {
	Name        string
	Full, Train *Graph
	Features    []float32 // NumNodes×Dim, row-major, not standardised
	Dim         int
	Labels      Labels

	TrainNodes, ValNodes, TestNodes []int32 // ascending, disjoint
}
