package trainer

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// workloads are the data sets that benchmarks train on, with their random-walk
// configurations.
var workloads = []struct{ data, config string }{
	{"flickr-like", "table2/flickr2_rw.yml"},
	{"ppi-like", "table2/ppi2_rw.yml"},
	{"reddit-like", "table2/reddit2_rw.yml"},
}

var generated sync.Map // *formats.Dataset by name: a benchmark function runs more than once

func benchData(b *testing.B, name string) *formats.Dataset {
	b.Helper()
	if d, ok := generated.Load(name); ok {
		return d.(*formats.Dataset)
	}
	if testing.Short() && name == "reddit-like" {
		b.Skip("reddit-like takes long to generate")
	}
	p, err := synth.Lookup(name)
	if err != nil {
		b.Fatal(err)
	}
	d := generate(b, p)
	generated.Store(name, d)
	return d
}

func benchConfig(b *testing.B, name string) *trainconfig.Config {
	b.Helper()
	c, err := trainconfig.Load(name, "")
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// opClock is a queue that adds up the time of its operations by kind. It suits backends
// whose operations have finished when the call returns.
type opClock struct {
	tensor.Queue
	spent map[string]time.Duration
	flops float64 // of dense products
	bytes float64 // of rows of x that sparse products read
}

func (q *opClock) add(kind string, begin time.Time) { q.spent[kind] += time.Since(begin) }

func (q *opClock) Gemm(ta, tb bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	k := a.Cols
	kind := "gemm-nn"
	switch {
	case ta:
		k, kind = a.Rows, "gemm-tn"
	case tb:
		kind = "gemm-nt"
	}
	q.flops += 2 * float64(c.Rows) * float64(c.Cols) * float64(k)
	defer q.add(kind, time.Now())
	q.Queue.Gemm(ta, tb, alpha, a, b, beta, c)
}

func (q *opClock) SpMM(alpha float32, a *tensor.CSR, x tensor.Tensor, beta float32, y tensor.Tensor) {
	q.bytes += 4 * float64(a.Indices.Rows) * float64(x.Cols)
	defer q.add("spmm", time.Now())
	q.Queue.SpMM(alpha, a, x, beta, y)
}

func (q *opClock) GatherRows(src, idx tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	defer q.add("gather", time.Now())
	q.Queue.GatherRows(src, idx, drop, dst)
}

func (q *opClock) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	defer q.add("axpby", time.Now())
	q.Queue.Axpby(alpha, x, beta, y)
}

func (q *opClock) Fill(v float32, t tensor.Tensor) {
	defer q.add("fill", time.Now())
	q.Queue.Fill(v, t)
}

func (q *opClock) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	defer q.add("dropout", time.Now())
	q.Queue.Dropout(p, key, x, y)
}

func (q *opClock) BiasActNorm(act tensor.Act, bias, scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	defer q.add("norm", time.Now())
	q.Queue.BiasActNorm(act, bias, scale, offset, x, drop, y, mean, rstd)
}

func (q *opClock) BiasActNormBackward(act tensor.Act, bias, scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dbias, dscale, doffset tensor.Tensor) {
	defer q.add("norm-back", time.Now())
	q.Queue.BiasActNormBackward(act, bias, scale, mean, rstd, x, dy, drop, dx, dbias, dscale, doffset)
}

func (q *opClock) NormalizeRows(x, y, norm tensor.Tensor) {
	defer q.add("l2norm", time.Now())
	q.Queue.NormalizeRows(x, y, norm)
}

func (q *opClock) NormalizeRowsBackward(dy, y, norm, dx tensor.Tensor) {
	defer q.add("l2norm", time.Now())
	q.Queue.NormalizeRowsBackward(dy, y, norm, dx)
}

func (q *opClock) SoftmaxXent(logits, class, weight, loss, dlogits tensor.Tensor) {
	defer q.add("loss", time.Now())
	q.Queue.SoftmaxXent(logits, class, weight, loss, dlogits)
}

func (q *opClock) SigmoidXent(logits, target, weight, loss, dlogits tensor.Tensor) {
	defer q.add("loss", time.Now())
	q.Queue.SigmoidXent(logits, target, weight, loss, dlogits)
}

func (q *opClock) SumSquares(x, out tensor.Tensor) {
	defer q.add("squares", time.Now())
	q.Queue.SumSquares(x, out)
}

