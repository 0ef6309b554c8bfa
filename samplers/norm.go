package samplers

// Norm holds GraphSAINT's estimated coefficients (arXiv:1907.04931, section 3.2).
type Norm struct {
	Loss      []float32 // lambda_v, one per node; 0 outside Train
	Aggr      []float32 // alpha_e, one per edge of the training graph
	Subgraphs int       // S: how many were counted
}
