package samplers

import "math/rand/v2"

// FullBatch takes all training nodes every time. Cost O(V+E) a subgraph.
type FullBatch struct {
	train []int32
}

func init() {
	Register(Info{
		Name:    "full_batch",
		Doc:     "all training nodes, every time",
		Factory: newFullBatch,
	})
}

func newFullBatch(env Env, p Params) (Sampler, error) {
	if err := p.Decode(&struct{}{}); err != nil {
		return nil, err
	}
	return &FullBatch{train: env.Train}, nil
}

// Budget returns the number of training nodes.
func (s *FullBatch) Budget() int { return len(s.train) }

// SampleNodes appends all training nodes.
func (s *FullBatch) SampleNodes(_ *rand.Rand, _ *Scratch, dst []int32) []int32 {
	return append(dst, s.train...)
}

// Deterministic reports true: all coefficients are known without counting.
func (s *FullBatch) Deterministic() bool { return true }