func (q *opClock) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	defer q.add("adam", time.Now())
	q.Queue.Adam(h, sumsq, grad, m, v, value)
}

// report writes the milliseconds of an iteration by kind, and of what no operation took.
func (q *opClock) report(b *testing.B) {
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 / float64(b.N) }
	rest, gemm := b.Elapsed(), time.Duration(0)
	for kind, d := range q.spent {
		rest -= d
		if len(kind) > 4 && kind[:4] == "gemm" {
			gemm += d
		}
		b.ReportMetric(ms(d), kind+"-ms")
	}
	b.ReportMetric(ms(rest), "rest-ms")
	if gemm > 0 {
		b.ReportMetric(q.flops/gemm.Seconds()/1e9, "gemm-GFLOP/s")
	}
	if q.spent["spmm"] > 0 {
		b.ReportMetric(q.bytes/q.spent["spmm"].Seconds()/1e9, "spmm-GB/s")
	}
}

func (q *opClock) reset() {
	clear(q.spent)
	q.flops, q.bytes = 0, 0
}

// timed is a backend whose queues have clocks.
type timed struct {
	tensor.Backend
	clock *opClock
}

func (t *timed) NewQueue() (tensor.Queue, error) {
	q, err := t.Backend.NewQueue()
	t.clock = &opClock{Queue: q, spent: map[string]time.Duration{}}
	return t.clock, err
}

// BenchmarkStep measures a weight update on three of the data set's subgraphs in turn, with
// the milliseconds of each kind of operation.
func BenchmarkStep(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.data, func(b *testing.B) { benchStep(b, benchData(b, w.data), benchConfig(b, w.config)) })
	}
}

func benchStep(b *testing.B, d *formats.Dataset, c *trainconfig.Config) {
	device := &timed{Backend: backend(b, 0)}
	model, err := NewModel(c, d.Features.Dim(), d.Labels.NumClasses, device, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer model.Close()
	opt, err := optim.NewAdam(optim.DefaultAdam(), model.arena, newQueue(b, device), model.Seq.Params())
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewStepper(model, opt, newArena(b, device), d.Features.(formats.Resident), 1)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	batches := benchBatches(b, d, c, 3)
	step := func(i int) {
		if _, err := s.Step(batches[i%len(batches)], uint64(i), nil); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 3 {
		step(i)
	}
	device.clock.reset()
	b.ReportAllocs()
	i := 3
	for b.Loop() {
		step(i)
		i++
	}
	device.clock.report(b)
}

// benchBatches returns the first n subgraphs of the configuration's first phase.
func benchBatches(b *testing.B, d *formats.Dataset, c *trainconfig.Config, n int) []*loader.Batch {
	b.Helper()
	env := samplers.Env{Graph: d.Train, Train: d.TrainNodes}
	sampler, err := NewSampler(&c.Phases[0], env)
	if err != nil {
		b.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(context.Background(), sampler, env, samplers.EstimateOptions{Coverage: 2, Workers: 4, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	src, err := loader.Open(context.Background(), loader.Config{
		Env: env, Sampler: sampler, Norm: norm, Labels: &d.Labels, Symmetric: d.Train.Symmetric(),
		Workers: 1, Prefetch: n, Seed: 1, To: uint64(n),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { src.Close() })
	var batches []*loader.Batch
	for {
		batch, err := src.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return batches
		}
		if err != nil {
			b.Fatal(err)
		}
		batches = append(batches, batch)
	}
}

// BenchmarkEvaluate measures the logits of every node, with the milliseconds of each kind of
// operation.
func BenchmarkEvaluate(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.data, func(b *testing.B) {
			d, c := benchData(b, w.data), benchConfig(b, w.config)
			device := &timed{Backend: backend(b, 0)}
			model, err := NewModel(c, d.Features.Dim(), d.Labels.NumClasses, device, 1)
			if err != nil {
				b.Fatal(err)
			}
			defer model.Close()
			e, err := NewEvaluator(d.Full, d.Features, device, newArena(b, device))
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			run := func() {
				err := e.Logits(context.Background(), model, 0, func(*nn.Context, int, int, tensor.Tensor) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			run()
			device.clock.reset()
			for b.Loop() {
				run()
			}
			device.clock.report(b)
		})
	}
}
