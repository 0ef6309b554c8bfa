package samplers

import (
	"math/rand/v2"
	"slices"
)

// Node draws Draws nodes with replacement, P(v) proportional to the degree of v in the
// training graph (arXiv:1907.04931, section 3.4). The law is exact: a node is the row of a
// uniform edge position. Cost O(1) a draw; 8 bytes a node, shared by all workers.
type Node struct {
	Draws int // size_subgraph

	rows  *rowIndex
	edges uint64
}

func init() {
	Register(Info{
		Name:    "node",
		Doc:     "size_subgraph nodes with replacement, each with probability proportional to its degree",
		Keys:    "size_subgraph",
		Factory: newNode,
	})
}

func newNode(env Env, p Params) (Sampler, error) {
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
	if env.Graph.NumEdges() == 0 {
		return nil, errNoEdges
	}
	return &Node{Draws: int(draws), rows: newRowIndex(env.Graph.Indptr), edges: uint64(env.Graph.NumEdges())}, nil
}

// Budget returns size_subgraph.
func (s *Node) Budget() int { return s.Draws }

// SampleNodes appends size_subgraph nodes.
func (s *Node) SampleNodes(r *rand.Rand, _ *Scratch, dst []int32) []int32 {
	dst = slices.Grow(dst, s.Draws)
	var edges [block]int64
	for left := s.Draws; left > 0; {
		k := min(block, left)
		for i := range k {
			edges[i] = int64(below(r, s.edges))
		}
		dst = s.rows.append(dst, edges[:k])
		left -= k
	}
	return dst
}
