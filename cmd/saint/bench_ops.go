package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// opCost is the work of an operation: multiply-adds count as two, bytes are those that go
// through the cores.
type opCost struct{ flops, bytes float64 }

// opTimes adds up what operations of one kind took.
type opTimes struct {
	name    string
	calls   int
	cost    opCost    // of all calls
	elapsed []float64 // milliseconds of one round each
}

// opBackend hands out queues that time their operations. Only a backend whose operations are
// done when they return can be timed like that.
type opBackend struct {
	tensor.Backend
	names map[string]*opTimes
	round int
	on    bool

	late     putsOff // the queue; nil if it puts nothing off
	held     string  // what it has put off
	heldCost opCost
	seen     time.Duration // what was booked of its time
}

// HalfRows reports whether the backend takes features in half precision.
func (b *opBackend) HalfRows() bool { return tensor.TakesHalfRows(b.Backend) }

// NewQueue returns a timing queue.
func (b *opBackend) NewQueue() (tensor.Queue, error) {
	q, err := b.Backend.NewQueue()
	if err != nil {
		return nil, err
	}
	if late, ok := q.(putsOff); ok {
		b.late, b.held, b.heldCost, b.seen = late, "", opCost{}, 0
	}
	return timedQueue(q, b), nil
}

// putsOff is a queue that does some operations together with those that follow them.
type putsOff interface {
	tensor.Deferrer
	// Waiting reports whether there are operations that it has put off.
	Waiting() bool
	// Spent returns the time that operations put off took so far.
	Spent() time.Duration
}

// time runs an operation and books it, with those that it runs together with.
func (b *opBackend) time(name string, c opCost, op func()) {
	begin := time.Now()
	op()
	elapsed := sinceMS(begin)
	if b.late != nil {
		elapsed -= b.settle()
		if b.late.Waiting() {
			if b.held != "" {
				name = b.held + " + " + name
			}
			b.held, b.heldCost = name, opCost{b.heldCost.flops + c.flops, b.heldCost.bytes + c.bytes}
			return
		}
	}
	b.book(name, c, elapsed)
}

// settle books what was put off, if it is done by now, and returns its milliseconds.
func (b *opBackend) settle() float64 {
	spent := b.late.Spent() - b.seen
	if spent == 0 {
		return 0
	}
	b.seen += spent
	ms := spent.Seconds() * 1e3
	b.book(b.held, b.heldCost, ms)
	b.held, b.heldCost = "", opCost{}
	return ms
}

func (b *opBackend) book(name string, c opCost, ms float64) {
	if !b.on {
		return
	}
	t := b.names[name]
	if t == nil {
		t = &opTimes{name: name}
		b.names[name] = t
	}
	for len(t.elapsed) <= b.round {
		t.elapsed = append(t.elapsed, 0)
	}
	t.elapsed[b.round] += ms
	t.cost.flops += c.flops
	t.cost.bytes += c.bytes
	t.calls++
}

// opQueue times the operations of a step.
type opQueue struct {
	tensor.Queue
	b *opBackend
}

// Defer passes on.
func (q *opQueue) Defer(on bool) {
	if q.b.late != nil {
		q.b.late.Defer(on)
	}
}

// moved returns the cost of an operation that reads or writes each of ts once.
func moved(ts ...tensor.Tensor) opCost {
	c := opCost{}
	for _, t := range ts {
		if t.Present() {
			c.bytes += float64(t.Bytes())
		}
	}
	return c
}

// Gemm times a product by its widths: the rows of a minibatch change.
func (q *opQueue) Gemm(transA, transB bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	k, name := a.Cols, fmt.Sprintf("x W %d→%d", a.Cols, c.Cols)
	switch {
	case transA:
		k, name = a.Rows, fmt.Sprintf("xᵀ dy %d×%d", c.Rows, c.Cols)
	case transB:
		name = fmt.Sprintf("dy Wᵀ %d→%d", a.Cols, c.Cols)
	}
	q.b.time(name, opCost{flops: 2 * float64(k) * float64(c.Rows) * float64(c.Cols)}, func() {
		q.Queue.Gemm(transA, transB, alpha, a, b, beta, c)
	})
}

// SpMM times a sparse product.
func (q *opQueue) SpMM(alpha float32, a *tensor.CSR, x tensor.Tensor, beta float32, y tensor.Tensor) {
	entries := float64(a.Indices.Rows)
	q.b.time(fmt.Sprintf("A x %d", x.Cols), opCost{bytes: entries*float64(8+4*x.Cols) + float64(y.Bytes())}, func() {
		q.Queue.SpMM(alpha, a, x, beta, y)
	})
}

// GatherRows times the copy of rows.
func (q *opQueue) GatherRows(src, idx tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	q.b.time(fmt.Sprintf("gather %d", dst.Cols), moved(dst, dst, idx), func() { q.Queue.GatherRows(src, idx, drop, dst) })
}

// Axpby times a copy or sum.
func (q *opQueue) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	q.b.time("axpby", moved(x, y), func() { q.Queue.Axpby(alpha, x, beta, y) })
}

// Fill times a fill.
func (q *opQueue) Fill(v float32, t tensor.Tensor) {
	q.b.time("fill", moved(t), func() { q.Queue.Fill(v, t) })
}

// Dropout times dropout that nothing else does on the way.
func (q *opQueue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	q.b.time(fmt.Sprintf("dropout %d", x.Cols), moved(x, y), func() { q.Queue.Dropout(p, key, x, y) })
}

