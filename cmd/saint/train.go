package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/cpufeat"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// trainOptions are the flags of 'saint train'. The first group has the reference's names.
type trainOptions struct {
	DataPrefix, Config string
	GPU, Workers       int
	DirLog             string
	EvalTrainEvery     int
	InitFrom           string
	EdgeWeight         bool

	Seed            uint64
	SeedGiven       bool
	Epochs, Runs    int
	RunDir, Resume  string
	CheckpointEvery time.Duration
	NoCache         bool
}

func newTrainCommand(e *env) *cli.Command {
	flags := append(dataFlags(), deviceFlags()...)
	flags = append(
		flags,
		&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`: a path, a built-in one (table2/ppi2_rw.yml), or rw.yml and the like for known data sets"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of sampling, initial parameters and dropout"},
		&cli.IntFlag{Name: "epochs", Usage: "stop after `N` epochs in total", DefaultText: "as configured"},
		&cli.IntFlag{Name: "runs", Value: 1, Usage: "train `N` times with seeds seed, seed+1, … and report mean and deviation"},
		&cli.StringFlag{Name: "run_dir", Usage: "`FOLDER` for checkpoints and metrics; must be new or empty", DefaultText: "<dir_log>/runs/<data>-<config>-<UTC time>"},
		&cli.StringFlag{Name: "dir_log", Value: ".", Usage: "`FOLDER` under which run folders are made"},
		&cli.StringFlag{Name: "resume", Usage: "continue the run in `FOLDER`"},
		&cli.StringFlag{Name: "saved_model_path", Usage: "start from the parameters in `FILE`"},
		&cli.IntFlag{Name: "eval_train_every", Value: 15, Usage: "score every `N`th training subgraph of an epoch"},
		&cli.DurationFlag{Name: "checkpoint_every", Value: 5 * time.Minute, Usage: "save the state that often"},
		&cli.BoolFlag{Name: "no_cache", Usage: "neither read nor write normalisations shared between runs"},
		&cli.BoolFlag{Name: "cpu_eval", Usage: "evaluate on the CPU (always so when training on the CPU)"},
		&cli.BoolFlag{Name: "log_device_placement", Usage: "log the device (always done)"},
		&cli.StringFlag{Name: "dtype", Value: "s", Usage: "s: single precision; d (double) cannot be had yet"},
		&cli.BoolFlag{Name: "tensorboard", Usage: "not yet"},
		&cli.StringFlag{Name: "timeline", Usage: "not yet"},
		&cli.BoolFlag{Name: "dualGPU", Usage: "not yet"},
	)
	return &cli.Command{
		Name:  "train",
		Usage: "train a model on sampled subgraphs",
		Description: "Example: saint train --data_prefix ./data/ppi --train_config rw.yml\n" +
			"Ctrl-C saves the state and prints the line that resumes; a second one ends at once.",
		Flags: flags,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("unexpected argument %q", c.Args().First())
			}
			if err := refuseLater(c); err != nil {
				return err
			}
			o := trainOptions{
				DataPrefix: c.String("data_prefix"), Config: c.String("train_config"), GPU: c.Int("gpu"), Workers: c.Int("num_cpu_core"),
				DirLog: c.String("dir_log"), EvalTrainEvery: c.Int("eval_train_every"), InitFrom: c.String("saved_model_path"),
				EdgeWeight: c.Bool("edge_weight"), Seed: c.Uint64("seed"), SeedGiven: c.IsSet("seed"), Epochs: c.Int("epochs"),
				Runs: c.Int("runs"), RunDir: c.String("run_dir"), Resume: c.String("resume"),
				CheckpointEvery: c.Duration("checkpoint_every"), NoCache: c.Bool("no_cache"),
			}
			if err := checkWorkers(o.Workers, c.IsSet("num_cpu_core")); err != nil {
				return err
			}
			if c.IsSet("epochs") && o.Epochs < 1 {
				return usagef("--epochs is %d, want 1 or more", o.Epochs)
			}
			return runTrain(c.Context, o, e)
		},
	}
}

// refuseLater answers for flags of the reference that this version does not have yet.
func refuseLater(c *cli.Context) error {
	if d := c.String("dtype"); d != "s" {
		if d == "d" {
			return usagef("--dtype d: double precision cannot be had yet; leave the flag out")
		}
		return usagef("--dtype is %q, want s (single precision)", d)
	}
	for _, name := range []string{"tensorboard", "timeline", "dualGPU"} {
		if c.IsSet(name) {
			return usagef("--%s cannot be had yet; leave the flag out", name)
		}
	}
	return nil
}

func (o *trainOptions) check() error {
	switch {
	case o.Runs < 1:
		return usagef("--runs is %d, want 1 or more", o.Runs)
	case o.Runs > 1 && o.Resume != "":
		return usagef("--runs and --resume exclude each other: resume the folder of one run")
	case o.Resume != "" && o.RunDir != "":
		return usagef("--run_dir and --resume exclude each other: a resumed run stays in its folder")
	case o.Resume != "" && o.InitFrom != "":
		return usagef("--saved_model_path and --resume exclude each other: a resumed run has its own parameters")
	case o.EvalTrainEvery < 1:
		return usagef("--eval_train_every is %d, want 1 or more", o.EvalTrainEvery)
	case o.CheckpointEvery <= 0:
		return usagef("--checkpoint_every is %v, want more than 0", o.CheckpointEvery)
	}
	return nil
}

// job is everything the runs of one command share.
type job struct {
	trainOptions
	env     *env
	data    *formats.Dataset
	config  *trainconfig.Config
	backend tensor.Backend
	load    float64
	out     *trainOutput
}

func runTrain(ctx context.Context, o trainOptions, e *env) error {
	if err := o.check(); err != nil {
		return err
	}
	var dir *rundir.Dir
	if o.Resume != "" {
		var err error
		if dir, err = rundir.Open(o.Resume); err != nil {
			return err
		}
		if err := o.takeFrom(dir); err != nil {
			return err
		}
	}
	j, err := newJob(ctx, o, e, dir)
	if err != nil {
		return err
	}
	defer j.close()
	if o.Runs == 1 {
		_, err := j.run(ctx, o.Seed, dir, j.runDir())
		return err
	}
	return j.runMany(ctx)
}

// takeFrom fills in what a resumed run was started with.
func (o *trainOptions) takeFrom(d *rundir.Dir) error {
	if o.SeedGiven && o.Seed != d.Info.Seed {
		return usagef("--seed %d: the run in %s has seed %d; leave the flag out", o.Seed, d.Path, d.Info.Seed)
	}
	if o.DataPrefix == "" {
		o.DataPrefix = d.Info.Data
	}
	if o.Epochs == 0 {
		o.Epochs = d.Info.Epochs
	}
	o.InitFrom = d.Info.InitFrom
	o.Seed, o.EdgeWeight, o.EvalTrainEvery = d.Info.Seed, d.Info.EdgeWeight, max(d.Info.ScoreEvery, 1)
	return nil
}

// newJob reads the configuration before the data: a typo should not cost a minute of loading.
func newJob(ctx context.Context, o trainOptions, e *env, resumed *rundir.Dir) (*job, error) {
	j := &job{trainOptions: o, env: e}
	var err error
	switch {
	case resumed != nil && o.Config == "":
		j.config, err = trainconfig.Load(resumed.ConfigPath(), "")
		if err == nil {
			j.config.Name = resumed.Info.Config
		}
	case o.Config == "":
		return nil, usagef("--train_config is missing: a YAML file, or a built-in one ('saint config list')")
	default:
		j.config, err = trainconfig.Load(o.Config, dataName(o.DataPrefix))
	}
	if err != nil {
		return nil, err
	}
	e.log.Info("configuration", "file", j.config.Name)
	if _, err := trainer.Spec(j.config, 1, 1); err != nil {
		return nil, err
	}
	if j.backend, err = openDevice(e, o.GPU); err != nil {
		return nil, err
	}
	if j.data, j.load, err = loadData(ctx, e, o.DataPrefix, o.EdgeWeight); err != nil {
		return nil, errors.Join(err, j.backend.Close())
	}
	j.out = newTrainOutput(j)
	return j, nil
}

func (j *job) close() {
	if j.data.Close != nil {
		_ = j.data.Close() // opened for reading
	}
	_ = j.backend.Close() // every result is on disk by now
}

// runDir returns the folder of a new run.
func (j *job) runDir() string {
	if j.RunDir != "" {
		return j.RunDir
	}
	base := strings.TrimSuffix(filepath.Base(j.config.Name), ".yml")
	data := strings.NewReplacer(":", "-", "?", "-", "=", "-", "/", "-").Replace(dataName(j.DataPrefix))
	return filepath.Join(j.DirLog, "runs", fmt.Sprintf("%s-%s-%s", data, base, j.env.started.UTC().Format("20060102T150405.000Z")))
}

// run trains once. dir is the folder of a resumed run, else nil and path names a new one.
func (j *job) run(ctx context.Context, seed uint64, dir *rundir.Dir, path string) (*trainer.Result, error) {
	resume := dir != nil
	if dir == nil {
		var err error
		if dir, err = rundir.Create(path, j.info(seed), j.config.Resolved()); err != nil {
			return nil, err
		}
	} else {
		dir.Info.Epochs = j.Epochs
		if err := dir.SetState(rundir.Running, nil); err != nil {
			return nil, err
		}
	}
	j.env.log.Info("run folder", "path", dir.Path)
	o := trainer.Options{
		Data: j.data, Config: j.config, Backend: j.backend, Seed: seed, MaxEpochs: j.Epochs, Workers: j.Workers,
		EvalTrainEvery: j.EvalTrainEvery, CheckpointEvery: j.CheckpointEvery, ROCAUC: wantsROCAUC(j.data), InitFrom: j.InitFrom,
		LoadSeconds: j.load, Started: j.env.started, Dir: dir, Resume: resume, Log: j.env.log, Progress: j.env.progress,
		OnResume: dir.TrimMetrics,
		OnEpoch:  func(ep trainer.Epoch) error { return j.out.epoch(dir, ep) },
	}
	if !j.NoCache {
		o.CacheDir = j.env.cacheDir()
	}
	res, err := trainer.Train(ctx, o)
	if err != nil {
		return nil, j.failed(dir, err)
	}
	dir.Info.Ended = time.Now().UTC().Format(time.RFC3339)
	if err := dir.SetState(rundir.Done, nil); err != nil {
		return nil, err
	}
	return res, j.out.result(dir, seed, res)
}

// failed records how a run ended.
func (j *job) failed(dir *rundir.Dir, err error) error {
	state := rundir.Failed
	if errors.Is(err, trainer.ErrInterrupted) || errors.Is(err, context.Canceled) {
		state = rundir.Interrupted
		j.env.log.Warn("saved; resume with: saint train --resume " + shellQuote(dir.Path))
	}
	dir.Info.Ended = time.Now().UTC().Format(time.RFC3339)
	return errors.Join(err, dir.SetState(state, err))
}

func shellQuote(s string) string {
	if strings.ContainsAny(s, " '\"$&;()<>|*?[]#~\\`!") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func (j *job) info(seed uint64) rundir.Info {
	return rundir.Info{
		Version: version, State: rundir.Running, Seed: seed, Device: j.backend.Device(), ISA: cpufeat.Chosen().String(),
		Data: j.DataPrefix, DataName: j.data.Name, Fingerprint: j.data.Fingerprint, Config: j.config.Name, ConfigHash: j.config.Hash(),
		Epochs: j.Epochs, EdgeWeight: j.EdgeWeight, ScoreEvery: j.EvalTrainEvery, InitFrom: j.InitFrom,
		Command: j.env.Args, Started: j.env.started.UTC().Format(time.RFC3339),
	}
}

// runMany trains with consecutive seeds, each in a folder of its own below one.
func (j *job) runMany(ctx context.Context) error {
	root := j.runDir()
	var all []*trainer.Result
	for k := range j.Runs {
		seed := j.Seed + uint64(k)
		j.env.log.Info("run", "number", k+1, "of", j.Runs, "seed", seed)
		res, err := j.run(ctx, seed, nil, filepath.Join(root, "seed-"+strconv.FormatUint(seed, 10)))
		if err != nil {
			return err
		}
		all = append(all, res)
		j.env.started, j.load = time.Now(), 0 // the data is loaded once
	}
	return j.out.summary(root, all)
}
