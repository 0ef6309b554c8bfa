package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
)

// NormOptions says how a run of that seed normalises a phase of the configuration.
func NormOptions(c *trainconfig.Config, phase int, seed uint64) samplers.EstimateOptions {
	p := &c.Params
	return samplers.EstimateOptions{
		Coverage: p.SampleCoverage, Seed: seed, Phase: phase,
		DisableNormLoss: !p.NormLoss, DisableNormAggr: !p.NormAggr, Compat: p.Compat, Exact: p.Norm == "exact", SubgraphMean: p.Norm == "subgraph",
	}
}

// NormKey names the coefficients of a phase, in caches and in the streams of the sampling
// service; graph is samplers.Env.Fingerprint.
func NormKey(c *trainconfig.Config, phase int, graph string, o samplers.EstimateOptions) string {
	p := &c.Phases[phase]
	return samplers.CacheKey(graph, p.Sampler, p.SamplerJSON(), o)
}

// norm returns the normalisation of a phase: from the run's folder, else from the cache
// that runs share, else estimated now and kept in both.
func (r *run) norm(ctx context.Context, i int, env samplers.Env) (*samplers.Norm, error) {
	begin := time.Now()
	defer func() {
		r.Times.Norm += time.Since(begin).Seconds()
		r.span(LaneRun, "normalisation", i, begin)
	}()
	o := NormOptions(r.Config, i, r.Seed)
	o.Workers = r.Workers
	key := NormKey(r.Config, i, env.Fingerprint(), o)
	var paths []string // the run's folder first
	if r.Dir != nil {
		paths = append(paths, r.Dir.NormPath(i))
	}
	if r.CacheDir != "" {
		paths = append(paths, filepath.Join(r.CacheDir, "norm", key+".safetensors"))
	}
	for k, path := range paths {
		norm, err := samplers.LoadNorm(path, key, env)
		if err == nil {
			r.Log.Info("normalisation taken from file", "path", path)
			return norm, r.keepNorm(paths[:k], key, norm)
		}
		// A damaged file is no reason to stop: it is computed again and replaced.
		if !errors.Is(err, fs.ErrNotExist) {
			r.Log.Warn("cached normalisation ignored and computed again", "error", err)
		}
	}
	norm, err := r.estimate(ctx, i, env, o)
	if err != nil {
		return nil, err
	}
	return norm, r.keepNorm(paths, key, norm)
}

// prepare does what the sampler of a phase needs before its first draw, with progress.
func (r *run) prepare(ctx context.Context, i int) error {
	begin := time.Now()
	defer func() { r.Times.Norm += time.Since(begin).Seconds() }()
	return PrepareSampler(ctx, r.phases[i].sampler, r.Progress, samplers.PrepareOptions{
		Workers: r.Workers, CacheDir: r.CacheDir,
		Warn: func(err error) { r.Log.Warn(err.Error()) },
	})
}

// PrepareSampler is [samplers.Prepare] with a line of progress.
func PrepareSampler(ctx context.Context, s samplers.Sampler, p *progress.Reporter, o samplers.PrepareOptions) error {
	if _, ok := s.(samplers.Preparer); !ok {
		return nil
	}
	task := p.Start("partition of the graph", "entries", 0)
	defer task.Done()
	o.Progress = func(done, total int64) {
		task.SetTotal(total)
		task.Set(done, "")
	}
	return samplers.Prepare(ctx, s, o)
}

// estimate counts, with progress.
func (r *run) estimate(ctx context.Context, i int, env samplers.Env, o samplers.EstimateOptions) (*samplers.Norm, error) {
	begin := time.Now()
	task := r.Progress.Start(fmt.Sprintf("normalisation of phase %d", i), "nodes", 0)
	defer task.Done()
	o.Progress = func(drawn, want int64) {
		task.SetTotal(want)
		task.Set(drawn, "")
		if r.OnNorm != nil {
			r.OnNorm(drawn, want)
		}
	}
	norm, err := samplers.EstimateNorm(ctx, r.phases[i].sampler, env, o)
	if err == nil {
		r.Log.Info("normalisation estimated", "phase", i, "subgraphs", norm.Subgraphs, "seconds", time.Since(begin).Seconds())
	}
	return norm, err
}

// keepNorm writes the normalisation to paths. The run's folder must take it; the shared
// cache is a convenience.
func (r *run) keepNorm(paths []string, key string, n *samplers.Norm) error {
	for k, path := range paths {
		err := fileop.MkdirAll(filepath.Dir(path), 0o777)
		if err == nil {
			err = n.Save(path, key)
		}
		if err != nil && r.Dir != nil && k == 0 {
			return err
		}
		if err != nil {
			r.Log.Warn("the normalisation could not be cached", "error", err)
		}
	}
	return nil
}
