package trainer

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// deferred is a CPU that pretends to be a device with memory and a schedule of its own: every
// operation, uploads and downloads too, runs at the next Sync of its queue. Whoever reads a
// result, or overwrites host memory that was uploaded, before it has synced gets it wrong.
type deferred struct{ discrete }

func (d deferred) Caps() tensor.Caps {
	c := d.discrete.Caps()
	c.Async = true
	return c
}

func (d deferred) NewQueue() (tensor.Queue, error) {
	q, err := d.Backend.NewQueue()
	return &deferredQueue{Queue: q}, err
}

func (d deferred) NewArena() (tensor.Arena, error) {
	return &heapArena{b: d.Backend, refs: map[uint64]int{}, sizes: map[uint64]int64{}}, nil
}

// heapArena counts references as any arena does, but never hands out memory twice: what is
// released may still be in use by operations to come. New memory holds NaN.
type heapArena struct {
	b           tensor.Backend
	refs        map[uint64]int
	sizes       map[uint64]int64
	bytes, peak int64
}

func (a *heapArena) Alloc(dt tensor.DType, rows, cols int) (t tensor.Tensor) {
	size := int64(rows) * int64(cols) * dt.Size()
	host := slices.Repeat([]float32{float32(math.NaN())}, int(size+3)/4)
	if err := a.b.Import(&t, dt, rows, cols, bytesOf(host)[:size]); err != nil {
		panic(err)
	}
	a.refs[t.ID], a.sizes[t.ID] = 1, size
	a.bytes += size
	a.peak = max(a.peak, a.bytes)
	return t
}

func (a *heapArena) Owns(t tensor.Tensor) bool { return a.refs[t.ID] > 0 }

func (a *heapArena) Retain(t tensor.Tensor) {
	if a.Owns(t) {
		a.refs[t.ID]++
	}
}

func (a *heapArena) Release(t tensor.Tensor) {
	if !a.Owns(t) {
		return
	}
	if a.refs[t.ID]--; a.refs[t.ID] == 0 {
		delete(a.refs, t.ID)
		a.bytes -= a.sizes[t.ID]
	}
}

func (a *heapArena) Reset()       { clear(a.refs); a.bytes = 0 }
func (a *heapArena) Live() int    { return len(a.refs) }
func (a *heapArena) Bytes() int64 { return a.bytes }
func (a *heapArena) Peak() int64  { return a.peak }
func (a *heapArena) ResetPeak()   { a.peak = a.bytes }
func (a *heapArena) Err() error   { return nil }
func (a *heapArena) Close() error { return nil }

// deferredQueue collects operations. The embedded queue runs them.
type deferredQueue struct {
	tensor.Queue
	todo []func()
}

func (d *deferredQueue) later(f func()) { d.todo = append(d.todo, f) }

func (d *deferredQueue) Sync() error {
	for _, f := range d.todo {
		f()
	}
	d.todo = d.todo[:0]
	return d.Queue.Sync()
}

func (d *deferredQueue) Close() error {
	if len(d.todo) > 0 {
		return errors.New("closed before the last Sync")
	}
	return d.Queue.Close()
}

func (d *deferredQueue) Gemm(ta, tb bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	d.later(func() { d.Queue.Gemm(ta, tb, alpha, a, b, beta, c) })
}

func (d *deferredQueue) SpMM(alpha float32, a *tensor.CSR, x tensor.Tensor, beta float32, y tensor.Tensor) {
	m := *a // a launch takes its arguments along
	d.later(func() { d.Queue.SpMM(alpha, &m, x, beta, y) })
}

func (d *deferredQueue) GatherRows(src, idx tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	d.later(func() { d.Queue.GatherRows(src, idx, drop, dst) })
}

func (d *deferredQueue) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	d.later(func() { d.Queue.Axpby(alpha, x, beta, y) })
}

func (d *deferredQueue) Fill(v float32, t tensor.Tensor) { d.later(func() { d.Queue.Fill(v, t) }) }

func (d *deferredQueue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	d.later(func() { d.Queue.Dropout(p, key, x, y) })
}

func (d *deferredQueue) BiasActNorm(act tensor.Act, bias, scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	d.later(func() { d.Queue.BiasActNorm(act, bias, scale, offset, x, drop, y, mean, rstd) })
}

func (d *deferredQueue) BiasActNormBackward(act tensor.Act, bias, scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dbias, dscale, doffset tensor.Tensor) {
	d.later(func() {
		d.Queue.BiasActNormBackward(act, bias, scale, mean, rstd, x, dy, drop, dx, dbias, dscale, doffset)
	})
}

func (d *deferredQueue) BatchNorm(eps, momentum float32, scale, offset, x, y, mean, rstd, runMean, runVar tensor.Tensor) {
	d.later(func() { d.Queue.BatchNorm(eps, momentum, scale, offset, x, y, mean, rstd, runMean, runVar) })
}

