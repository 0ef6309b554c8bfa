package trainer

import (
	"math"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
)

// TestEdgeDropout: the share is right, both directions and the transpose agree, and every step
// draws anew.
func TestEdgeDropout(t *testing.T) {
	g := randomGraph(400, 8, false, false)
	n := g.NumNodes()
	all := edges{indptr: make([]int32, n+1), indices: g.Indices}
	nodes := make([]int32, n)
	for v := range nodes {
		nodes[v] = int32(1000 + v)
		all.indptr[v+1] = int32(g.Indptr[v+1])
	}
	for e := range all.indices {
		all.sampled, all.symmetric = append(all.sampled, float32(e)), append(all.symmetric, 2*float32(e))
	}
	c := &nn.Context{Seed: 3, Step: 5}
	d := edgeDropout{share: 0.3}
	type pair [2]int32
	kept := func(e edges) map[pair]float32 {
		m := map[pair]float32{}
		for u := range nodes {
			for k := e.indptr[u]; k < e.indptr[u+1]; k++ {
				m[pair{int32(u), e.indices[k]}] = e.sampled[k]
				if e.symmetric[k] != 2*e.sampled[k] {
					t.Fatalf("entry %d: symmetric %v beside %v, want it doubled", k, e.symmetric[k], e.sampled[k])
				}
			}
		}
		return m
	}
	f, b := d.left(c, nodes, all, all)
	first, indices := kept(f), slices.Clone(f.indices)
	if !slices.Equal(f.indices, b.indices) || !slices.Equal(f.indptr, b.indptr) {
		t.Error("the transpose of a symmetric graph lost other edges")
	}
	for p := range first {
		if _, ok := first[pair{p[1], p[0]}]; !ok {
			t.Fatalf("edge %v stays, its other direction does not", p)
		}
	}
	m := float64(len(all.indices))
	// Pairs go together: the deviation is that of m/2 draws, doubled.
	if got, tol := float64(len(first))/m, 5*math.Sqrt(0.21/(m/2)); math.Abs(got-0.7) > tol {
		t.Errorf("%.3f of the edges stay, want 0.7 within %.3f", got, tol)
	}
	c.Step++
	if f, _ := d.left(c, nodes, all, all); slices.Equal(f.indices, indices) {
		t.Error("two steps lose the same edges")
	}
	c.Step--
	d.rescale = true
	f, _ = d.left(c, nodes, all, all)
	again := kept(f)
	for p, v := range first {
		if w := again[p]; math.Abs(float64(w)-float64(v)/0.7) > 1e-3*float64(v)+1e-6 {
			t.Fatalf("edge %v weighs %v rescaled, want %v", p, w, v/0.7)
		}
	}
}

// TestEdgeDropoutDirected: a directed graph and its transpose lose the same entries.
func TestEdgeDropoutDirected(t *testing.T) {
	g := randomGraph(200, 6, true, true)
	m := nntest.CSR{Rows: g.NumNodes(), Cols: g.NumNodes(), Indices: g.Indices, Values: g.Weights}
	nodes := make([]int32, g.NumNodes())
	for v := range nodes {
		nodes[v] = int32(7 * v)
	}
	for _, p := range g.Indptr {
		m.Indptr = append(m.Indptr, int32(p))
	}
	trans := m.Transpose()
	d := edgeDropout{share: 0.5, rescale: true}
	f, b := d.left(&nn.Context{Seed: 3}, nodes, edges{m.Indptr, m.Indices, m.Values, nil}, edges{trans.Indptr, trans.Indices, trans.Values, nil})
	left := nntest.CSR{Rows: m.Rows, Cols: m.Cols, Indptr: f.indptr, Indices: f.indices, Values: f.sampled}.Transpose()
	if !slices.Equal(left.Indptr, b.indptr) || !slices.Equal(left.Indices, b.indices) || !slices.Equal(left.Values, b.sampled) {
		t.Error("the transpose of what stays is not what stays of the transpose")
	}
	if n := len(f.indices); n == 0 || n == len(m.Indices) {
		t.Errorf("%d of %d entries stay", n, len(m.Indices))
	}
}
