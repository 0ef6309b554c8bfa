package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

// benchSamplers are the samplers of the paper's table by the short names of their
// configurations.
var benchSamplers = []string{"rw.yml", "e.yml", "n.yml", "mrw.yml"}

// sample measures subgraphs drawn, induced, with edge ids and normalised values, by workers
// that share nothing but the graph.
func (b *bencher) sample(ctx context.Context) error {
	for _, config := range b.samplerConfigs() {
		phase := &config.Phases[0]
		s, err := trainer.NewSampler(phase, b.set.env)
		if err != nil {
			return err
		}
		norm, err := samplers.EstimateNorm(ctx, s, b.set.env, samplers.EstimateOptions{Coverage: benchCoverage, Workers: b.threads, Seed: b.seed})
		if err != nil {
			return err
		}
		base := 0.0
		for _, t := range b.machine.scaling() {
			f, err := b.sampleOn(ctx, s, norm, t, phase.Sampler)
			if err != nil {
				return err
			}
			if t == 1 {
				base = f.Value
			}
			f.efficiency(f.Value / base)
			if err := b.report.add(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// samplerConfigs returns the configuration asked for, else all of the data set.
func (b *bencher) samplerConfigs() []*trainconfig.Config {
	if b.config != "" {
		return []*trainconfig.Config{b.set.config}
	}
	var all []*trainconfig.Config
	for _, name := range benchSamplers {
		if c, err := trainconfig.Load(name, dataName(b.set.prefix)); err == nil {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		all = append(all, b.set.config)
	}
	return all
}

// drawer is one worker's memory.
type drawer struct {
	scratch samplers.Scratch
	sub     formats.Subgraph
	_       [64]byte // keeps workers' memory on separate cache lines
}

func (d *drawer) draw(s samplers.Sampler, env samplers.Env, norm *samplers.Norm, seed, index uint64) error {
	if err := samplers.DrawAt(s, env, seed, 0, index, &d.scratch, &d.sub); err != nil {
		return err
	}
	norm.Apply(env.Graph, &d.sub)
	return nil
}

// scanned returns the bytes that the last draw has to touch at least: the neighbours of its
// nodes, and the subgraph.
func (d *drawer) scanned(env samplers.Env) float64 {
	ids := 0
	for _, v := range d.sub.Nodes {
		ids += env.Graph.Degree(v)
	}
	return float64(4*ids + 12*d.sub.NumNodes() + 16*d.sub.NumEdges())
}

func (b *bencher) sampleOn(ctx context.Context, s samplers.Sampler, norm *samplers.Norm, threads int, name string) (figure, error) {
	drawers := make([]drawer, threads)
	var next atomic.Uint64
	round := func(limit time.Duration) (float64, error) {
		errs := make([]error, threads)
		first := next.Load()
		begin := time.Now()
		var all sync.WaitGroup
		for w := range drawers {
			all.Go(func() {
				for errs[w] == nil && time.Since(begin) < limit && ctx.Err() == nil {
					errs[w] = drawers[w].draw(s, b.set.env, norm, b.seed, next.Add(1)-1)
				}
			})
		}
		all.Wait()
		rate := float64(next.Load()-first) / time.Since(begin).Seconds()
		for _, err := range errs {
			if err != nil {
				return 0, err
			}
		}
		return rate, ctx.Err()
	}
	if _, err := round(benchTimes.sample); err != nil { // buffers grow
		return figure{}, err
	}
	samples := make([]float64, b.repeats)
	for i := range samples {
		var err error
		if samples[i], err = round(benchTimes.sample); err != nil {
			return figure{}, err
		}
	}
	f := newFigure("sample/"+b.set.label+" "+name, threads, "subgraphs/s", samples)
	d, bytes := &drawers[0], 0.0
	const looked = 8
	for i := range uint64(looked) {
		if err := d.draw(s, b.set.env, norm, b.seed, i); err != nil {
			return figure{}, err
		}
		bytes += d.scanned(b.set.env) / looked
	}
	allocs, err := allocations(func() error { return d.draw(s, b.set.env, norm, b.seed, 0) })
	if err != nil {
		return figure{}, err
	}
	f.rate(f.Value*bytes, "GB/s", 1e9, b.machine.peakBytes(threads))
	f.Allocs = &allocs
	f.Work = fmt.Sprintf("%d nodes, %d edges, %.2f MB scanned", d.sub.NumNodes(), d.sub.NumEdges(), bytes/1e6)
	return f, nil
}

// norm measures the whole normalisation phase of the configuration.
func (b *bencher) norm(ctx context.Context) error {
	s, err := trainer.NewSampler(&b.set.config.Phases[0], b.set.env)
	if err != nil {
		return err
	}
	coverage, subgraphs := b.set.config.Params.SampleCoverage, 0
	samples, err := b.few(func() (float64, error) {
		begin := time.Now()
		n, err := samplers.EstimateNorm(ctx, s, b.set.env, samplers.EstimateOptions{Coverage: coverage, Workers: b.threads, Seed: b.seed})
		if err != nil {
			return 0, err
		}
		subgraphs = n.Subgraphs
		return sinceMS(begin), nil
	})
	if err != nil {
		return err
	}
	f := newFigure("norm/"+b.set.label+" "+b.set.config.Phases[0].Sampler, b.threads, "ms", samples)
	f.rate(float64(subgraphs)/f.Value*1e3, "subgraphs/s", 1, 0)
	f.Work = fmt.Sprintf("coverage %d, %d subgraphs", coverage, subgraphs)
	return b.report.add(f)
}

// few repeats a long operation, but not for ever.
func (b *bencher) few(op func() (float64, error)) ([]float64, error) {
	var samples []float64
	for begin := time.Now(); len(samples) < b.repeats && (len(samples) < min(3, b.repeats) || time.Since(begin) < benchTimes.few); {
		ms, err := op()
		if err != nil {
			return nil, err
		}
		samples = append(samples, ms)
		if err := b.ctx.Err(); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// eval measures the scores of all splits on the full graph.
func (b *bencher) eval(ctx context.Context) error {
	base := 0.0
	for _, t := range b.machine.scaling() {
		f, err := b.evalOn(ctx, t)
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

func (b *bencher) evalOn(ctx context.Context, threads int) (figure, error) {
	set := b.set
	m, err := newBenchModel(set.ds, set.config, threads, b.seed)
	if err != nil {
		return figure{}, err
	}
	defer m.close()
	score, done, err := m.scorer(set.ds)
	if err != nil {
		return figure{}, err
	}
	defer done()
	if _, err := score.Evaluate(ctx, m.model); err != nil {
		return figure{}, err
	}
	peakBytes, limit := int64(0), around(b.machine.peakFlops, threads)
	samples, err := b.few(func() (float64, error) {
		m.arena.ResetPeak()
		begin := time.Now()
		_, err := score.Evaluate(ctx, m.model)
		peakBytes = m.arena.Peak()
		return sinceMS(begin), err
	})
	if err != nil {
		return figure{}, err
	}
	flops := evalFlops(set)
	f := newFigure("eval/"+set.label, threads, "ms", samples)
	f.rate(flops/f.Value*1e3, "GFLOP/s", 1e9, limit())
	f.Work = fmt.Sprintf("%d nodes, %d edges, %.1f GFLOP, %d MB beside the data", set.ds.NumNodes(), set.ds.Full.NumEdges(), flops/1e9, peakBytes/1e6)
	return f, nil
}

// scorer returns a scorer of the model on all nodes, in the memory of its steps.
func (m *benchModel) scorer(ds *formats.Dataset) (*trainer.Scorer, func(), error) {
	eval, err := trainer.NewEvaluator(ds.Full, ds.Features, m.backend, m.arena)
	if err != nil {
		return nil, nil, err
	}
	s, err := trainer.NewScorer(ds, eval, m.model.Loss, false)
	if err != nil {
		return nil, nil, err
	}
	return s, func() { _ = eval.Close() }, nil // nothing is queued
}

// load measures opening a data folder; a generated graph is written to a temporary one.
func (b *bencher) load(ctx context.Context) (err error) {
	dir := b.set.prefix
	if strings.HasPrefix(dir, synthPrefix) {
		name, seed, err := synth.Parse(dir)
		if err != nil {
			return err
		}
		raw, err := generate(ctx, b.env, name, seed)
		if err != nil {
			return err
		}
		tmp, err := os.MkdirTemp("", "saint-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = removeAll(tmp) }()
		dir = filepath.Join(tmp, b.set.label)
		b.env.log.Info("writing " + b.set.label + " to a temporary folder")
		if err := saintdir.Write(dir, raw); err != nil {
			return err
		}
	}
	size, err := folderSize(dir)
	if err != nil {
		return err
	}
	samples, err := b.few(func() (float64, error) {
		begin := time.Now()
		ds, err := saintdir.Load(dir, saintdir.Options{EdgeWeight: b.edgeWeight})
		if err != nil {
			return 0, err
		}
		ms := sinceMS(begin)
		if ds.Close != nil {
			_ = ds.Close() // opened for reading
		}
		return ms, nil
	})
	if err != nil {
		return err
	}
	f := newFigure("load/"+b.set.label, b.threads, "ms", samples)
	f.rate(float64(size)/f.Value*1e3, "GB/s", 1e9, 0)
	f.Work = fmt.Sprintf("%d nodes, %d edges, %d features, %d MB of files in the page cache",
		b.set.ds.NumNodes(), b.set.ds.Full.NumEdges(), b.set.ds.Features.Dim(), size/1e6)
	return b.report.add(f)
}

func folderSize(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	return total, err
}
