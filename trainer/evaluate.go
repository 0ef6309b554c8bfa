package trainer

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Tiles are cut by shape alone, so that results do not depend on the machine.
const (
	tileFloats = 1 << 22 // bounds the widest temporary of a row tile
	tileLeast  = 256     // rows, however wide
	tileMost   = 1 << 16 // rows, however narrow
)

// Evaluator computes the logits of every node of a graph: aggregation is the row mean over
// all neighbours (the weighted mean if the graph has weights), without dropout.
//
// Layers run in groups: one that aggregates and the dense ones after it. Where everything but
// the aggregation concerns each row by itself (nn.Separable: the layers of GraphSAGE and MixHop,
// of any order), one matrix holds for N nodes what the widest group sums. A group takes its sums
// in place, some columns at a time in a second matrix if the first has none to spare; then it
// goes over the rows tile by tile, and each tile's output leaves in their place what the next
// group sums. That is
//
//	N × (order + 1) × dim floats, and at most N × 64 more (or 32 MiB)
//
// for networks of one dim, less for the first group, which has the features, and the last one,
// whose tiles take the last sums. Bound makes all of it but the one matrix as small as asked for.
//
// Other layers see the whole output of the group before them: the arena then holds N × (input +
// output of a group + projection, where the layer projects first) floats, and layers of several
// hops their temporaries for all nodes.
//
// To that come the temporaries of one tile, about 16 MiB for each tensor of the widest layer.
// Features that lie in shared memory, and the output of the last group, take no part. Features
// that are not resident give the same bits as resident ones.
//
// An Evaluator is not safe for concurrent use.
type Evaluator struct {
	graph  *formats.Graph
	feats  formats.FeatureStore
	b      tensor.Backend
	q      tensor.Queue
	a      tensor.Arena
	place  placer
	most   int64 // bytes beside the data; 0: as it comes
	degree int64 // of the longest row, once it is known

	rowsAt      int  // rows of a tile, for tests; 0: by shape
	wholeInputs bool // no sums apart from layers, for tests

	features tensor.Tensor
	lent     tensor.Tensor // features of all nodes that are the device's already
	tile     nn.RowTile
	csr      tensor.CSR
	indptr   []int32
	values   []float32
	ids      []int32
	host     []float32

	weighting nn.Weighting // of the running layer
	scale     []float64    // 1/sqrt(1+d) of every node, where a layer needs it
	loops     []float32
}

// NewEvaluator returns an evaluator of models on backend b. arena is used during Logits
// only and is empty again when it returns; a trainer lends the arena of its steps, so that
// the two never hold memory at the same time.
func NewEvaluator(g *formats.Graph, feats formats.FeatureStore, b tensor.Backend, arena tensor.Arena) (*Evaluator, error) {
	if feats.Rows() != g.NumNodes() {
		return nil, fmt.Errorf("evaluate: %d feature rows for %d nodes", feats.Rows(), g.NumNodes())
	}
	q, err := b.NewQueue()
	if err != nil {
		return nil, err
	}
	return &Evaluator{graph: g, feats: feats, b: b, q: q, a: arena, place: placer{b: b}}, nil
}

// Close frees the evaluator's queue.
func (e *Evaluator) Close() error { return e.q.Close() }

// Lend makes evaluations read the features of all nodes from x, which lies on the device and
// stays as it is, in place of a copy of their own.
func (e *Evaluator) Lend(x tensor.Tensor) { e.lent = x }

// Visit receives the output of rows [lo,hi) as a device tensor (hi-lo × OutDim) that is
// valid during the call. It must not keep it.
type Visit func(c *nn.Context, lo, hi int, out tensor.Tensor) error

// Logits runs layers [0, upTo) of the model (all of them if upTo is 0) and calls visit for
// consecutive row tiles in ascending order. It returns ctx.Err() within a tile's time after
// ctx has ended, an error of visit as it is, and a panic of a layer as a *LayerPanic.
func (e *Evaluator) Logits(ctx context.Context, m *Model, upTo int, visit Visit) (err error) {
	if upTo == 0 {
		upTo = m.Seq.Len()
	}
	run := &evalRun{Evaluator: e, ctx: ctx, seq: m.Seq, c: &nn.Context{Q: e.q, A: e.a, Layer: -1}}
	defer func() {
		if p := recover(); p != nil {
			err = &LayerPanic{During: "evaluation", Layer: layerName(m.Seq, run.c.Layer), Value: p, Stack: string(debug.Stack())}
		}
		if err != nil {
			_ = e.q.Sync() // the device may still read host memory, which now goes back
			if few := e.a.Err(); few != nil {
				err = fmt.Errorf("evaluate: %w", few) // the cause of what operations say
			}
		}
		e.place.forget()
		e.a.Reset()
	}()
	return run.layers(upTo, visit)
}

