package formats

// Subgraph is a sampled graph in local ids 0…n-1. Its slices are reused between
// batches: whoever wants to keep one copies it.
type Subgraph struct {
	Nodes    []int32   // n global ids, ascending, unique
	Indptr   []int32   // n+1 row starts
	Indices  []int32   // m local column ids, ascending within a row
	EdgeIDs  []int64   // m positions in the training graph's Indices
	AdjNorm  []float32 // m values: alpha_e * w_e / deg_train(v), the aggregation weights
	LossNorm []float32 // n loss weights lambda_v
}

// NumNodes returns n.
func (s *Subgraph) NumNodes() int { return len(s.Nodes) }

// NumEdges returns m.
func (s *Subgraph) NumEdges() int { return len(s.Indices) }
