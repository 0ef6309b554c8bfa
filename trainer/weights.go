package trainer

import (
	"math"
	"runtime"
	"sync"
	"unsafe"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// edges are the entries of a batch or of its transpose in host memory, sampled and, where a layer
// asks for them, symmetric.
type edges struct {
	indptr, indices    []int32
	sampled, symmetric []float32
}

// entries makes the graphs of batches: the sampled entries, those of the weightings that layers
// ask for, and of them what edge dropout leaves.
type entries struct {
	wanted [nn.Symmetric + 1]bool
	drop   edgeDropout
	made   *loader.Batch // a batch that repeats, whose symmetric entries these are

	scale                   []float64 // 1/sqrt(1+d)
	ones, sym, trans, loops []float32
	graph                   nn.Batch
	csr                     [6]tensor.CSR // sampled, ones and symmetric, each with its transpose
}

// newEntries finds out what the layers ask for.
func newEntries(m *Model) entries {
	e := entries{drop: edgeDropout{share: m.edgeDropout, rescale: m.edgeRescale}}
	for i := range m.Seq.Len() {
		e.wanted[nn.WeightingOf(m.Seq.Layer(i))] = true
	}
	return e
}

// of returns the graph of b in all weightings.
func (e *entries) of(s *Stepper, b *loader.Batch) *nn.Batch {
	if e.wanted[nn.Symmetric] && (e.made == nil || e.made != b) {
		e.symmetric(b)
	}
	e.made = nil
	if b.Repeats {
		e.made = b
	}
	fwd := edges{b.Indptr, b.Indices, b.AdjNorm, e.sym}
	back := edges{b.TransIndptr, b.TransIndices, b.TransNorm, e.trans}
	one := float32(1)
	if e.drop.share > 0 {
		one = e.drop.factor()
		fwd, back = e.drop.left(&s.ctx, b.Nodes, fwd, back)
	}
	column := func(slot int, v []float32) tensor.Tensor { return s.place.column(s.arena, s.q, slot, v) }
	n := b.NumNodes()
	e.csr[0] = tensor.CSR{
		Rows: n, Cols: n,
		Indptr:  s.place.ints(s.arena, s.q, slotIndptr, fwd.indptr),
		Indices: s.place.ints(s.arena, s.q, slotIndices, fwd.indices),
		Values:  column(slotValues, fwd.sampled),
		Trans:   &e.csr[1],
	}
	e.csr[1] = tensor.CSR{
		Rows: n, Cols: n, Indptr: e.csr[0].Indptr, Indices: e.csr[0].Indices,
		Values: column(slotTransValues, back.sampled),
	}
	if unsafe.SliceData(back.indices) != unsafe.SliceData(fwd.indices) || unsafe.SliceData(back.indptr) != unsafe.SliceData(fwd.indptr) {
		e.csr[1].Indptr = s.place.ints(s.arena, s.q, slotTransIndptr, back.indptr)
		e.csr[1].Indices = s.place.ints(s.arena, s.q, slotTransIndices, back.indices)
	}
	e.graph = nn.Batch{Local: nn.Local{A: &e.csr[0]}}
	if e.wanted[nn.Ones] {
		for len(e.ones) < len(fwd.indices) {
			e.ones = append(e.ones, one)
		}
		v := column(slotOnes, e.ones[:len(fwd.indices)])
		e.graph.One = e.weighted(2, v, v)
	}
	if e.wanted[nn.Symmetric] {
		e.graph.Sym = e.weighted(4, column(slotSym, fwd.symmetric), column(slotTransSym, back.symmetric))
		e.graph.Loops = column(slotLoops, e.loops)
	}
	return &e.graph
}

// weighted returns the graph with other values, in places k and k+1.
func (e *entries) weighted(k int, values, trans tensor.Tensor) *tensor.CSR {
	e.csr[k], e.csr[k+1] = e.csr[0], e.csr[1]
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

// manyEntries is how many entries are worth a goroutine.
const manyEntries = 1 << 16

// weighAll is weigh on all cores, where there are so many entries.
func (r *evalRun) weighAll(g *formats.Graph, lo, hi int, base int64) {
	if r.weighting == nn.Symmetric {
		r.degreeScale(g)
		r.loops = grow(r.loops, hi-lo)
	}
	parts := int(min(int64(runtime.GOMAXPROCS(0)), 1+(g.Indptr[hi]-base)/manyEntries))
	var all sync.WaitGroup
	for i := range parts - 1 {
		all.Go(func() { r.weigh(g, lo, lo+(hi-lo)*i/parts, lo+(hi-lo)*(i+1)/parts, base) })
	}
	r.weigh(g, lo, lo+(hi-lo)*(parts-1)/parts, hi, base)
	all.Wait()
}

// weigh writes the entries of rows [lo,hi) of the graph in the weighting that the running layer
// asks for to r.values, whose first entry is entry base of the graph, and those of their loops to
// r.loops, whose first one is that of row first.
func (r *evalRun) weigh(g *formats.Graph, first, lo, hi int, base int64) {
	for v := lo; v < hi; v++ {
		r.weighRow(g, v, r.values[g.Indptr[v]-base:g.Indptr[v+1]-base])
		if r.weighting == nn.Symmetric {
			r.loops[v-first] = float32(r.scale[v] * r.scale[v])
		}
	}
}

// weighRow writes the entries of row v to row.
func (r *evalRun) weighRow(g *formats.Graph, v int, row []float32) {
	a, b := g.Indptr[v], g.Indptr[v+1]
	switch r.weighting {
	case nn.Ones:
		fill(row, 1)
	case nn.Symmetric:
		symmetricRow(r.scale, r.scale[v], g.Indices[a:b], row)
	default:
		meanRow(row, weightsOf(g, a, b))
	}
}

// fill sets all of row to v.
func fill(row []float32, v float32) {
	for k := range row[:min(len(row), 8)] {
		row[k] = v
	}
	for n := 8; n < len(row); n *= 2 {
		copy(row[n:], row[:n])
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
