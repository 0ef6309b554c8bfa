package samplers

import (
	"math/rand/v2"
	"slices"
)

// VanillaNode draws Draws training nodes uniformly with replacement: the simplest sampler
// there is, and the one to copy for a sampler of one's own. Cost O(1) a draw.
type VanillaNode struct {
	Draws int // size_subgraph

	train []int32
	nodes int // of the graph
}

func init() {
	Register(Info{
		Name:    "vanilla_node_python",
		Doc:     "size_subgraph training nodes with replacement, uniformly",
		Keys:    "size_subgraph",
		Factory: newVanillaNode,
	})
}

func newVanillaNode(env Env, p Params) (Sampler, error) {
	var key struct {
		SizeSubgraph *int64 `yaml:"size_subgraph"`
	}
	if err := p.Decode(&key); err != nil {
		return nil, err
	}
	draws, err := positive("size_subgraph", key.SizeSubgraph, maxDraws)
	if err != nil {
		return nil, err
	}
	return &VanillaNode{Draws: int(draws), train: env.Train, nodes: env.Graph.NumNodes()}, nil
}

// Budget returns size_subgraph.
func (s *VanillaNode) Budget() int { return s.Draws }

// SampleNodes appends size_subgraph nodes.
func (s *VanillaNode) SampleNodes(r *rand.Rand, _ *Scratch, dst []int32) []int32 {
	return appendUniform(r, s.train, s.Draws, slices.Grow(dst, s.Draws))
}
