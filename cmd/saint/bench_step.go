package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// benchBatches is how many subgraphs the steps take in turn: no step finds its own
// subgraph in the caches.
const benchBatches = 4

// benchCoverage is the coverage of the normalisation where only sizes matter.
const benchCoverage = 1

// drawBatches returns the first n subgraphs of the first phase, without features.
func (b *bencher) drawBatches(ctx context.Context, n int) ([]*loader.Batch, error) {
	return drawBatches(ctx, b.set, b.seed, b.threads, benchCoverage, n)
}

func drawBatches(ctx context.Context, set *benchSet, seed uint64, workers, coverage, n int) (_ []*loader.Batch, err error) {
	src, err := openBatches(ctx, set, seed, workers, coverage, n)
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
	var out []*loader.Batch
	for range n {
		batch, err := src.Next(ctx)
		if err != nil {
			release(out)
			return nil, err
		}
		out = append(out, batch)
	}
	return out, nil
}

// openBatches starts a pipeline of the first n subgraphs of the first phase that can all be
// held at once.
func openBatches(ctx context.Context, set *benchSet, seed uint64, workers, coverage, n int) (*loader.Pipeline, error) {
	s, err := trainer.NewSampler(&set.config.Phases[0], set.env)
	if err != nil {
		return nil, err
	}
	p := set.config.Params
	norm, err := samplers.EstimateNorm(ctx, s, set.env, samplers.EstimateOptions{
		Coverage: coverage, Workers: workers, Seed: seed, DisableNormLoss: !p.NormLoss, DisableNormAggr: !p.NormAggr, Compat: p.Compat, Exact: p.Norm == "exact", SubgraphMean: p.Norm == "subgraph",
	})
	if err != nil {
		return nil, err
	}
	return loader.Open(ctx, loader.Config{
		Env: set.env, Sampler: s, Norm: norm, Labels: &set.ds.Labels, Symmetric: set.env.Symmetric(), Workers: workers, Prefetch: n,
		Seed: seed, To: uint64(n),
	})
}

func release(batches []*loader.Batch) {
	for _, b := range batches {
		b.Release()
	}
}

// benchModel is a model with what a step of it needs.
type benchModel struct {
	backend tensor.Backend
	model   *trainer.Model
	opt     optim.Optimizer
	stepper *trainer.Stepper
	arena   tensor.Arena // of steps and evaluations
	moments tensor.Arena // of the optimizer
}

// newBenchModel makes a model; wrap, if there is one, may replace the backend.
func newBenchModel(ds *formats.Dataset, config *trainconfig.Config, threads int, seed uint64, wrap ...func(tensor.Backend) tensor.Backend) (_ *benchModel, err error) {
	m := &benchModel{}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.backend, err = tensor.Open("cpu", tensor.Options{Threads: threads}); err != nil {
		return nil, err
	}
	for _, w := range wrap {
		m.backend = w(m.backend)
	}
	if m.model, err = trainer.NewModel(config, ds.Features.Dim(), ds.Labels.NumClasses, m.backend, seed); err != nil {
		return nil, err
	}
	if m.arena, err = m.backend.NewArena(); err != nil {
		return nil, err
	}
	if m.moments, err = m.backend.NewArena(); err != nil {
		return nil, err
	}
	q, err := m.backend.NewQueue()
	if err != nil {
		return nil, err
	}
	adam, p := optim.DefaultAdam(), config.Params
	adam.LR, adam.WeightDecay, adam.Clip, adam.ClipBy = p.LR, p.WeightDecay, p.GradClip, p.GradClipType
	m.opt, err = optim.NewAdam(adam, m.moments, q, m.model.Seq.Params())
	if err = errors.Join(err, q.Sync(), q.Close()); err != nil {
		return nil, err
	}
	if _, resident := formats.StoredOf(ds.Features); !resident {
		return nil, errNotInMemory
	}
	m.stepper, err = trainer.NewStepper(m.model, m.opt, m.arena, ds.Features, seed, trainer.WithActivations(trainer.ActivationStore(p.Activations)))
	return m, err
}

