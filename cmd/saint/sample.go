package main

import (
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

func newSampleCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "sample",
		Usage: "write normalised subgraphs as an Arrow IPC stream and print its SHA-256",
		Description: "The subgraphs are those that training with the same seed reads; docs/formats/batch.md describes the columns.\n" +
			"The number of workers does not change a byte.",
		Flags: append(
			dataFlags(),
			&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`, as for train"},
			&cli.IntFlag{Name: "phase", Usage: "phase `N` of the configuration, from 0"},
			&cli.IntFlag{Name: "count", Usage: "`N` subgraphs", DefaultText: "one epoch"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N`"},
			&cli.IntFlag{Name: "num_cpu_core", Usage: "sampler goroutines `N`", DefaultText: "one a core"},
			&cli.StringFlag{Name: "out", Usage: "output `FILE`; nothing is written without it"},
			&cli.BoolFlag{Name: "features", Usage: "also write the rows of the feature matrix"},
			&cli.BoolFlag{Name: "no_edge_ids", Usage: "leave out the positions of the edges in the training graph"},
		),
		Action: func(c *cli.Context) error {
			o := sampleOptions{
				data: c.String("data_prefix"), edgeWeight: c.Bool("edge_weight"), config: c.String("train_config"), phase: c.Int("phase"),
				count: c.Int("count"), seed: c.Uint64("seed"), workers: c.Int("num_cpu_core"), out: c.String("out"),
				features: c.Bool("features"), edgeIDs: !c.Bool("no_edge_ids"),
			}
			switch {
			case o.config == "":
				return usagef("--train_config is missing: a YAML file, or a built-in one ('saint config list')")
			case c.IsSet("count") && o.count < 1:
				return usagef("--count is %d, want 1 or more", o.count)
			}
			if err := checkWorkers(o.workers, c.IsSet("num_cpu_core")); err != nil {
				return err
			}
			if err := checkPrefix(o.data); err != nil {
				return err
			}
			if err := checkOut(o.out); err != nil {
				return err
			}
			return runSample(c.Context, o, e)
		},
	}
}

type sampleOptions struct {
	data, config, out string
	edgeWeight        bool
	phase, count      int
	seed              uint64
	workers           int
	features, edgeIDs bool
}

func runSample(ctx context.Context, o sampleOptions, e *env) error {
	cfg, err := trainconfig.Load(o.config, dataName(o.data))
	if err != nil {
		return err
	}
	if o.phase < 0 || o.phase >= len(cfg.Phases) {
		return usagef("--phase is %d, but the phases of %s are 0 to %d", o.phase, cfg.Name, len(cfg.Phases)-1)
	}
	ds, _, err := loadData(ctx, e, o.data, o.edgeWeight)
	if err != nil {
		return err
	}
	if ds.Close != nil {
		defer ds.Close() //nolint:errcheck // opened for reading
	}
	src, err := openSource(ctx, e, o, cfg, ds)
	if err != nil {
		return err
	}
	defer src.pipeline.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
	line := sampleLine{Type: "sample", Count: src.count, Out: o.out}
	write := func(w io.Writer) error { return src.write(ctx, e, w, &line) }
	if o.out == "" {
		err = write(io.Discard)
	} else {
		err = atomicfile.Write(o.out, write)
	}
	if err != nil {
		return err
	}
	return line.print(e)
}

// sampleSource is an open pipeline with what its stream says of itself.
type sampleSource struct {
	pipeline *loader.Pipeline
	meta     arrowrec.Meta
	count    int
}

func openSource(ctx context.Context, e *env, o sampleOptions, cfg *trainconfig.Config, ds *formats.Dataset) (*sampleSource, error) {
	env := samplers.NewEnv(trainer.TrainingGraph(cfg, ds), ds.TrainNodes)
	p := &cfg.Phases[o.phase]
	s, err := trainer.NewSampler(p, env)
	if err != nil {
		return nil, err
	}
	if err := p.Params.Unused(); err != nil {
		return nil, err
	}
	if o.count == 0 {
		o.count = samplers.BatchesPerEpoch(s, env)
	}
	if err := trainer.PrepareSampler(ctx, s, e.progress, e.prepareOptions(o.workers, false)); err != nil {
		return nil, err
	}
	norm, err := estimate(ctx, e, o, cfg, s, env)
	if err != nil {
		return nil, err
	}
	config := loader.Config{
		Env: env, Sampler: s, Norm: norm, Labels: &ds.Labels, Symmetric: env.Symmetric(), Workers: o.workers, Prefetch: 2,
		Seed: o.seed, Phase: o.phase, To: uint64(o.count), Alloc: memory.DefaultAllocator,
	}
	if o.features {
		config.Features = ds.Features
	}
	src := &sampleSource{count: o.count, meta: config.Meta(ds.Name, p.SamplerJSON())}
	src.meta.EdgeIDs = o.edgeIDs
	src.pipeline, err = loader.Open(ctx, config)
	return src, err
}

func estimate(ctx context.Context, e *env, o sampleOptions, cfg *trainconfig.Config, s samplers.Sampler, env samplers.Env) (*samplers.Norm, error) {
	task := e.progress.Start("normalisation", "nodes", 0)
	defer task.Done()
	p := cfg.Params
	return samplers.EstimateNorm(ctx, s, env, samplers.EstimateOptions{
		Coverage: p.SampleCoverage, Workers: o.workers, Seed: o.seed, Phase: o.phase,
		DisableNormLoss: !p.NormLoss, DisableNormAggr: !p.NormAggr, Compat: p.Compat, Exact: p.Norm == "exact", SubgraphMean: p.Norm == "subgraph",
		Progress: func(drawn, want int64) {
			task.SetTotal(want)
			task.Set(drawn, "")
		},
	})
}

// sampleLine is the JSON of a stream.
type sampleLine struct {
	Type   string `json:"type"`
	Count  int    `json:"count"`
	Nodes  int64  `json:"nodes"`
	Edges  int64  `json:"edges"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Out    string `json:"out,omitempty"`
}

// write streams the batches to w and counts what was written.
func (s *sampleSource) write(ctx context.Context, e *env, w io.Writer, line *sampleLine) error {
	schema := arrowrec.Schema(s.meta)
	out := arrowrec.NewWriter(w, schema)
	task := e.progress.Start("sample", "subgraphs", int64(s.count))
	defer task.Done()
	for i := range s.count {
		b, err := s.pipeline.Next(ctx)
		if err != nil {
			return err
		}
		line.Nodes, line.Edges = line.Nodes+int64(b.NumNodes()), line.Edges+int64(b.NumEdges())
		rec := b.Record(schema)
		err = out.Write(rec)
		rec.Release()
		b.Release()
		if err != nil {
			return err
		}
		task.Set(int64(i+1), "")
	}
	if err := out.Close(); err != nil {
		return err
	}
	line.Bytes, line.SHA256 = out.Bytes(), out.Sum256()
	return nil
}

// print tells what was written, in the format that sha256sum prints and checks.
func (l *sampleLine) print(e *env) error {
	if e.json {
		return e.printJSON(l)
	}
	e.log.Info(fmt.Sprintf("%d subgraphs, %d nodes, %d edges, %d bytes", l.Count, l.Nodes, l.Edges, l.Bytes))
	if l.Out == "" {
		return e.printf("%s\n", l.SHA256)
	}
	return e.printf("%s  %s\n", l.SHA256, l.Out)
}
