package main

import (
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// trainOptions are the flags of 'saint train'. The first group has the reference's names.
type trainOptions struct {
	DataPrefix, Config string
	GPU, Workers       int
	Others             []int // GPUs that train with GPU
	DirLog             string
	EvalTrainEvery     int
	InitFrom           string
	EdgeWeight         bool
	DType              string // "": not given

	Seed            uint64
	SeedGiven       bool
	ScoreGiven      bool // --eval_train_every was given
	Epochs, Runs    int
	RunDir, Resume  string
	CheckpointEvery time.Duration
	NoCache         bool
	Baseline        bool
	Over            overrides
	Measure         probeOptions
	Watch           watchOptions
	EvalMemory      int64 // bytes; 0: no bound
	CPUEval         bool
	Features        trainer.Placement
	Source          sourceOptions
}

func trainFlags() []cli.Flag {
	return append(
		slices.Concat(dataFlags(), deviceFlags(), activationFlags(), probeFlags(), sourceFlags(), watchFlags()),
		&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`: a path, a built-in one ('saint config list'), or rw.yml and the like for known data sets"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of sampling, initial parameters and dropout"},
		&cli.IntFlag{Name: "epochs", Usage: "stop after `N` epochs in total", DefaultText: "as configured"},
		&cli.IntFlag{Name: "runs", Value: 1, Usage: "train `N` times with seeds seed, seed+1, … and report mean and deviation"},
		&cli.BoolFlag{Name: "baseline", Usage: "afterwards train the same network without neighbours (every order 0) on the same samples, for comparison"},
		&cli.StringFlag{Name: "run_dir", Usage: "`FOLDER` for checkpoints and metrics; must be new or empty", DefaultText: "<dir_log>/runs/<data>-<config>-<UTC time>"},
		&cli.StringFlag{Name: "dir_log", Value: ".", Usage: "`FOLDER` under which run folders are made"},
		&cli.StringFlag{Name: "resume", Usage: "continue the run in `FOLDER` with its data and configuration; only --epochs may be raised"},
		&cli.StringFlag{Name: "saved_model_path", Usage: "start from the parameters in `FILE`"},
		&cli.IntFlag{Name: "eval_train_every", Value: 15, Usage: "score every `N`th training subgraph of an epoch"},
		&cli.DurationFlag{Name: "checkpoint_every", Value: 5 * time.Minute, Usage: "save the state every `DURATION`"},
		&cli.BoolFlag{Name: "no_cache", Usage: "neither read nor write normalisations shared between runs"},
		&cli.BoolFlag{Name: "cpu_eval", Usage: "validate on the CPU while the GPU trains on (changes nothing when training on the CPU)"},
		&cli.StringFlag{Name: "features", Value: "auto", Usage: "where features lie while a GPU trains: `PLACE` device, host (the CPU gathers a step's rows), or auto: device if they take at most half of its memory"},
		&cli.BoolFlag{Name: "log_device_placement", Usage: "log the device (always done)"},
		evalMemoryFlag(),
		precisionFlag(),
		matmulFlag(),
		graphsFlag(),
		&cli.IntFlag{Name: "accumulate", Usage: "update the weights with the mean gradient of `N` subgraphs", DefaultText: "as configured, else 1; with several GPUs one for each"},
		&cli.BoolFlag{Name: "dualGPU", Usage: "train on the first two GPUs together: --gpu 0,1"},
	)
}

func newTrainCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "train",
		Usage: "train a model on sampled subgraphs",
		Description: "Examples: saint train --data_prefix ./data/ppi --train_config rw.yml\n" +
			"          saint train --data_prefix synth:tiny --train_config rw.yml --baseline\n" +
			"Ctrl-C saves the state and prints the line that resumes; a second one ends at once.",
		Flags: trainFlags(),
		Action: func(c *cli.Context) error {
			gpus, err := trainingGPUs(c)
			if err != nil {
				return err
			}
			o := trainOptions{
				DataPrefix: c.String("data_prefix"), Config: c.String("train_config"), GPU: gpus[0], Others: gpus[1:], Workers: c.Int("num_cpu_core"),
				DirLog: c.String("dir_log"), EvalTrainEvery: c.Int("eval_train_every"), InitFrom: c.String("saved_model_path"),
				EdgeWeight: c.Bool("edge_weight"), Seed: c.Uint64("seed"), SeedGiven: c.IsSet("seed"), ScoreGiven: c.IsSet("eval_train_every"), Epochs: c.Int("epochs"),
				Runs: c.Int("runs"), RunDir: c.String("run_dir"), Resume: c.String("resume"), DType: c.String("dtype"),
				CheckpointEvery: c.Duration("checkpoint_every"), NoCache: c.Bool("no_cache"), Baseline: c.Bool("baseline"), Over: overridesOf(c), Measure: probeOf(c),
				Source: sourceFrom(c), Watch: watchFrom(c), CPUEval: c.Bool("cpu_eval"),
			}
			if err := checkWorkers(o.Workers, c.IsSet("num_cpu_core")); err != nil {
				return err
			}
			if err := checkPrecision(o.DType, c.IsSet("dtype")); err != nil {
				return err
			}
			if o.EvalMemory, err = evalMemoryOf(c); err != nil {
				return err
			}
			if o.Features, err = trainer.ParsePlacement(c.String("features")); err != nil {
				return usagef("--features is %v", err)
			}
			if c.IsSet("epochs") && o.Epochs < 1 {
				return usagef("--epochs is %d, want 1 or more", o.Epochs)
			}
			return runTrain(c.Context, o, e)
		},
	}
}

func (o *trainOptions) check(log *slog.Logger) error {
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
	case o.Resume == "" && o.Config == "":
		return usagef("--train_config is missing: a YAML file, or a built-in one ('saint config list')")
	case o.Resume == "" && o.Seed > o.Seed+uint64(o.Runs-1):
		return usagef("--seed %d with --runs %d passes the largest seed", o.Seed, o.Runs)
	}
	if err := o.Watch.check(); err != nil {
		return err
	}
	if err := o.Source.check(log); err != nil {
		return err
	}
	if err := o.Measure.check(o); err != nil {
		return err
	}
	if o.Resume != "" {
		return nil
	}
	if err := checkParams(o.InitFrom); err != nil {
		return err
	}
	return checkPrefix(o.DataPrefix)
}

// takeFrom fills in what a resumed run was started with and refuses anything else.
func (o *trainOptions) takeFrom(d *rundir.Dir) error {
	switch {
	case o.SeedGiven && o.Seed != d.Info.Seed:
		return usagef("--seed %d: the run in %s has seed %d; leave the flag out", o.Seed, d.Path, d.Info.Seed)
	case o.EdgeWeight && !d.Info.EdgeWeight:
		return usagef("--edge_weight: the run in %s was started without it; leave the flag out", d.Path)
	case o.ScoreGiven && o.EvalTrainEvery != d.Info.ScoreEvery:
		return usagef("--eval_train_every %d: the run in %s was started with %d; leave the flag out", o.EvalTrainEvery, d.Path, d.Info.ScoreEvery)
	}
	if o.DataPrefix == "" {
		o.DataPrefix = d.Info.Data
	}
	if o.Epochs == 0 {
		o.Epochs = d.Info.Epochs
	}
	o.InitFrom = d.Info.InitFrom
	o.Baseline = o.Baseline || d.Info.Baseline
	o.Seed, o.EdgeWeight, o.EvalTrainEvery = d.Info.Seed, d.Info.EdgeWeight, max(d.Info.ScoreEvery, 1)
	return checkPrefix(o.DataPrefix)
}

// absolute makes the path of a file independent of the working directory.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
