package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/meta"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// planDraws is how many subgraphs are drawn to find a large one.
const planDraws = 20

// planOptions are the flags of 'saint plan'.
type planOptions struct {
	config, data             string
	edgeWeight               bool
	nodes, features, classes int
	edges                    int64
	multi                    bool
	seed                     uint64
	workers                  int
	over                     overrides
	compat, dtype            string
	gpu                      int   // -1: none is planned for
	memory                   int64 // of a GPU that is not here; 0: none
}

func newPlanCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "say how much memory a training step takes, before there is data or a device",
		Description: "Examples: saint plan --train_config rw.yml --data_prefix synth:flickr-like --n_bits 2\n" +
			"          saint plan --train_config my.yml --nodes 2449029 --edges 123718280 --features 100 --classes 47\n" +
			"With data it draws " + fmt.Sprint(planDraws) + " subgraphs of each phase and plans the largest; without it --nodes and --edges are those\n" +
			"of one step: of a subgraph, or of the graph for full-batch training. The bytes are those of a run on the CPU.",
		Flags: append(append(dataFlags(), activationFlags()...),
			&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`, as 'saint train' takes it"},
			&cli.IntFlag{Name: "nodes", Usage: "`N` nodes a step"},
			&cli.Int64Flag{Name: "edges", Usage: "`M` entries of the adjacency a step: an undirected edge is two"},
			&cli.IntFlag{Name: "features", Usage: "`F` features a node"},
			&cli.IntFlag{Name: "classes", Usage: "`C` classes"},
			&cli.BoolFlag{Name: "multi_label", Usage: "several labels a node"},
			&cli.StringFlag{Name: "compat", Usage: "exact: also say what EXACT's own implementation would hold of activations"},
			precisionFlag(),
			&cli.StringFlag{Name: "gpu", DefaultText: "-1", Usage: "`N`: also say what training takes of that GPU's memory, and whether it has as much; -1: the CPU alone"},
			&cli.StringFlag{Name: "gpu_memory", Usage: "the same for a GPU that is not here and has memory of `SIZE` such as 80GiB"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of the subgraphs drawn"},
			&cli.IntFlag{Name: "num_cpu_core", Usage: "sampler goroutines `N`", DefaultText: "one a core"},
		),
		Action: func(c *cli.Context) error {
			o := planOptions{
				config: c.String("train_config"), data: c.String("data_prefix"), edgeWeight: c.Bool("edge_weight"),
				nodes: c.Int("nodes"), features: c.Int("features"), classes: c.Int("classes"), edges: c.Int64("edges"),
				multi: c.Bool("multi_label"), seed: c.Uint64("seed"), workers: c.Int("num_cpu_core"), over: overridesOf(c), compat: c.String("compat"),
				dtype: c.String("dtype"),
			}
			if err := o.readGPU(c); err != nil {
				return err
			}
			sizes := c.IsSet("nodes") || c.IsSet("edges") || c.IsSet("features") || c.IsSet("classes") || c.IsSet("multi_label")
			if err := o.check(sizes); err != nil {
				return err
			}
			if err := checkPrecision(o.dtype, c.IsSet("dtype")); err != nil {
				return err
			}
			if err := checkWorkers(o.workers, c.IsSet("num_cpu_core")); err != nil {
				return err
			}
			return runPlan(c.Context, &o, e)
		},
	}
}

// mostPlanned bounds sizes: beyond it products of them leave 63 bits.
const mostPlanned = 1 << 31

func (o *planOptions) check(sizes bool) error {
	switch {
	case o.config == "":
		return usagef("--train_config is missing: a YAML file, or a built-in one ('saint config list')")
	case o.compat != "" && o.compat != "exact":
		return usagef("--compat is %q, want exact", o.compat)
	case o.data != "" && sizes:
		return usagef("--data_prefix has its own sizes; leave out --nodes, --edges, --features, --classes and --multi_label")
	case o.data != "":
		return checkPrefix(o.data)
	case o.nodes < 1 || o.nodes >= mostPlanned:
		return usagef("--nodes is %d, want 1 or more (or --data_prefix for the sizes of data)", o.nodes)
	case o.features < 1 || o.features > 1<<20:
		return usagef("--features is %d, want 1 to %d", o.features, 1<<20)
	case o.classes < 1 || o.classes > 1<<20:
		return usagef("--classes is %d, want 1 to %d", o.classes, 1<<20)
	case o.edges < 0 || o.edges >= mostPlanned:
		return usagef("--edges is %d, want 0 to less than 2^31", o.edges)
	}
	return nil
}

func runPlan(ctx context.Context, o *planOptions, e *env) error {
	cfg, err := trainconfig.Load(o.config, dataName(o.data))
	if err != nil {
		return err
	}
	if err := o.over.apply(cfg); err != nil {
		return err
	}
	if err := setPrecision(cfg, o.dtype, nil); err != nil {
		return err
	}
	device := meta.Name
	if cfg.Params.Double {
		if device = meta.NameDouble; o.compat != "" {
			return usagef("dtype d: EXACT computes in single precision; leave out --compat")
		}
	}
	b, err := tensor.Open(device, tensor.Options{})
	if err != nil {
		return err
	}
	gpu, err := o.openPlanned(cfg)
	if err != nil {
		return err
	}
	defer gpu.close()
	if o.data == "" {
		if err := checkKeys(cfg); err != nil {
			return err
		}
		if err := trainer.CheckLabels(cfg, o.labels()); err != nil {
			return err
		}
		size := trainer.Size{Nodes: o.nodes, Edges: o.edges, Features: o.features, Classes: o.classes, Multi: o.multi}
		return o.step(e, cfg, size, b, gpu, nil, 0)
	}
	ds, _, err := loadDataAs(ctx, e, o.data, o.edgeWeight, cfg.System.Half)
	if err != nil {
		return err
	}
	if ds.Close != nil {
		defer ds.Close() //nolint:errcheck // opened for reading
	}
	if err := trainer.CheckLabels(cfg, &ds.Labels); err != nil {
		return err
	}
	for i := range cfg.Phases {
		size, err := o.largest(ctx, e, cfg, ds, i)
		if err != nil {
			return err
		}
		if len(cfg.Phases) > 1 {
			e.log.Info(fmt.Sprintf("phase %d", i))
		}
		if err := o.step(e, cfg, size, b, gpu, ds, i); err != nil {
			return err
		}
	}
	return cfg.CheckUsed()
}

// labels returns labels of the kind that --multi_label tells.
func (o *planOptions) labels() *formats.Labels {
	l := &formats.Labels{NumClasses: o.classes}
	if o.multi {
		l.Multi = []uint8{}
	}
	return l
}

// step prints the memory of a step of a phase; without data ds is nil.
func (o *planOptions) step(e *env, cfg *trainconfig.Config, size trainer.Size, b tensor.Backend, gpu *plannedGPU, ds *formats.Dataset, phase int) error {
	data := int64(0)
	if ds != nil {
		data = dataBytes(ds, cfg.Params.Double)
	}
	m, err := trainer.Plan(cfg, size, b)
	if err != nil {
		return err
	}
	l := newMemoryLine(m, data)
	if o.compat != "" {
		if l.Exact, err = trainer.PlanExact(cfg, size); err != nil {
			return err
		}
	}
	if gpu != nil {
		if l.Device, err = gpu.plan(cfg, size, ds, phase); err != nil {
			return err
		}
	}
	return printMemory(e, l, true)
}

// largest returns the size of the largest of the first subgraphs of a phase.
func (o *planOptions) largest(ctx context.Context, e *env, cfg *trainconfig.Config, ds *formats.Dataset, phase int) (trainer.Size, error) {
	_, resident := formats.StoredOf(ds.Features)
	size := trainer.Size{Features: ds.Features.Dim(), Classes: ds.Labels.NumClasses, Multi: ds.Labels.IsMulti(), Rows: !resident}
	env := samplers.NewEnv(trainer.TrainingGraph(cfg, ds), ds.TrainNodes)
	s, err := trainer.NewSampler(&cfg.Phases[phase], env)
	if err != nil {
		return size, err
	}
	if err := trainer.PrepareSampler(ctx, s, e.progress, e.prepareOptions(o.workers, false)); err != nil {
		return size, err
	}
	norm, err := samplers.EstimateNorm(ctx, s, env, samplers.EstimateOptions{Workers: o.workers, Seed: o.seed, Phase: phase, DisableNormLoss: true, DisableNormAggr: true})
	if err != nil {
		return size, err
	}
	draws := planDraws
	if d, ok := s.(samplers.Deterministic); ok && d.Deterministic() {
		draws = 1
	}
	src, err := loader.Open(ctx, loader.Config{
		Env: env, Sampler: s, Norm: norm, Labels: &ds.Labels, Symmetric: env.Symmetric(), Workers: max(o.workers, 1), Prefetch: 2,
		Seed: o.seed, Phase: phase, To: uint64(draws),
	})
	if err != nil {
		return size, err
	}
	defer src.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
	for range draws {
		b, err := src.Next(ctx)
		if err != nil {
			return size, err
		}
		if b.NumNodes() > size.Nodes {
			size.Nodes, size.Edges = b.NumNodes(), int64(b.NumEdges())
		}
		b.Release()
	}
	if size.Nodes == 0 {
		return size, fmt.Errorf("the subgraphs of phase %d have no nodes", phase)
	}
	e.log.Info(fmt.Sprintf("the largest of %d subgraphs has %d nodes and %d edges", draws, size.Nodes, size.Edges))
	return size, nil
}