func (m *benchModel) close() {
	if m.stepper != nil {
		_ = m.stepper.Close() // nothing is queued
	}
	for _, a := range []tensor.Arena{m.arena, m.moments} {
		if a != nil {
			_ = a.Close() // unmapping our own memory
		}
	}
	if m.model != nil {
		_ = m.model.Close() // likewise
	}
	if m.backend != nil {
		_ = m.backend.Close() // likewise
	}
}

// step measures updates without the making of their subgraphs.
func (b *bencher) step(ctx context.Context) error {
	batches, err := b.drawBatches(ctx, benchBatches)
	if err != nil {
		return err
	}
	defer release(batches)
	base := 0.0
	for _, t := range b.machine.scaling() {
		f, err := b.stepOn(t, batches)
		if err != nil {
			return err
		}
		if t == 1 {
			base = f.Value
		}
		f.efficiency(base / f.Value)
		if err := b.report.add(f); err != nil {
			return err
		}
	}
	return nil
}

func (b *bencher) stepOn(threads int, batches []*loader.Batch) (figure, error) {
	m, err := newBenchModel(b.set.ds, b.set.config, threads, b.seed)
	if err != nil {
		return figure{}, err
	}
	defer m.close()
	index := uint64(0)
	round := func() error {
		for _, batch := range batches {
			if _, err := m.stepper.Step(batch, index, nil); err != nil {
				return err
			}
			index++
		}
		return nil
	}
	limit := around(b.machine.peakFlops, threads)
	samples, err := b.timed(round)
	if err != nil {
		return figure{}, err
	}
	most := limit()
	for i := range samples {
		samples[i] /= float64(len(batches))
	}
	allocs, err := allocations(round)
	if err != nil {
		return figure{}, err
	}
	allocs /= float64(len(batches))
	flops, nodes, edges := 0.0, 0, 0
	for _, batch := range batches {
		flops += stepFlops(b.set, batch.NumNodes(), batch.NumEdges()) / float64(len(batches))
		nodes, edges = nodes+batch.NumNodes()/len(batches), edges+batch.NumEdges()/len(batches)
	}
	f := newFigure("step/"+b.set.label+" "+b.set.config.Phases[0].Sampler, threads, "ms", samples)
	f.rate(flops/f.Value*1e3, "GFLOP/s", 1e9, most)
	f.Allocs = &allocs
	f.Work = fmt.Sprintf("%d nodes, %d edges, %.1f GFLOP", nodes, edges, flops/1e9)
	return f, nil
}

// allocations returns the objects that op allocates on the Go heap, the least of three calls:
// the runtime's own come and go.
func allocations(op func() error) (float64, error) {
	least := -1.0
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := op(); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		if n := float64(after.Mallocs - before.Mallocs); least < 0 || n < least {
			least = n
		}
	}
	return least, nil
}

// layerCost counts the operations of one layer: a multiply-add is two.
type layerCost struct{ dense, sparse float64 }

// layerCosts returns what the layers of a network cost at least on n nodes and m edges,
// forward: the sparse products at the narrower of both widths.
func layerCosts(set *benchSet, n, m int) []layerCost {
	net := set.config.Network
	in := set.ds.Features.Dim()
	var costs []layerCost
	for _, order := range net.Arch {
		hops := float64(order + 1)
		costs = append(costs, layerCost{
			dense:  2 * float64(n) * float64(in) * float64(net.Dim) * hops,
			sparse: 2 * float64(m) * float64(min(in, net.Dim)) * float64(order),
		})
		in = net.Dim
		if net.Aggr != "mean" {
			in *= order + 1
		}
	}
	return append(costs, layerCost{dense: 2 * float64(n) * float64(in) * float64(set.ds.Labels.NumClasses)})
}

// stepFlops counts forward, weight gradients and, but for the features, input gradients.
func stepFlops(set *benchSet, n, m int) float64 {
	total := 0.0
	for i, c := range layerCosts(set, n, m) {
		total += 2*c.dense + 2*c.sparse
		if i > 0 {
			total += c.dense
		}
	}
	return total
}

// evalFlops counts one forward pass over the full graph.
func evalFlops(set *benchSet) float64 {
	total := 0.0
	for _, c := range layerCosts(set, set.ds.NumNodes(), int(set.ds.Full.NumEdges())) {
		total += c.dense + c.sparse
	}
	return total
}
