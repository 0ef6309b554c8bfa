package samplers

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/induce"
)

// defaultDegClip is the degree from which on all frontier nodes are equally likely.
const defaultDegClip = 100000

// MultiDimRandomWalk is frontier sampling (arXiv:1810.11899, algorithm 2): a frontier of
// Frontier nodes drawn uniformly with replacement; Draws-Frontier times a frontier node,
// drawn with probability proportional to min(deg, DegClip), is replaced by a uniform
// neighbour. The initial frontier and all replacements are taken. Nodes without
// neighbours are never popped; a frontier without edges ends the draw early.
// Cost O(1) a draw with AVX-512 and a frontier of up to 4096 nodes, else O(log Frontier).
type MultiDimRandomWalk struct {
	Draws    int // size_subgraph
	Frontier int // size_frontier
	DegClip  int // deg_clip

	env    Env
	blocks bool // the frontier and its weights fit an induce.Frontier
}

func init() {
	Register(Info{
		Name: "mrw",
		Doc: "size_frontier uniform nodes with replacement; then, until size_subgraph, a frontier node is popped " +
			"with probability proportional to min(degree, deg_clip) and replaced by a uniform neighbour",
		Keys:    "size_subgraph, size_frontier, deg_clip",
		Factory: newMultiDimRandomWalk,
	})
}

func newMultiDimRandomWalk(env Env, p Params) (Sampler, error) {
	var key struct {
		SizeSubgraph *int64 `yaml:"size_subgraph"`
		SizeFrontier *int64 `yaml:"size_frontier"`
		DegClip      *int64 `yaml:"deg_clip"`
	}
	if err := p.Decode(&key); err != nil {
		return nil, err
	}
	draws, err := positive("size_subgraph", key.SizeSubgraph, maxDraws)
	if err != nil {
		return nil, err
	}
	frontier, err := positive("size_frontier", key.SizeFrontier, maxDraws)
	if err != nil {
		return nil, err
	}
	if frontier > draws {
		return nil, fmt.Errorf("size_frontier is %d, want at most size_subgraph, which is %d", frontier, draws)
	}
	clip := int64(defaultDegClip)
	if key.DegClip != nil {
		if clip, err = positive("deg_clip", key.DegClip, 1<<31); err != nil {
			return nil, err
		}
	}
	s := &MultiDimRandomWalk{Draws: int(draws), Frontier: int(frontier), DegClip: int(clip), env: env}
	most := int64(0)
	for v := range int32(env.Graph.NumNodes()) {
		most = max(most, s.weight(v))
	}
	s.blocks = frontier <= induce.MaxFrontier && frontier*most < 1<<32
	return s, nil
}

// Budget returns size_subgraph.
func (s *MultiDimRandomWalk) Budget() int { return s.Draws }

// SampleNodes appends the initial frontier and the replacements in the order of their draw.
func (s *MultiDimRandomWalk) SampleNodes(r *rand.Rand, sc *Scratch, dst []int32) []int32 {
	dst = slices.Grow(dst, s.Draws)
	dst = appendUniform(r, s.env.Train, s.Frontier, dst)
	if s.blocks && induce.CanPop() {
		return s.popBlocks(r, sc, dst)
	}
	return s.popTree(r, sc, dst)
}

// popBlocks makes the replacements with sums in blocks of 64.
func (s *MultiDimRandomWalk) popBlocks(r *rand.Rand, sc *Scratch, dst []int32) []int32 {
	f := &sc.frontier
	f.Reset(s.env.Graph.Indptr, s.env.Graph.Indices, s.DegClip, dst[len(dst)-s.Frontier:])
	var values [2 * block]uint64
	have := 0 // values drawn and not used
	for left := s.Draws - s.Frontier; left > 0 && f.Total() > 0; {
		n := min(left, block)
		for ; have < 2*n; have++ {
			values[have] = r.Uint64()
		}
		done := f.Pop(values[:2*n], dst[len(dst):len(dst)+n])
		dst = dst[:len(dst)+done]
		left -= done
		have = copy(values[:], values[2*done:have])
		if done == n || f.Total() == 0 {
			continue
		}
		// A value has to be drawn anew, once in 2^30 times or less.
		next := func() uint64 {
			if have == 0 {
				return r.Uint64()
			}
			x := values[0]
			have = copy(values[:], values[1:have])
			return x
		}
		item, degree := f.Find(belowOf(next, f.Total()))
		dst = append(dst, f.Replace(item, belowOf(next, degree)))
		left--
	}
	return dst
}

// belowOf is below with values from elsewhere.
func belowOf(next func() uint64, n uint64) uint64 {
	if n&(n-1) == 0 {
		return next() & (n - 1)
	}
	hi, lo := bits.Mul64(next(), n)
	for least := -n % n; lo < least; {
		hi, lo = bits.Mul64(next(), n)
	}
	return hi
}

// popTree makes the replacements with a tree of sums.
func (s *MultiDimRandomWalk) popTree(r *rand.Rand, sc *Scratch, dst []int32) []int32 {
	frontier := sc.Int32s(0, s.Frontier)
	copy(frontier, dst[len(dst)-s.Frontier:])
	size := treeSize(s.Frontier)
	tree := prefixTree(sc.Int64s(0, size+1))
	total := int64(0)
	for i, v := range frontier {
		tree[i+1] = s.weight(v)
		total += tree[i+1]
	}
	clear(tree[s.Frontier+1:])
	tree.build()
	for range s.Draws - s.Frontier {
		if total == 0 {
			break
		}
		i := tree.find(int64(r.Uint64N(uint64(total))))
		old := frontier[i]
		v := step(r, s.env.Graph, old)
		frontier[i] = v
		delta := s.weight(v) - s.weight(old)
		tree.add(i, delta)
		total += delta
		dst = append(dst, v)
	}
	return dst
}

// step returns a uniform neighbour of v, or v if it has none.
func step(r *rand.Rand, g *formats.Graph, v int32) int32 {
	lo, hi := g.Indptr[v], g.Indptr[v+1]
	if lo == hi {
		return v
	}
	return g.Indices[lo+int64(below(r, uint64(hi-lo)))]
}

func (s *MultiDimRandomWalk) weight(v int32) int64 {
	return int64(min(s.env.Graph.Degree(v), s.DegClip))
}

// prefixTree is a Fenwick tree over a power of two of items: entry i holds the sum of the
// i&-i weights that end with the i-th, counted from 1. Entry 0 is unused.
type prefixTree []int64

// treeSize returns the number of items of a tree for n.
func treeSize(n int) int { return 1 << bits.Len(uint(n-1)) }

// build turns weights into sums. Cost O(len).
func (t prefixTree) build() {
	for i := 1; i < len(t); i++ {
		if up := i + i&-i; up < len(t) {
			t[up] += t[i]
		}
	}
}

// find returns the item, counted from 0, that holds x when the weights are laid end to end;
// 0 <= x < sum of the weights. It never returns an item of weight 0. Cost O(log len).
func (t prefixTree) find(x int64) int {
	pos := 0
	for half := (len(t) - 1) / 2; half > 0; half /= 2 {
		// Every other step goes right at random: a mask costs less than a missed branch.
		rest := x - t[pos+half]
		right := ^(rest >> 63)
		pos += half & int(right)
		x += (rest - x) & right
	}
	return pos
}

// add adds delta to the weight of an item counted from 0. Cost O(log len).
func (t prefixTree) add(item int, delta int64) {
	for i := item + 1; i < len(t); i += i & -i {
		t[i] += delta
	}
}
