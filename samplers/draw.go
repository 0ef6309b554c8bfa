package samplers

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/rng"
)

// Stream returns the random stream of subgraph index of a phase. Counting for the
// normalisation and training read the same streams. [Scratch.Stream] does the same
// without allocating.
func Stream(seed uint64, phase int, index uint64) *rand.Rand {
	return rng.New(seed, rng.Sample, phase, index)
}

// Draw draws one subgraph into dst: it fills Nodes, Indptr, Indices and EdgeIDs and gives
// AdjNorm and LossNorm their lengths; [Norm.Apply] fills those. The result depends on the
// sampler, the graph and the state of r alone. dst's slices are reused; see [Scratch] for
// where larger ones come from. Cost: the sampler's own plus the degrees of the drawn nodes.
//
// The error names an id outside the graph, a subgraph of more than 2^31-1 edges, or the
// first row that a [SubgraphSampler] got wrong.
func Draw(s Sampler, env Env, r *rand.Rand, sc *Scratch, dst *formats.Subgraph) error {
	if ss, ok := s.(SubgraphSampler); ok {
		if err := ss.SampleSubgraph(r, sc, dst); err != nil {
			return err
		}
		if err := checkOwn(env.Graph, dst); err != nil {
			return err
		}
		dst.LossNorm = resize(dst.LossNorm, dst.NumNodes())
		dst.AdjNorm = resize(dst.AdjNorm, dst.NumEdges())
		return nil
	}
	if err := sc.drawSet(s, env.Graph, r); err != nil {
		return err
	}
	return sc.induce(env.Graph, dst)
}

// Induce fills Indptr, Indices and EdgeIDs of dst with the subgraph of g induced on
// dst.Nodes, which may come in any order and with duplicates and leaves sorted and unique.
// AdjNorm and LossNorm get their lengths only. Errors are those of [Draw].
func Induce(g *formats.Graph, sc *Scratch, dst *formats.Subgraph) error {
	if err := sc.setOf(dst.Nodes, g.NumNodes()); err != nil {
		return err
	}
	return sc.induce(g, dst)
}

// drawSet leaves the distinct nodes of one draw in s.set.
func (s *Scratch) drawSet(sampler Sampler, g *formats.Graph, r *rand.Rand) error {
	s.draws = sampler.SampleNodes(r, s, s.draws[:0])
	return s.setOf(s.draws, g.NumNodes())
}

func (s *Scratch) setOf(nodes []int32, n int) error {
	s.set.reset(n)
	if bad, ok := s.set.add(nodes, n); !ok {
		return fmt.Errorf("sampled node %d is not in the graph, which has %d nodes", bad, n)
	}
	return nil
}

// induce writes the subgraph on s.set to dst in two passes: the first finds the edges, so
// that the second can write into slices of the exact length.
func (s *Scratch) induce(g *formats.Graph, dst *formats.Subgraph) error {
	n := s.set.size
	nodes := s.Nodes()
	s.rows = resize(s.rows, n)
	m := 0
	for i, v := range nodes {
		row := g.Neighbors(v)
		if need := m + len(row); len(s.hits) < need {
			s.hits = slices.Grow(s.hits[:m], len(row))
			s.hits = s.hits[:cap(s.hits)]
		}
		k := s.set.scan(row, s.hits[m:])
		s.rows[i] = int32(k)
		m += k
		if m > math.MaxInt32 {
			return fmt.Errorf("a subgraph of %d nodes has more than %d edges; lower the sampler's budget", n, math.MaxInt32)
		}
	}
	s.fit(dst, n, m)
	copy(dst.Nodes, nodes)
	s.emit(g, dst)
	return nil
}

// Nodes returns the sorted distinct nodes of the last draw; valid until the next one.
func (s *Scratch) Nodes() []int32 {
	s.draws = resize(s.draws, s.set.size)
	s.set.extract(s.draws)
	return s.draws
}

// emit turns the hits of all rows into local column ids and edge positions.
func (s *Scratch) emit(g *formats.Graph, dst *formats.Subgraph) {
	lo := 0
	for i, v := range dst.Nodes {
		dst.Indptr[i] = int32(lo)
		hi := lo + int(s.rows[i])
		start, row := g.Indptr[v], g.Neighbors(v)
		hits, indices, ids := s.hits[lo:hi], dst.Indices[lo:hi], dst.EdgeIDs[lo:hi]
		for k, off := range hits {
			indices[k] = s.set.local(row[off])
			ids[k] = start + int64(off)
		}
		lo = hi
	}
	dst.Indptr[len(dst.Nodes)] = int32(lo)
}

// checkOwn checks what a SubgraphSampler made, so that a mistake in it ends in an error
// where it happens. Cost O(nodes+edges).
func checkOwn(g *formats.Graph, sub *formats.Subgraph) error {
	n, m := sub.NumNodes(), sub.NumEdges()
	if len(sub.Indptr) != n+1 || sub.Indptr[0] != 0 || int(sub.Indptr[n]) != m || len(sub.EdgeIDs) != m {
		return fmt.Errorf("a subgraph of %d nodes and %d edges has %d row starts and %d edge positions", n, m, len(sub.Indptr), len(sub.EdgeIDs))
	}
	last := int32(-1)
	for i, v := range sub.Nodes {
		if v <= last || int(v) >= g.NumNodes() {
			return fmt.Errorf("node %d after %d, want ascending ids below %d", v, last, g.NumNodes())
		}
		last = v
		lo, hi := sub.Indptr[i], sub.Indptr[i+1]
		if lo > hi || int(hi) > m {
			return fmt.Errorf("row %d of the subgraph goes from entry %d to %d of %d", i, lo, hi, m)
		}
		if err := checkOwnRow(g, sub, v, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

func checkOwnRow(g *formats.Graph, sub *formats.Subgraph, v, lo, hi int32) error {
	last := int32(-1)
	for k := lo; k < hi; k++ {
		u, e := sub.Indices[k], sub.EdgeIDs[k]
		if u <= last || int(u) >= sub.NumNodes() {
			return fmt.Errorf("row of node %d: column %d after %d, want ascending ids below %d", v, u, last, sub.NumNodes())
		}
		if e < g.Indptr[v] || e >= g.Indptr[v+1] || g.Indices[e] != sub.Nodes[u] {
			return fmt.Errorf("row of node %d: position %d is not its edge to node %d", v, e, sub.Nodes[u])
		}
		last = u
	}
	return nil
}
