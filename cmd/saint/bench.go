package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

// benchPresets are measured unless --preset or --data_prefix chooses.
const benchPresets = "flickr-like,ppi-like,reddit-like"

// What a benchmark is limited to, so that a slip ends in a message.
const (
	mostBenchRepeats = 1000
	mostBenchThreads = 1024
)

// benchKind is one thing that can be measured.
type benchKind struct {
	name, usage string
	data        bool // it needs a data set; else it runs once for all
	run         func(*bencher, context.Context) error
}

// benchKinds are the kinds in the order of 'all'.
var benchKinds = []benchKind{
	{"gemm", "dense products: the layers' forward (NN), input gradient (NT) and weight gradient (TN)", false, (*bencher).gemm},
	{"spmm", "aggregation over sampled subgraphs and over the full graph", true, (*bencher).spmm},
	{"step", "weight updates on sampled subgraphs, with scaling over threads", true, (*bencher).step},
	{"ops", "the operations of a step, each for itself", true, (*bencher).ops},
	{"sample", "subgraphs drawn, induced and normalised, with scaling over threads", true, (*bencher).sample},
	{"norm", "the normalisation phase before training", true, (*bencher).norm},
	{"eval", "scoring all splits on the full graph", true, (*bencher).eval},
	{"load", "loading and preparing a data folder", true, (*bencher).load},
}

func newBenchCommand(e *env) *cli.Command {
	cmd := &cli.Command{
		Name: "bench", Usage: "measure kernels, steps, samplers, evaluation and loading on this machine",
		UsageText: "saint bench gemm|spmm|step|ops|sample|norm|eval|load|all [flags] | saint bench cost | saint bench export | saint bench table",
	}
	for _, k := range benchKinds {
		cmd.Subcommands = append(cmd.Subcommands, newBenchKind(e, k.name, "measure "+k.usage, []benchKind{k}))
	}
	cmd.Subcommands = append(cmd.Subcommands, newBenchKind(e, "all", "measure everything above", benchKinds), newBenchCost(e), newBenchExport(e), newBenchTable(e))
	return cmd
}

func newBenchKind(e *env, name, usage string, kinds []benchKind) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage,
		Description: "Prints medians of repeats with their range, beside the share of what the machine can do at most:\n" +
			"multiply-adds on registers and reads of memory, measured in the same process. docs/bench/README.md explains the figures.",
		Flags: append(append(benchFlags(), activationFlags()[:2]...),
			&cli.StringFlag{Name: "shapes", Usage: "dense products `MxNxK,...` instead of those of the presets' layers"},
			&cli.StringFlag{Name: "gpu", Usage: "measure gemm, ops, spmm, step and eval on GPU `N` instead of the CPU", DefaultText: "-1, the CPU"},
			matmulFlag(),
			&cli.StringFlag{Name: "markdown", Usage: "also write the table to `FILE`, or below a folder under the machine's name"}),
		Action: func(c *cli.Context) error {
			o, err := benchOptionsOf(c)
			if err != nil {
				return err
			}
			o.markdown, o.over = c.String("markdown"), overridesOf(c)
			if o.shapes, err = parseShapes(c.String("shapes")); err != nil {
				return err
			}
			if info, err := os.Stat(o.markdown); err != nil || !info.IsDir() {
				if err := checkOut(o.markdown); err != nil {
					return usagef("%s", strings.Replace(err.Error(), "--out", "--markdown", 1))
				}
			}
			gpu, err := oneGPU(c)
			switch {
			case err != nil:
				return err
			case gpu >= 0:
				return runGPUBench(c, o, e, kinds)
			}
			return runBench(c.Context, o, e, kinds)
		},
	}
}