func (d *deferredQueue) BatchNormInfer(eps float32, scale, offset, mean, variance, x, y tensor.Tensor) {
	d.later(func() { d.Queue.BatchNormInfer(eps, scale, offset, mean, variance, x, y) })
}

func (d *deferredQueue) BatchNormBackward(scale, mean, rstd, x, dy, dx, dscale, doffset tensor.Tensor) {
	d.later(func() { d.Queue.BatchNormBackward(scale, mean, rstd, x, dy, dx, dscale, doffset) })
}

func (d *deferredQueue) NormalizeRows(x, y, norm tensor.Tensor) {
	d.later(func() { d.Queue.NormalizeRows(x, y, norm) })
}

func (d *deferredQueue) NormalizeRowsBackward(dy, y, norm, dx tensor.Tensor) {
	d.later(func() { d.Queue.NormalizeRowsBackward(dy, y, norm, dx) })
}

func (d *deferredQueue) SoftmaxXent(logits, class, weight, loss, dlogits tensor.Tensor) {
	d.later(func() { d.Queue.SoftmaxXent(logits, class, weight, loss, dlogits) })
}

func (d *deferredQueue) SigmoidXent(logits, target, weight, loss, dlogits tensor.Tensor) {
	d.later(func() { d.Queue.SigmoidXent(logits, target, weight, loss, dlogits) })
}

func (d *deferredQueue) SumSquares(x, out tensor.Tensor) {
	d.later(func() { d.Queue.SumSquares(x, out) })
}

func (d *deferredQueue) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	d.later(func() { d.Queue.Adam(h, sumsq, grad, m, v, value) })
}

func (d *deferredQueue) Upload(src []byte, dst tensor.Tensor) {
	d.later(func() { d.Queue.Upload(src, dst) })
}

func (d *deferredQueue) Download(src tensor.Tensor, dst []byte) {
	d.later(func() { d.Queue.Download(src, dst) })
}

// TestAsynchronousDevice trains on a device that runs behind: the bits must be the same.
func TestAsynchronousDevice(t *testing.T) {
	data := generate(t, small)
	for _, network := range []string{
		"dim: 8; arch: 1-0-1-0; loss: softmax; bias: norm",
		"dim: 8; arch: 2-1-0; loss: sigmoid; bias: norm-nn; aggr: mean; act: leaky_relu",
	} {
		c := yaml(network, "lr: 0.01; dropout: 0.2; sample_coverage: 2; weight_decay: 0.001", "end: 3; sampler: rw; num_root: 10; depth: 2")
		train := func(o Options) (*Result, string) {
			dir := newDir(t)
			o.Config, o.Seed, o.Workers, o.EvalTrainEvery, o.Dir = parse(t, c), 1, 2, 1, dir
			r, err := Train(context.Background(), o)
			if err != nil {
				t.Fatalf("%s: %v", network, err)
			}
			return r, dir.LastPath()
		}
		b := backend(t, 2)
		r, want := train(Options{Data: data, Backend: b})
		apart := *data
		apart.Features = rows{FeatureStore: data.Features}
		for what, d := range map[string]Options{
			"features on the device": {Data: data, Backend: deferred{discrete{b}}},
			"features in batches":    {Data: &apart, Backend: deferred{discrete{b}}},
		} {
			got, last := train(d)
			sameFile(t, network+", "+what, last, want)
			if got.Val != r.Val || got.LastTest != r.LastTest {
				t.Errorf("%s, %s: scores %v and %v, want %v and %v", network, what, got.Val, got.LastTest, r.Val, r.LastTest)
			}
		}
	}
}

// countdown ends after a number of questions whether it has.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestAsynchronousStop: when an evaluation or a step fails, the device is done with the host
// memory that it was given, wherever that happens.
func TestAsynchronousStop(t *testing.T) {
	d := deferred{discrete{backend(t, 1)}}
	c := parse(t, yaml("dim: 8; arch: '1-0-1-0'", "lr: 0.01", stepPhase))
	data, stop := generate(t, small), errors.New("stop")
	s := newBench(t, c, data, d, nil)
	b := draw(t, c, data, rows{FeatureStore: data.Features}, 1)[0]
	if _, err := s.Step(b, 0, func(*loader.Batch, tensor.Tensor, tensor.Queue) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Step = %v, want the score's error", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("step that ended with an error: %v", err)
	}
	m := newModel(t, c, 12, 3, d)
	g, x := randomGraph(50, 3, false, false), randomFeatures(50, 12)
	for k := 0; ; k++ {
		e, err := NewEvaluator(g, x, d, newArena(t, d))
		if err != nil {
			t.Fatal(err)
		}
		e.rowsAt = 20
		ran := e.Logits(&countdown{t.Context(), k}, m, 0, func(c *nn.Context, _, _ int, _ tensor.Tensor) error { return c.Q.Sync() })
		if err := e.Close(); err != nil {
			t.Errorf("evaluation that ended with %v at question %d: %v", ran, k, err)
		}
		if ran == nil {
			break
		}
	}
}
