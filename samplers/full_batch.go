package samplers

import "math/rand/v2"

// FullBatch takes all training nodes every time, and the nodes with neighbours where the graph has
// edges beyond the training nodes. Cost O(V+E) a subgraph.
type FullBatch struct {
	nodes []int32
}

func init() {
	Register(Info{
		Name:    "full_batch",
		Doc:     "all training nodes, every time; in transductive training all nodes with neighbours",
		Factory: newFullBatch,
	})
}

func newFullBatch(env Env, p Params) (Sampler, error) {
	if err := p.Decode(&struct{}{}); err != nil {
		return nil, err
	}
	return &FullBatch{nodes: withNeighbors(env)}, nil
}

// withNeighbors returns the training nodes and those that have neighbours.
func withNeighbors(env Env) []int32 {
	others := 0
	train := env.Train
	for v := range int32(env.Graph.NumNodes()) {
		if len(train) > 0 && train[0] == v {
			train = train[1:]
		} else if env.Graph.Degree(v) > 0 {
			others++
		}
	}
	if others == 0 {
		return env.Train
	}
	nodes := make([]int32, 0, len(env.Train)+others)
	train = env.Train
	for v := range int32(env.Graph.NumNodes()) {
		trains := len(train) > 0 && train[0] == v
		if trains {
			train = train[1:]
		}
		if trains || env.Graph.Degree(v) > 0 {
			nodes = append(nodes, v)
		}
	}
	return nodes
}

// Budget returns the number of nodes.
func (s *FullBatch) Budget() int { return len(s.nodes) }

// SampleNodes appends all nodes.
func (s *FullBatch) SampleNodes(_ *rand.Rand, _ *Scratch, dst []int32) []int32 {
	return append(dst, s.nodes...)
}

// Deterministic reports true: all coefficients are known without counting.
func (s *FullBatch) Deterministic() bool { return true }
