package synth

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/saint-gnn/saint/formats"
)

const (
	// edgeBlock is the number of edges that share a stream in the rounds after the first.
	edgeBlock = 1 << 14
	// maxRounds bounds the rounds that replace duplicate edges.
	maxRounds = 200
	// noEdge marks a draw that gave no edge; it sorts behind all edges.
	noEdge = ^uint64(0)
)

// urn holds every node as often as it has stubs, grouped so that the nodes that may be
// drawn together are neighbours: a draw by expected degree is one uniform index.
type urn struct {
	slots []int32
	group []int32 // of each node
	start []int64 // first slot of each group, and the end
	parts int     // groups are part*communities + community
}

// newUrn groups by community, and by role first if edges must not cross roles.
func newUrn(p *Preset, n *nodes) *urn {
	u := &urn{group: n.community, parts: 1}
	if p.SplitEdges {
		u.parts = 3
		u.group = make([]int32, p.Nodes)
		for v := range u.group {
			u.group[v] = int32(n.role[v])*int32(p.Communities) + n.community[v]
		}
	}
	u.start = make([]int64, u.parts*p.Communities+1)
	for v, s := range n.stubs {
		u.start[u.group[v]+1] += int64(s)
	}
	for g := 1; g < len(u.start); g++ {
		u.start[g] += u.start[g-1]
	}
	u.slots = make([]int32, u.start[len(u.start)-1])
	next := slices.Clone(u.start)
	for v, s := range n.stubs {
		at := next[u.group[v]]
		next[u.group[v]] += int64(s)
		for i := range int64(s) {
			u.slots[at+i] = int32(v)
		}
	}
	return u
}

// partner draws the other end of an edge of v and returns the edge as a key, smaller end
// in the upper half; noEdge if the draw met v itself too often.
func (u *urn) partner(r *stream, v int32, within float64) uint64 {
	g := u.group[v]
	lo, hi := u.start[g], u.start[g+1]
	if !r.chance(within) {
		k := int32((len(u.start) - 1) / u.parts)
		part := g / k
		lo, hi = u.start[part*k], u.start[(part+1)*k]
	}
	for range 4 {
		if w := u.slots[lo+r.below(hi-lo)]; w != v {
			return uint64(min(v, w))<<32 | uint64(max(v, w))
		}
	}
	return noEdge
}

// newEdges draws the edges, sorted and without duplicates. Every node starts MinEdges of
// them and its share of the rest; duplicates are replaced by edges between drawn nodes
// until the count is exact.
func newEdges(ctx context.Context, p *Preset, seed uint64, n *nodes, report func(done int64)) ([]uint64, error) {
	u := newUrn(p, n)
	keys := make([]uint64, p.Edges)
	if err := firstRound(ctx, p, seed, n, u, keys); err != nil {
		return nil, err
	}
	keys, err := sortUnique(ctx, keys)
	if err != nil {
		return nil, err
	}
	for round := 1; round <= maxRounds && int64(len(keys)) < p.Edges; round++ {
		report(int64(len(keys)))
		more := make([]uint64, p.Edges-int64(len(keys)))
		err := forBlocks(ctx, len(more), edgeBlock, func(block, lo, hi int) {
			r := newStream(seed, stageEdges+stage(round), uint64(block))
			for i := lo; i < hi; i++ {
				more[i] = u.partner(r, u.slots[r.below(int64(len(u.slots)))], p.Within)
			}
		})
		if err != nil {
			return nil, err
		}
		if more, err = sortUnique(ctx, more); err != nil {
			return nil, err
		}
		before, missing := len(keys), p.Edges-int64(len(keys))
		keys = merge(keys, more)
		if missing > p.Edges/100 && int64(len(keys)-before) < missing/50 {
			break // the places where edges may go are full
		}
	}
	if short := p.Edges - int64(len(keys)); short > p.Edges/100 {
		return nil, fmt.Errorf("only %d of %d edges fit: communities are too small or degrees too uneven", len(keys), p.Edges)
	}
	report(p.Edges)
	return keys, nil
}

