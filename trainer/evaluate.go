package trainer

import (
	"context"
	"errors"
	"fmt"
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
// On a device with memory of its own the graph stays there where it fits (Settle), else tiles bring
// their part of it. Where the bound is too small for matrices of all nodes, these lie in the memory
// of the host, and a tile gets the rows of its halo (hostPlan); so it does where memory is
// shared and layers would have had temporaries for all nodes.
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
	room   int64 // of them, what the graph may take of a device, if boundedByDevice
	degree int64 // of the longest row, once it is known

	ahead  tensor.Ahead // the queue, on a device that copies are made to beside its work; else nil
	edges  tileCopies   // of parts of the graph
	inputs tileCopies   // of features
	kept   residence
	tables tensor.Arena  // of what else the device keeps, with ahead
	iota   tensor.Tensor // 0, 1, 2, …
	frees  []func()      // when the evaluator is closed

	rowsAt          int  // rows of a tile, for tests; 0: by shape
	boundedByDevice bool // most is what a device has

	wholeInputs bool // no sums apart from layers, for tests
	fromHost    bool // no matrix of all nodes on the device, for tests

	features tensor.Tensor
	lent     tensor.Tensor // features of all nodes that are the device's already
	tile     nn.RowTile
	csr      tensor.CSR
	indptr   []int32
	cols     []int32
	values   []float32
	ids      []int32
	host     []float32

	weighting nn.Weighting // of the running layer
	halo      halo
	hostedBy  hostKey // what hostPlan was made for
	hostPlan  *hostPlan
	scale     []float64 // 1/sqrt(1+d) of every node, where a layer needs it
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
	e := &Evaluator{graph: g, feats: feats, b: b, q: q, a: arena, place: placer{b: b}}
	if err := e.keepers(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close frees the evaluator's queue and what the device keeps for it.
func (e *Evaluator) Close() error {
	return errors.Join(e.q.Sync(), e.closeKeepers(), e.q.Close())
}

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
	if e.ahead != nil {
		run.c.Numbers = e.numbers
	}
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
		e.edges.end()
		e.inputs.end()
		e.place.forget()
		e.a.Reset()
	}()
	if err := run.settled(m); err != nil {
		return err
	}
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
	case plan.sums != nil:
		err = r.sums(plan.sums, visit)
	case plan.host != nil:
		err = r.hosted(plan.host, upTo, visit)
	default:
		err = r.wholeRun(upTo, visit)
	}
	if err != nil {
		return err
	}
	return r.finished()
}

// wholeRun runs all groups on inputs of all nodes.
func (r *evalRun) wholeRun(upTo int, visit Visit) error {
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
	return nil
}

// evalRun is one pass over a model.
type evalRun struct {
	*Evaluator
	ctx context.Context //nolint:containedctx // lives for one call
	seq *nn.Sequential
	c   *nn.Context
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

// check ends a pass early on cancellation or failure. Where what a tile placed on the device comes from
// host memory that the next one overwrites, it waits for the device; one that copies are made to beside
// its work goes on.
func (r *evalRun) check() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.a.Err(); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	err := r.q.Err()
	if r.ahead == nil {
		err = r.q.Sync()
	}
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	r.edges.end()
	r.place.done(r.a)
	return nil
}

// finished waits for the end of a pass.
func (r *evalRun) finished() error {
	if err := r.check(); err != nil || r.ahead == nil {
		return err
	}
	r.inputs.end()
	if err := r.q.Sync(); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	return nil
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
