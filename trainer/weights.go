package trainer

import (
	"math"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// entries makes the weightings of batches that the layers of a model ask for, besides the
// sampled one.
type entries struct {
	wanted [nn.Symmetric + 1]bool
	made   *loader.Batch // a batch that repeats, whose entries these are

	scale                   []float64 // 1/sqrt(1+d)
	ones, sym, trans, loops []float32
	graph                   nn.Batch
	csr                     [4]tensor.CSR // ones and their transpose, symmetric and theirs
}

// newEntries finds out what the layers ask for.
func newEntries(m *nn.Sequential) entries {
	var e entries
	for i := range m.Len() {
		e.wanted[nn.WeightingOf(m.Layer(i))] = true
	}
	return e
}

// of returns the graph of b, whose sampled entries are a, in all weightings.
func (e *entries) of(s *Stepper, b *loader.Batch, a *tensor.CSR) *nn.Batch {
	e.graph = nn.Batch{Local: nn.Local{A: a}}
	if e.wanted[nn.Ones] {
		for len(e.ones) < len(b.Indices) {
			e.ones = append(e.ones, 1)
		}
		v := s.place.column(s.arena, s.q, slotOnes, e.ones[:len(b.Indices)])
		e.graph.One = e.weighted(0, a, v, v)
	}
	if e.wanted[nn.Symmetric] {
		if e.made == nil || e.made != b {
			e.symmetric(b)
		}
		e.graph.Sym = e.weighted(2, a, s.place.column(s.arena, s.q, slotSym, e.sym), s.place.column(s.arena, s.q, slotTransSym, e.trans))
		e.graph.Loops = s.place.column(s.arena, s.q, slotLoops, e.loops)
	}
	e.made = nil
	if b.Repeats {
		e.made = b
	}
	return &e.graph
}

// weighted returns a with other values, in places k and k+1.
func (e *entries) weighted(k int, a *tensor.CSR, values, trans tensor.Tensor) *tensor.CSR {
	e.csr[k], e.csr[k+1] = *a, *a.Trans
	e.csr[k].Values, e.csr[k+1].Values = values, trans
	e.csr[k].Trans = &e.csr[k+1]
	return &e.csr[k]
}

// symmetric computes the entries of D^-1/2 (A+I) D^-1/2.
func (e *entries) symmetric(b *loader.Batch) {
	n := b.NumNodes()
	e.scale, e.loops = grow(e.scale, n), grow(e.loops, n)
	e.sym, e.trans = grow(e.sym, len(b.Indices)), grow(e.trans, len(b.TransIndices))
	for v := range n {
		e.scale[v] = inverseSqrt(int64(b.Indptr[v+1] - b.Indptr[v]))
		e.loops[v] = float32(e.scale[v] * e.scale[v])
	}
	for v := range n {
		symmetricRow(e.scale, e.scale[v], b.Indices[b.Indptr[v]:b.Indptr[v+1]], e.sym[b.Indptr[v]:])
		symmetricRow(e.scale, e.scale[v], b.TransIndices[b.TransIndptr[v]:b.TransIndptr[v+1]], e.trans[b.TransIndptr[v]:])
	}
}

// inverseSqrt returns 1/sqrt(1+d).
func inverseSqrt(degree int64) float64 { return 1 / math.Sqrt(1+float64(degree)) }

func symmetricRow(scale []float64, own float64, cols []int32, dst []float32) {
	for k, c := range cols {
		dst[k] = float32(own * scale[c])
	}
}

// weigh writes the entries of rows [lo,hi) of the graph in the weighting that the running layer
// asks for to r.values, whose first entry is entry base of the graph, and those of their loops.
func (r *evalRun) weigh(g *formats.Graph, lo, hi int, base int64) {
	if r.weighting == nn.Symmetric {
		r.degreeScale(g)
		r.loops = grow(r.loops, hi-lo)
	}
	for v := lo; v < hi; v++ {
		a, b := g.Indptr[v], g.Indptr[v+1]
		row := r.values[a-base : b-base]
		switch r.weighting {
		case nn.Ones:
			for k := range row {
				row[k] = 1
			}
		case nn.Symmetric:
			symmetricRow(r.scale, r.scale[v], g.Indices[a:b], row)
			r.loops[v-lo] = float32(r.scale[v] * r.scale[v])
		default:
			meanRow(row, weightsOf(g, a, b))
		}
	}
}

// degreeScale computes what the symmetric weighting needs of every node, once for a graph.
func (e *Evaluator) degreeScale(g *formats.Graph) {
	if len(e.scale) == g.NumNodes() {
		return
	}
	e.scale = make([]float64, g.NumNodes())
	for v := range e.scale {
		e.scale[v] = inverseSqrt(g.Indptr[v+1] - g.Indptr[v])
	}
}
