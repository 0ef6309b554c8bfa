package samplers

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/induce"
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
	s.set.reset(n, len(nodes))
	if bad, ok := s.set.add(nodes, n); !ok {
		return fmt.Errorf("sampled node %d is not in the graph, which has %d nodes", bad, n)
	}
	s.set.count()
	s.nodes = s.set.extract(slices.Grow(s.nodes[:0], s.set.size))
	return nil
}

// induce writes the subgraph on s.nodes straight into the memory that dst has. Only where
// that turns out too small is its size counted.
func (s *Scratch) induce(g *formats.Graph, dst *formats.Subgraph) error {
	n := len(s.nodes)
	rows := induce.Rows{Indptr: g.Indptr, Indices: g.Indices, Words: s.set.words, Nodes: s.nodes}
	m, ok := 0, fits(dst, n)
	if ok {
		m, ok = scanRows(&rows, dst)
	}
	if !ok {
		if m = induce.Size(&rows, 0); m > math.MaxInt32 {
			return fmt.Errorf("a subgraph of %d nodes has more than %d edges; lower the sampler's budget", n, math.MaxInt32)
		}
		s.grow(dst, n, m)
		m, _ = scanRows(&rows, dst)
	}
	dst.Nodes, dst.LossNorm, dst.Indptr = dst.Nodes[:n], dst.LossNorm[:n], dst.Indptr[:n+1]
	dst.Indices, dst.EdgeIDs, dst.AdjNorm = dst.Indices[:m], dst.EdgeIDs[:m], dst.AdjNorm[:m]
	copy(dst.Nodes, s.nodes)
	dst.Indptr[n] = int32(m)
	induce.Local(dst.Indices, s.set.words, s.set.rank)
	return nil
}

// scanRows fills Indptr and EdgeIDs and, with the ids of the full graph, Indices as far as
// there is room, and reports how many edges there are if there is room for all.
func scanRows(rows *induce.Rows, dst *formats.Subgraph) (m int, ok bool) {
	most, n := room(dst), len(rows.Nodes)
	out := induce.Out{Starts: dst.Indptr[:n], Cols: dst.Indices[:most], IDs: dst.EdgeIDs[:most]}
	for row := 0; ; row++ {
		row, m = induce.Scan(rows, &out, row, m)
		if row == n {
			return m, true
		}
		m += induce.ScanRow(rows, &out, row, m)
		if m > most {
			return 0, false
		}
	}
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