// benchFlags are those of every benchmark.
func benchFlags() []cli.Flag {
	return append(
		dataFlags(),
		&cli.StringFlag{Name: "preset", Usage: "generated graphs `NAME,...` to measure on", DefaultText: benchPresets},
		featureTypeFlag(),
		&cli.StringFlag{Name: "train_config", Usage: "network and sampler: training configuration `FILE`", DefaultText: "rw.yml of the data set"},
		&cli.IntFlag{Name: "threads", Usage: "threads `N` at most", DefaultText: "all that the process may use"},
		&cli.IntFlag{Name: "repeats", Value: 9, Usage: "repeats `N` of each measurement"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N`"},
	)
}

// benchOptions are the flags of a benchmark.
type benchOptions struct {
	data       []string // prefixes
	config     string
	features   string // --feature_dtype
	edgeWeight bool
	threads    int
	repeats    int
	seed       uint64
	markdown   string
	shapes     []gemmShape // nil: gemmShapes
	over       overrides   // of how activations are kept
}

func benchOptionsOf(c *cli.Context) (benchOptions, error) {
	o := benchOptions{
		config: c.String("train_config"), features: c.String("feature_dtype"), edgeWeight: c.Bool("edge_weight"), threads: c.Int("threads"), repeats: c.Int("repeats"),
		seed: c.Uint64("seed"),
	}
	switch {
	case c.IsSet("threads") && (o.threads < 1 || o.threads > mostBenchThreads):
		return o, usagef("--threads is %d, want 1 to %d", o.threads, mostBenchThreads)
	case o.repeats < 1 || o.repeats > mostBenchRepeats:
		return o, usagef("--repeats is %d, want 1 to %d", o.repeats, mostBenchRepeats)
	case c.IsSet("preset") && c.IsSet("data_prefix"):
		return o, usagef("--preset and --data_prefix exclude each other: a generated graph or a data folder")
	}
	if o.threads == 0 {
		o.threads = runtime.GOMAXPROCS(0)
	}
	if c.IsSet("data_prefix") {
		o.data = []string{c.String("data_prefix")}
		return o, checkPrefix(o.data[0])
	}
	presets := benchPresets
	if c.IsSet("preset") {
		presets = c.String("preset")
	}
	for _, name := range strings.Split(presets, ",") {
		name = strings.TrimPrefix(strings.TrimSpace(name), synthPrefix)
		if _, _, err := synth.Parse(synthPrefix + name); err != nil {
			return o, usagef("--preset: %v", err)
		}
		o.data = append(o.data, synthPrefix+name)
	}
	return o, nil
}

// benchTimes say how long measurements last; tests shorten them.
var benchTimes = struct {
	peak   time.Duration // each limit of the machine
	least  time.Duration // one repeat of a short operation, at least
	sample time.Duration // one repeat of a sampler
	few    time.Duration // after that no further repeat begins, unless there are less than three
}{150 * time.Millisecond, 30 * time.Millisecond, 150 * time.Millisecond, 4 * time.Second}

// bencher measures. The data of the one set at hand are loaded once for all kinds.
type bencher struct {
	benchOptions
	env     *env
	ctx     context.Context //nolint:containedctx // lives for one command
	machine *machine
	report  *benchReport
	set     *benchSet // nil for kinds without data
}

// benchSet is a data set with the configuration to measure on it.
type benchSet struct {
	prefix, label string
	ds            *formats.Dataset
	config        *trainconfig.Config
	env           samplers.Env
}

func (s *benchSet) close() {
	if s.ds != nil && s.ds.Close != nil {
		_ = s.ds.Close() // opened for reading
	}
}

func runBench(ctx context.Context, o benchOptions, e *env, kinds []benchKind) error {
	configs := make([]*trainconfig.Config, len(o.data))
	for i, prefix := range o.data {
		var err error
		if configs[i], err = benchConfig(o, prefix, "rw.yml"); err != nil {
			return err
		}
		if err := o.over.apply(configs[i]); err != nil {
			return err
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.threads))
	b := &bencher{benchOptions: o, env: e, ctx: ctx, machine: newMachine(o.threads)}
	defer b.machine.close()
	var err error
	if b.report, err = newBenchReport(e, b.machine); err != nil {
		return err
	}
	for _, k := range kinds {
		if !k.data {
			if err := b.measured(k); err != nil {
				return err
			}
		}
	}
	for i, prefix := range o.data {
		if err := b.onData(prefix, configs[i], kinds); err != nil {
			return err
		}
	}
	return b.report.finish(o.markdown)
}

// onData measures all kinds that need data on one data set.
func (b *bencher) onData(prefix string, config *trainconfig.Config, kinds []benchKind) error {
	var wanted []benchKind
	for _, k := range kinds {
		if k.data {
			wanted = append(wanted, k)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	set, err := openBenchSet(b.ctx, b.env, b.benchOptions, prefix, config)
	if err != nil {
		return err
	}
	b.set = set
	defer set.close()
	for _, k := range wanted {
		if err := b.measured(k); err != nil {
			return err
		}
	}
	return nil
}

func (b *bencher) measured(k benchKind) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	b.machine.forget()
	what := "bench " + k.name
	if k.data {
		what += " on " + b.set.label
	}
	b.env.log.Info(what)
	if err := k.run(b, b.ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// benchConfig loads --train_config, or fallback of the data set, or for data without
// configurations of their own those of Flickr.
func benchConfig(o benchOptions, prefix, fallback string) (*trainconfig.Config, error) {
	name := o.config
	if name == "" {
		name = fallback
	}
	c, err := trainconfig.Load(name, dataName(prefix))
	if err != nil && o.config == "" {
		if flickr, e := trainconfig.Load(fallback, "flickr"); e == nil {
			c, err = flickr, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return c, setFeatureType(c, o.features)
}

// openBenchSet loads or generates a data set.
func openBenchSet(ctx context.Context, e *env, o benchOptions, prefix string, config *trainconfig.Config) (*benchSet, error) {
	s := &benchSet{prefix: prefix, label: dataName(prefix), config: config}
	s.label = strings.TrimPrefix(s.label, synthPrefix)
	if a := config.Params.Activations; a.Bits != 0 {
		s.label += fmt.Sprintf(" %d bits", a.Bits)
	}
	var err error
	if s.ds, _, err = loadDataAs(ctx, e, prefix, o.edgeWeight, config.System.Half); err != nil {
		return nil, err
	}
	if err := trainer.CheckLabels(config, &s.ds.Labels); err != nil {
		s.close()
		return nil, err
	}
	s.env = samplers.NewEnv(trainer.TrainingGraph(config, s.ds), s.ds.TrainNodes)
	return s, nil
}

// sinceMS returns the milliseconds since begin.
func sinceMS(begin time.Time) float64 { return float64(time.Since(begin).Nanoseconds()) / 1e6 }

// removeAll removes a temporary folder.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