// firstRound fills keys with the edges that each node starts.
func firstRound(ctx context.Context, p *Preset, seed uint64, n *nodes, u *urn, keys []uint64) error {
	base := min(int64(p.MinEdges), p.Edges/int64(p.Nodes))
	rest := p.Edges - base*int64(p.Nodes)
	before := make([]int64, p.Nodes+1) // stubs of the nodes before
	for v, s := range n.stubs {
		before[v+1] = before[v] + int64(s)
	}
	total := before[p.Nodes]
	return forBlocks(ctx, p.Nodes, nodeBlock, func(block, lo, hi int) {
		r := newStream(seed, stageEdges, uint64(block))
		for v := lo; v < hi; v++ {
			from := base*int64(v) + share(before[v], rest, total)
			to := base*int64(v+1) + share(before[v+1], rest, total)
			for i := from; i < to; i++ {
				keys[i] = u.partner(r, int32(v), p.Within)
			}
		}
	})
}

// sortBuckets is the number of parts that are sorted side by side.
const sortBuckets = 256

// sortUnique returns the distinct edges of keys in ascending order; keys is overwritten.
func sortUnique(ctx context.Context, keys []uint64) ([]uint64, error) {
	if len(keys) > 1<<16 {
		var err error
		if keys, err = sortLarge(ctx, keys); err != nil {
			return nil, err
		}
	} else {
		slices.Sort(keys)
	}
	keys = slices.Compact(keys)
	if len(keys) > 0 && keys[len(keys)-1] == noEdge {
		keys = keys[:len(keys)-1]
	}
	return keys, nil
}

// sortLarge distributes keys into buckets by their smaller end and sorts the buckets in
// parallel.
func sortLarge(ctx context.Context, keys []uint64) ([]uint64, error) {
	top := uint64(1)
	for _, k := range keys {
		if k != noEdge {
			top = max(top, k>>32+1)
		}
	}
	bucket := func(k uint64) int { return int(min((k>>32)*sortBuckets/top, sortBuckets)) }
	var end [sortBuckets + 2]int
	for _, k := range keys {
		end[bucket(k)+1]++
	}
	for b := 1; b < len(end); b++ {
		end[b] += end[b-1]
	}
	start := end
	sorted := make([]uint64, len(keys))
	for _, k := range keys {
		b := bucket(k)
		sorted[start[b]] = k
		start[b]++
	}
	err := forBlocks(ctx, sortBuckets, 1, func(b, _, _ int) {
		slices.Sort(sorted[end[b]:end[b+1]])
	})
	return sorted, err
}

// merge adds the keys of more that keys lacks. Both are ascending without duplicates; keys
// has the capacity.
func merge(keys, more []uint64) []uint64 {
	fresh := more[:0]
	i := 0
	for _, k := range more {
		var found bool
		if i, found = seek(keys, i, k); !found {
			fresh = append(fresh, k)
		}
	}
	// From the back, so that no key is overwritten before it has moved.
	old, n := len(keys)-1, len(keys)+len(fresh)
	keys = keys[:n]
	for at := n - 1; len(fresh) > 0; at-- {
		if last := fresh[len(fresh)-1]; old < 0 || cmp.Compare(last, keys[old]) > 0 {
			keys[at] = last
			fresh = fresh[:len(fresh)-1]
		} else {
			keys[at] = keys[old]
			old--
		}
	}
	return keys
}

// seek returns the first position from i on whose key is not below k, and whether it is k.
// Steps double, so that a few keys are found without reading all.
func seek(keys []uint64, i int, k uint64) (int, bool) {
	step := 1
	for i+step < len(keys) && keys[i+step] < k {
		i += step
		step *= 2
	}
	at, found := slices.BinarySearch(keys[i:min(i+step+1, len(keys))], k)
	return i + at, found
}

// newGraph turns sorted edges into a symmetric adjacency. Edges sorted by their smaller
// end fill every row in ascending order: first the smaller neighbours, then the larger.
func newGraph(numNodes int, keys []uint64) *formats.Graph {
	g := &formats.Graph{Indptr: make([]int64, numNodes+1), Indices: make([]int32, 2*len(keys))}
	for _, k := range keys {
		g.Indptr[k>>32+1]++
		g.Indptr[k&0xffffffff+1]++
	}
	for v := range numNodes {
		g.Indptr[v+1] += g.Indptr[v]
	}
	next := slices.Clone(g.Indptr[:numNodes])
	for _, k := range keys {
		lo, hi := int32(k>>32), int32(k&0xffffffff)
		g.Indices[next[lo]] = hi
		next[lo]++
		g.Indices[next[hi]] = lo
		next[hi]++
	}
	return g
}