// layers runs all groups.
func (r *evalRun) layers(upTo int, visit Visit) error {
	if err := r.check(); err != nil {
		return err
	}
	plan, err := r.plan(r.seq, upTo)
	switch {
	case err != nil:
		return err
	case plan != nil:
		return r.sums(plan, visit)
	}
	h, owned, err := r.input()
	if err != nil {
		return err
	}
	for first := 0; first < upTo; {
		end := first + 1
		for end < upTo && r.seq.Layer(end).Hops() == 0 {
			end++
		}
		var out tensor.Tensor
		if end < upTo {
			out = r.a.Alloc(tensor.F32, r.graph.NumNodes(), r.seq.Layer(end-1).OutDim())
		}
		if err := r.group(h, first, end, out, visit); err != nil {
			return err
		}
		if owned {
			r.a.Release(h)
		}
		h, owned, first = out, true, end
		if i, ok := r.seq.Initial(); ok && i == end-1 {
			r.a.Retain(h)
			r.c.Initial = h
		}
	}
	if r.c.Initial.Present() {
		r.a.Release(r.c.Initial)
	}
	return r.check()
}

// evalRun is one pass over a model.
type evalRun struct {
	*Evaluator
	ctx context.Context //nolint:containedctx // lives for one call
	seq *nn.Sequential
	c   *nn.Context
}

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

