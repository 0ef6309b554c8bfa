package nntest

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// CSR is a sparse matrix in host memory, columns of a row sorted.
type CSR struct {
	Rows, Cols      int
	Indptr, Indices []int32
	Values          []float32
}

// RandomGraph returns an n×n adjacency with about m edges: symmetric in structure but not
// in values, with a self loop on node 0 and, from four nodes on, the last two isolated.
func RandomGraph(r *rand.Rand, n, m int) CSR {
	linked := n
	if n >= 4 {
		linked = n - 2
	}
	edges := make([][]int32, n)
	add := func(u, v int) {
		if !slices.Contains(edges[u], int32(v)) {
			edges[u] = append(edges[u], int32(v))
		}
	}
	if n > 0 && m > 0 {
		add(0, 0)
	}
	for range m / 2 {
		u, v := r.IntN(linked), r.IntN(linked)
		add(u, v)
		add(v, u)
	}
	g := CSR{Rows: n, Cols: n, Indptr: []int32{0}}
	for _, row := range edges {
		slices.Sort(row)
		for _, v := range row {
			g.Indices = append(g.Indices, v)
			g.Values = append(g.Values, (0.5+r.Float32())/float32(len(row)))
		}
		g.Indptr = append(g.Indptr, int32(len(g.Indices)))
	}
	return g
}

// Transpose returns the transposed matrix.
func (g CSR) Transpose() CSR {
	t := CSR{
		Rows: g.Cols, Cols: g.Rows, Indptr: make([]int32, g.Cols+1),
		Indices: make([]int32, len(g.Indices)), Values: make([]float32, len(g.Values)),
	}
	for _, v := range g.Indices {
		t.Indptr[v+1]++
	}
	for v := range g.Cols {
		t.Indptr[v+1] += t.Indptr[v]
	}
	next := slices.Clone(t.Indptr)
	for u := range g.Rows {
		for e := g.Indptr[u]; e < g.Indptr[u+1]; e++ {
			v := g.Indices[e]
			t.Indices[next[v]], t.Values[next[v]] = int32(u), g.Values[e]
			next[v]++
		}
	}
	return t
}

// RowRange returns the rows [lo, hi).
func (g CSR) RowRange(lo, hi int) CSR {
	from, to := g.Indptr[lo], g.Indptr[hi]
	t := CSR{Rows: hi - lo, Cols: g.Cols, Indices: g.Indices[from:to], Values: g.Values[from:to]}
	for _, p := range g.Indptr[lo : hi+1] {
		t.Indptr = append(t.Indptr, p-from)
	}
	return t
}

// Weigh returns the square matrix with the entries of that weighting, and the weights of loops
// that Symmetric has.
func (g CSR) Weigh(w nn.Weighting) (m CSR, loops []float32) {
	if w == nn.Sampled {
		return g, nil
	}
	m = g
	m.Values = make([]float32, len(g.Values))
	degree := func(v int32) float64 { return 1 + float64(g.Indptr[v+1]-g.Indptr[v]) }
	for u := range g.Rows {
		for e := g.Indptr[u]; e < g.Indptr[u+1]; e++ {
			m.Values[e] = 1
			if w == nn.Symmetric {
				m.Values[e] = float32(1 / math.Sqrt(degree(int32(u))*degree(g.Indices[e])))
			}
		}
		if w == nn.Symmetric {
			loops = append(loops, float32(1/degree(int32(u))))
		}
	}
	return m, loops
}

// Batch returns the matrix on a device in all weightings.
func (g CSR) Batch(q tensor.Queue, a tensor.Arena) *nn.Batch {
	one, _ := g.Weigh(nn.Ones)
	sym, loops := g.Weigh(nn.Symmetric)
	return &nn.Batch{
		Local: nn.Local{A: g.Upload(q, a)}, One: one.Upload(q, a), Sym: sym.Upload(q, a),
		Loops: Upload(q, a, tensor.F32, len(loops), 1, loops),
	}
}

// Tile returns rows [lo, hi) of the matrix in one weighting.
func (g CSR) Tile(q tensor.Queue, a tensor.Arena, w nn.Weighting, lo, hi int) *nn.RowTile {
	m, loops := g.Weigh(w)
	t := &nn.RowTile{A: m.RowRange(lo, hi).Upload(q, a), Lo: lo, Hi: hi, Src: g.Cols, Weighting: w}
	if loops != nil {
		t.Loops = Upload(q, a, tensor.F32, hi-lo, 1, loops[lo:hi])
	}
	return t
}

// Upload returns the matrix and its transpose on a device, in memory of a.
func (g CSR) Upload(q tensor.Queue, a tensor.Arena) *tensor.CSR {
	m := g.upload(q, a)
	m.Trans = g.Transpose().upload(q, a)
	return m
}

func (g CSR) upload(q tensor.Queue, a tensor.Arena) *tensor.CSR {
	return &tensor.CSR{
		Rows: g.Rows, Cols: g.Cols,
		Indptr:  Upload(q, a, tensor.I32, len(g.Indptr), 1, g.Indptr),
		Indices: Upload(q, a, tensor.I32, len(g.Indices), 1, g.Indices),
		Values:  Upload(q, a, tensor.F32, len(g.Values), 1, g.Values),
	}
}