// BiasActNorm times bias, activation and row norm.
func (q *opQueue) BiasActNorm(act tensor.Act, bias, scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	q.b.time(fmt.Sprintf("norm %d", x.Cols), moved(x, y), func() {
		q.Queue.BiasActNorm(act, bias, scale, offset, x, drop, y, mean, rstd)
	})
}

// BiasActNormBackward times the gradient of those.
func (q *opQueue) BiasActNormBackward(act tensor.Act, bias, scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dbias, dscale, doffset tensor.Tensor) {
	q.b.time(fmt.Sprintf("norm' %d", x.Cols), moved(x, dy, dx), func() {
		q.Queue.BiasActNormBackward(act, bias, scale, mean, rstd, x, dy, drop, dx, dbias, dscale, doffset)
	})
}

// NormalizeRows times the L2 norm.
func (q *opQueue) NormalizeRows(x, y, norm tensor.Tensor) {
	q.b.time(fmt.Sprintf("l2norm %d", x.Cols), moved(x, y), func() { q.Queue.NormalizeRows(x, y, norm) })
}

// NormalizeRowsBackward times the gradient of that.
func (q *opQueue) NormalizeRowsBackward(dy, y, norm, dx tensor.Tensor) {
	q.b.time(fmt.Sprintf("l2norm' %d", y.Cols), moved(dy, y, dx), func() { q.Queue.NormalizeRowsBackward(dy, y, norm, dx) })
}

// SoftmaxXent times the loss with its gradient.
func (q *opQueue) SoftmaxXent(logits, class, weight, loss, dlogits tensor.Tensor) {
	q.b.time("loss", moved(logits, dlogits), func() { q.Queue.SoftmaxXent(logits, class, weight, loss, dlogits) })
}

// SigmoidXent times the loss with its gradient.
func (q *opQueue) SigmoidXent(logits, target, weight, loss, dlogits tensor.Tensor) {
	q.b.time("loss", moved(logits, target, dlogits), func() { q.Queue.SigmoidXent(logits, target, weight, loss, dlogits) })
}

// SumSquares times a sum of squares.
func (q *opQueue) SumSquares(x, out tensor.Tensor) {
	q.b.time("squares", moved(x), func() { q.Queue.SumSquares(x, out) })
}

// Adam times an update.
func (q *opQueue) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	q.b.time("adam", moved(grad, m, v, value, grad, m, v, value), func() { q.Queue.Adam(h, sumsq, grad, m, v, value) })
}

// ops measures the operations of a step, each for itself.
func (b *bencher) ops(ctx context.Context) error {
	batches, err := b.drawBatches(ctx, benchBatches)
	if err != nil {
		return err
	}
	defer release(batches)
	timed := &opBackend{names: map[string]*opTimes{}}
	m, err := newBenchModel(b.set.ds, b.set.config, b.threads, b.seed, func(back tensor.Backend) tensor.Backend {
		timed.Backend = back
		return timed
	})
	if err != nil {
		return err
	}
	defer m.close()
	flops := around(b.machine.peakFlops, b.threads)
	total, err := timed.measure(m, batches, b.repeats)
	if err != nil {
		return err
	}
	return b.reportOps(timed, total, flops(), float64(len(batches)))
}

// measure does some rounds of steps over the batches and returns what each took.
func (b *opBackend) measure(m *benchModel, batches []*loader.Batch, repeats int) ([]float64, error) {
	total := make([]float64, repeats)
	for round := -2; round < repeats; round++ {
		b.round, b.on = round, round >= 0
		begin := time.Now()
		for i, batch := range batches {
			if _, err := m.stepper.Step(batch, uint64((round+2)*len(batches)+i), nil); err != nil {
				return nil, err
			}
		}
		if b.on {
			total[round] = sinceMS(begin)
		}
	}
	return total, nil
}

// reportOps prints the operations by what they take of a step, and what lies between them.
func (b *bencher) reportOps(timed *opBackend, total []float64, flops, batches float64) error {
	var all []*opTimes
	rest := slices.Clone(total)
	for _, t := range timed.names {
		all = append(all, t)
		for i, e := range t.elapsed {
			rest[i] -= e
		}
	}
	all = append(all, &opTimes{name: "between operations", elapsed: rest})
	whole := median(slices.Sorted(slices.Values(total)))
	slices.SortFunc(all, func(x, y *opTimes) int {
		if sumOf(x.elapsed) > sumOf(y.elapsed) {
			return -1
		}
		return 1
	})
	for _, t := range all {
		for i := range t.elapsed {
			t.elapsed[i] /= batches
		}
		f := newFigure("ops/"+b.set.label+" "+t.name, b.threads, "ms", t.elapsed)
		steps := batches * float64(len(t.elapsed))
		switch {
		case t.cost.flops > 0:
			f.rate(t.cost.flops/steps/f.Value*1e3, "GFLOP/s", 1e9, flops)
		case t.cost.bytes > 0:
			f.rate(t.cost.bytes/steps/f.Value*1e3, "GB/s", 1e9, b.machine.peakBytes(b.threads))
		}
		f.Work = fmt.Sprintf("%.1f %% of a step, %.3g calls", 100*f.Value*batches/whole, float64(t.calls)/steps)
		if err := b.report.add(f); err != nil {
			return err
		}
	}
	return nil
}

func sumOf(x []float64) float64 {
	total := 0.0
	for _, v := range x {
		total += v
	}
	return total
}
