package trainer

import (
	"errors"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// input returns the features of all nodes as a tensor, or the absent tensor if they do not
// lie in memory: then rows are fetched tile by tile.
func (r *evalRun) input() (x tensor.Tensor, owned bool, err error) {
	if r.lends() {
		return r.lent, false, nil
	}
	if res, ok := r.feats.(formats.Resident); ok {
		if r.b.Caps().SharedMemory {
			err := r.b.Import(&r.features, tensor.F32, res.Rows(), res.Dim(), bytesOf(res.Matrix()))
			return r.features, false, err
		}
		x = r.a.Alloc(tensor.F32, res.Rows(), res.Dim())
		r.q.Upload(bytesOf(res.Matrix()), x)
		return x, true, r.a.Err()
	}
	first := r.seq.Layer(0)
	if p, ok := first.(nn.Projector); first.Hops() == 0 || ok && p.ProjDim() > 0 {
		return tensor.Tensor{}, false, nil
	}
	// The layer aggregates its input as it is, so all of it must be there.
	n := r.feats.Rows()
	x = r.a.Alloc(tensor.F32, n, r.feats.Dim())
	step := r.tileRows(r.feats.Dim())
	for lo := 0; lo < n; lo += step {
		hi := min(n, lo+step)
		rows, err := r.fetch(lo, hi)
		if err != nil {
			return x, true, err
		}
		r.q.Axpby(1, rows, 0, x.RowRange(lo, hi))
		r.a.Release(rows)
		if err := r.check(); err != nil {
			return x, true, err
		}
	}
	return x, true, nil
}

// fetch gathers feature rows [lo,hi) into a tensor. One is in use at a time.
func (r *evalRun) fetch(lo, hi int) (tensor.Tensor, error) {
	halves, err := r.halves()
	if err != nil {
		return tensor.Tensor{}, err
	}
	dim := r.feats.Dim()
	if halves.Present() && r.ahead != nil {
		t, all := r.a.Alloc(tensor.F32, hi-lo, dim), r.numbers(hi)
		if !all.Present() {
			return t, errors.Join(r.tables.Err(), r.q.Err())
		}
		r.q.GatherRows(halves, all.RowRange(lo, hi), tensor.Drop{}, t)
		return t, nil
	}
	r.ids = r.ids[:0]
	for v := lo; v < hi; v++ {
		r.ids = append(r.ids, int32(v))
	}
	if halves.Present() {
		t := r.a.Alloc(tensor.F32, hi-lo, dim)
		r.q.GatherRows(halves, r.place.ints(r.a, r.q, slotNodes, r.ids), tensor.Drop{}, t)
		return t, r.q.Sync()
	}
	r.host = grow(r.host, (hi-lo)*dim)
	if err := r.feats.Gather(r.host, r.ids); err != nil {
		return tensor.Tensor{}, fmt.Errorf("features of nodes %d to %d: %w", lo, hi-1, err)
	}
	if r.ahead != nil {
		r.inputs.end() // those that were fetched before have been used
		t := r.inputs.put(tensor.F32, hi-lo, dim, bytesOf(r.host))
		r.inputs.copies.Ready()
		return t, r.q.Err()
	}
	t := r.a.Alloc(tensor.F32, hi-lo, dim)
	r.q.Upload(bytesOf(r.host), t)
	return t, r.q.Sync()
}

// rows returns rows [lo,hi) of a group's input and whether the caller must release them.
func (r *evalRun) rows(h tensor.Tensor, lo, hi int) (t tensor.Tensor, owned bool, err error) {
	if h.Present() {
		return h.RowRange(lo, hi), false, nil
	}
	t, err = r.fetch(lo, hi)
	return t, true, err
}

// rowTile makes r.tile rows [lo,hi) of D^-1 A, or what else the running layer weighs edges by.
func (r *evalRun) rowTile(lo, hi int) error {
	if r.kept.there {
		r.keptTile(lo, hi)
		return nil
	}
	g := r.graph
	base, end := g.Indptr[lo], g.Indptr[hi]
	if end-base > math.MaxInt32 {
		return fmt.Errorf("evaluate: rows %d to %d have %d edges, a part of the graph has at most %d", lo, hi-1, end-base, math.MaxInt32)
	}
	m := int(end - base)
	r.indptr = grow(r.indptr, hi-lo+1)
	r.values = grow(r.values, m)
	for i := lo; i < hi; i++ {
		r.indptr[i-lo] = int32(g.Indptr[i] - base)
	}
	r.indptr[hi-lo] = int32(m)
	r.weighAll(g, lo, hi, base)
	r.csr = tensor.CSR{
		Rows: hi - lo, Cols: g.NumNodes(),
		Indptr:  r.ints(slotIndptr, r.indptr),
		Indices: r.ints(slotIndices, g.Indices[base:end]),
		Values:  r.column(slotValues, r.values),
	}
	r.tile = nn.RowTile{A: &r.csr, Lo: lo, Hi: hi, Src: g.NumNodes(), Weighting: r.weighting}
	if r.weighting == nn.Symmetric {
		r.tile.Loops = r.column(slotLoops, r.loops)
	}
	r.ready()
	return nil
}

// ints places a column of a part of the graph.
func (e *Evaluator) ints(slot int, s []int32) tensor.Tensor {
	if e.ahead != nil {
		return e.edges.put(tensor.I32, len(s), 1, bytesOf(s))
	}
	return e.place.ints(e.a, e.q, slot, s)
}

// column is ints of numbers.
func (e *Evaluator) column(slot int, s []float32) tensor.Tensor {
	if e.ahead != nil {
		return e.edges.put(tensor.F32, len(s), 1, bytesOf(s))
	}
	return e.place.column(e.a, e.q, slot, s)
}

// ready makes the queue's work to come follow the copies of a part of the graph.
func (e *Evaluator) ready() {
	if e.ahead != nil && e.edges.open {
		e.edges.copies.Ready()
	}
}

func weightsOf(g *formats.Graph, lo, hi int64) []float32 {
	if g.Weights == nil {
		return nil
	}
	return g.Weights[lo:hi]
}

// meanRow writes the row of D^-1 A: 1/deg each, or weight over sum of weights.
func meanRow(dst, weights []float32) {
	if weights == nil {
		fill(dst, float32(1/float64(len(dst)))) // unused where there is none
		return
	}
	sum := 0.0
	for _, w := range weights {
		sum += float64(w)
	}
	for k, w := range weights {
		dst[k] = 0
		if sum > 0 {
			dst[k] = float32(float64(w) / sum)
		}
	}
}