// fetch gathers feature rows [lo,hi) into a tensor of the arena.
func (r *evalRun) fetch(lo, hi int) (tensor.Tensor, error) {
	r.ids = r.ids[:0]
	for v := lo; v < hi; v++ {
		r.ids = append(r.ids, int32(v))
	}
	halves, err := r.halves()
	if err != nil {
		return tensor.Tensor{}, err
	}
	if halves.Present() {
		t := r.a.Alloc(tensor.F32, hi-lo, r.feats.Dim())
		r.q.GatherRows(halves, r.place.ints(r.a, r.q, slotNodes, r.ids), tensor.Drop{}, t)
		return t, r.q.Sync()
	}
	r.host = grow(r.host, (hi-lo)*r.feats.Dim())
	if err := r.feats.Gather(r.host, r.ids); err != nil {
		return tensor.Tensor{}, fmt.Errorf("features of nodes %d to %d: %w", lo, hi-1, err)
	}
	t := r.a.Alloc(tensor.F32, hi-lo, r.feats.Dim())
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

// group runs layers [first,end) on the input h of all nodes and writes the result to out,
// or hands it to visit if out is absent.
func (r *evalRun) group(h tensor.Tensor, first, end int, out tensor.Tensor, visit Visit) error {
	head := r.seq.Layer(first)
	r.c.Layer = first
	r.weighting = nn.WeightingOf(head)
	if head.Hops() > 1 {
		return r.whole(h, first, end, out, visit)
	}
	var proj tensor.Tensor
	if p, ok := head.(nn.Projector); ok && head.Hops() == 1 && p.ProjDim() > 0 {
		var err error
		if proj, err = r.project(p, h); err != nil {
			return err
		}
		defer r.a.Release(proj)
	}
	return r.tiles(first, end, func(lo, hi int) (tensor.Tensor, error) {
		switch {
		case proj.Present():
			self, owned, err := r.rows(h, lo, hi)
			if err != nil {
				return self, err
			}
			if err := r.rowTile(lo, hi); err != nil {
				return self, err
			}
			y := head.(nn.Projector).ForwardProjected(r.c, &r.tile, self, proj)
			if owned {
				r.a.Release(self)
			}
			return y, nil
		case head.Hops() == 1:
			if err := r.rowTile(lo, hi); err != nil {
				return h, err
			}
			return head.Forward(r.c, &r.tile, h), nil
		default:
			x, owned, err := r.rows(h, lo, hi)
			if err != nil {
				return x, err
			}
			y := r.dense(first, x)
			if owned {
				r.a.Release(x)
			}
			return y, nil
		}
	}, out, visit)
}

// whole runs a layer of several hops on the full graph at once, the rest of its group in
// tiles.
func (r *evalRun) whole(h tensor.Tensor, first, end int, out tensor.Tensor, visit Visit) error {
	if err := r.rowTile(0, r.graph.NumNodes()); err != nil {
		return err
	}
	y := r.seq.Layer(first).Forward(r.c, nn.Local{A: &r.csr}, h)
	r.c.EndLayer()
	defer r.a.Release(y)
	if err := r.check(); err != nil {
		return err
	}
	return r.tiles(first, end, func(lo, hi int) (tensor.Tensor, error) {
		r.a.Retain(y)
		return y.RowRange(lo, hi), nil
	}, out, visit)
}

// project computes the projection of all rows in chunks.
func (r *evalRun) project(p nn.Projector, h tensor.Tensor) (tensor.Tensor, error) {
	n := r.graph.NumNodes()
	proj := r.a.Alloc(tensor.F32, n, p.ProjDim())
	step := r.tileRows(max(p.ProjDim(), r.feats.Dim()))
	for lo := 0; lo < n; lo += step {
		hi := min(n, lo+step)
		x, owned, err := r.rows(h, lo, hi)
		if err != nil {
			return proj, err
		}
		p.Project(r.c, x, proj.RowRange(lo, hi))
		r.c.EndLayer()
		if owned {
			r.a.Release(x)
		}
		if err := r.check(); err != nil {
			return proj, err
		}
	}
	return proj, nil
}

// tiles calls head for every row tile, runs the dense layers (first,end) on its result and
// delivers that.
func (r *evalRun) tiles(first, end int, head func(lo, hi int) (tensor.Tensor, error), out tensor.Tensor, visit Visit) error {
	width := r.feats.Dim()
	for i := first; i < end; i++ {
		width = max(width, r.seq.Layer(i).OutDim())
	}
	n, step := r.graph.NumNodes(), r.tileRows(width)
	for lo := 0; lo < n; lo += step {
		hi := min(n, lo+step)
		y, err := r.tileOf(first, end, lo, hi, head, out)
		if err != nil {
			return err
		}
		switch {
		case !out.Present():
			err = r.visit(visit, lo, hi, y)
		case y.ID != out.ID:
			r.q.Axpby(1, y, 0, out.RowRange(lo, hi))
		}
		r.a.Release(y)
		if err == nil {
			err = r.check()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tileOf returns the output of layers [first,end) for rows [lo,hi), written to its place in
// out by the last layer if it can.
func (r *evalRun) tileOf(first, end, lo, hi int, head func(lo, hi int) (tensor.Tensor, error), out tensor.Tensor) (y tensor.Tensor, err error) {
	defer func() {
		if r.c.Into.Present() { // the layer had its own tensor
			r.a.Release(r.c.Into)
			r.c.Into = tensor.Tensor{}
		}
	}()
	for i := first; i < end; i++ {
		if i == end-1 && out.Present() {
			r.a.Retain(out)
			r.c.Into = out.RowRange(lo, hi)
		}
		if i == first {
			r.c.Layer = first
			y, err = head(lo, hi)
			r.c.EndLayer()
			if err != nil {
				return y, err
			}
			continue
		}
		next := r.dense(i, y)
		r.a.Release(y)
		y = next
	}
	return y, nil
}

// visit delivers rows [lo,hi), unless they could not be computed.
func (r *evalRun) visit(visit Visit, lo, hi int, y tensor.Tensor) error {
	if err := r.check(); err != nil {
		return err
	}
	r.c.Layer = r.seq.Len()
	return visit(r.c, lo, hi, y)
}

// dense runs layer i, which does not aggregate, on the rows of x.
func (r *evalRun) dense(i int, x tensor.Tensor) tensor.Tensor {
	r.c.Layer = i
	r.tile = nn.RowTile{Lo: 0, Hi: x.Rows, Src: x.Rows}
	y := r.seq.Layer(i).Forward(r.c, &r.tile, x)
	r.c.EndLayer()
	return y
}

// check ends a pass early on cancellation or failure. It waits for the device: what a tile
// placed there comes from host memory that the next one overwrites.
func (r *evalRun) check() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.a.Err(); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	if err := r.q.Sync(); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	r.place.done(r.a)
	return nil
}

// rowTile makes r.tile rows [lo,hi) of D^-1 A, or what else the running layer weighs edges by.
func (r *evalRun) rowTile(lo, hi int) error {
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
		Indptr:  r.place.ints(r.a, r.q, slotIndptr, r.indptr),
		Indices: r.place.ints(r.a, r.q, slotIndices, g.Indices[base:end]),
		Values:  r.place.column(r.a, r.q, slotValues, r.values),
	}
	r.tile = nn.RowTile{A: &r.csr, Lo: lo, Hi: hi, Src: g.NumNodes(), Weighting: r.weighting}
	if r.weighting == nn.Symmetric {
		r.tile.Loops = r.place.column(r.a, r.q, slotLoops, r.loops)
	}
	return nil
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

// tileRows returns the rows of a tile whose widest temporary has that many columns.
func (e *Evaluator) tileRows(width int) int {
	if e.rowsAt > 0 {
		return e.rowsAt
	}
	return min(max(tileFloats/max(width, 1), tileLeast), tileMost)
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/8)
	}
	return s[:n]
}
