package samplers

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// RandomWalk draws Roots training nodes uniformly with replacement, walks Depth uniform
// steps from each and takes every node visited (arXiv:1907.04931, section 3.4). A walk
// stays where a node has no neighbours. Cost O(1) a step.
type RandomWalk struct {
	Roots int // num_root
	Depth int // depth

	env Env
}

func init() {
	Register(Info{
		Name:    "rw",
		Doc:     "num_root uniform roots with replacement and all nodes of a uniform walk of depth steps from each",
		Keys:    "num_root, depth",
		Factory: newRandomWalk,
	})
}

func newRandomWalk(env Env, p Params) (Sampler, error) {
	var key struct {
		NumRoot *int64 `yaml:"num_root"`
		Depth   *int64 `yaml:"depth"`
	}
	if err := p.Decode(&key); err != nil {
		return nil, err
	}
	roots, err := positive("num_root", key.NumRoot, maxDraws)
	if err != nil {
		return nil, err
	}
	depth, err := positive("depth", key.Depth, maxDraws)
	if err != nil {
		return nil, err
	}
	if roots*(depth+1) > maxDraws {
		return nil, fmt.Errorf("num_root %d times depth+1 %d is %d, want at most %d", roots, depth+1, roots*(depth+1), maxDraws)
	}
	return &RandomWalk{Roots: int(roots), Depth: int(depth), env: env}, nil
}

// Budget returns num_root*depth.
func (s *RandomWalk) Budget() int { return s.Roots * s.Depth }

// SampleNodes appends the roots, then where all walks are after one step, after two, and so
// on: walks are independent, so that the misses of one step overlap.
func (s *RandomWalk) SampleNodes(r *rand.Rand, _ *Scratch, dst []int32) []int32 {
	dst = slices.Grow(dst, s.Roots*(s.Depth+1))
	dst = appendUniform(r, s.env.Train, s.Roots, dst)
	for range s.Depth {
		last := len(dst)
		dst = dst[:last+s.Roots]
		steps(r, s.env.Graph, dst[last-s.Roots:last], dst[last:])
	}
	return dst
}
