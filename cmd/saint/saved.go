package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// savedFlags select a trained model: the folder of a run, or parameters with their
// configuration.
func savedFlags() []cli.Flag {
	return append(append(dataFlags(), deviceFlags()...),
		&cli.StringFlag{Name: "run_dir", Usage: "`FOLDER` of a run (or as argument); data and configuration are the run's unless given"},
		&cli.StringFlag{Name: "checkpoint", Value: "best", Usage: "best or last"},
		&cli.StringFlag{Name: "saved_model_path", Usage: "parameter `FILE` instead of a run's checkpoint; needs --data_prefix and --train_config"},
		&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`"},
		evalMemoryFlag(),
		featureTypeFlag(),
		matmulFlag(),
	)
}

// saved is a trained model with the data it runs on.
type saved struct {
	data    *formats.Dataset
	config  *trainconfig.Config
	model   *trainer.Model
	backend tensor.Backend
	arena   tensor.Arena
	eval    *trainer.Evaluator
	path    string // of the parameters
}

func (s *saved) close() {
	if s.eval != nil {
		_ = s.eval.Close() // nothing is queued
	}
	if s.arena != nil {
		_ = s.arena.Close() // unmapping our own memory
	}
	if s.model != nil {
		_ = s.model.Close() // likewise
	}
	if s.backend != nil {
		_ = s.backend.Close() // likewise
	}
	if s.data != nil && s.data.Close != nil {
		_ = s.data.Close() // opened for reading
	}
}

// openSaved loads what the flags select.
func openSaved(c *cli.Context, e *env) (_ *saved, err error) {
	if err := checkWorkers(c.Int("num_cpu_core"), c.IsSet("num_cpu_core")); err != nil {
		return nil, err
	}
	src, err := savedSource(c)
	if err != nil {
		return nil, err
	}
	s := &saved{path: src.params, config: src.config}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := setFeatureType(s.config, c.String("feature_dtype")); err != nil {
		return nil, err
	}
	double, err := savedDouble(s.path)
	if err != nil {
		return nil, err
	}
	if err := s.open(c, e, double); err != nil {
		return nil, err
	}
	bound, err := evalMemoryOf(c)
	if err != nil {
		return nil, err
	}
	if err := s.load(c.Context, e, src.data, src.edgeWeight); err != nil {
		return s, adviseEvaluation(err)
	}
	s.eval.Bound(bound)
	if bound == 0 {
		return s, adviseEvaluation(s.eval.BoundByDevice(s.model, 0))
	}
	return s, s.eval.Check(s.model)
}

// open opens the device.
func (s *saved) open(c *cli.Context, e *env, double bool) error {
	gpu, err := oneGPU(c)
	if err != nil {
		return err
	}
	matmul, given, err := matmulOf(c)
	if err != nil {
		return err
	}
	if !given {
		matmul = configuredMatmul(s.config)
	}
	if s.backend, err = openPrecise(gpu, double, s.path, matmul); err != nil {
		return err
	}
	if given || !s.backend.Caps().SharedMemory { // a CPU need not answer for how a GPU was to multiply
		tellMatmul(e, s.backend, matmul)
	}
	return nil
}

func (s *saved) load(ctx context.Context, e *env, data string, edgeWeight bool) (err error) {
	if s.data, _, err = loadDataAs(ctx, e, data, edgeWeight, s.config.System.Half); err != nil {
		return err
	}
	if err := trainer.CheckLabels(s.config, &s.data.Labels); err != nil {
		return err
	}
	feats, err := trainer.Features(s.config, s.data)
	if err != nil {
		return err
	}
	if s.model, err = trainer.NewModel(s.config, feats.Dim(), s.data.Labels.NumClasses, s.backend, 1); err != nil {
		return err
	}
	if err := trainer.LoadParams(s.path, s.model); err != nil {
		return err
	}
	if s.arena, err = s.backend.NewArena(); err != nil {
		return err
	}
	s.eval, err = trainer.NewEvaluator(s.data.Full, feats, s.backend, s.arena)
	return errors.Join(err, ctx.Err())
}

type savedPaths struct {
	params, data string
	config       *trainconfig.Config
	edgeWeight   bool
}

// savedSource resolves the flags to files.
func savedSource(c *cli.Context) (*savedPaths, error) {
	dir := c.String("run_dir")
	if c.Args().Present() {
		if dir != "" || c.Args().Len() > 1 {
			return nil, usagef("unexpected argument %q: want one run folder", c.Args().Get(c.Args().Len()-1))
		}
		dir = c.Args().First()
	}
	s := &savedPaths{data: c.String("data_prefix"), params: c.String("saved_model_path"), edgeWeight: c.Bool("edge_weight")}
	config := c.String("train_config")
	switch {
	case dir == "" && s.params == "":
		return nil, usagef("nothing to load: give the folder of a run, or --saved_model_path with --data_prefix and --train_config")
	case dir == "" && config == "":
		return nil, usagef("--saved_model_path needs --train_config: a parameter file does not hold the architecture")
	case dir != "":
		if err := s.fromRun(dir, c); err != nil {
			return nil, err
		}
		if config == "" {
			return s, checkPrefix(s.data)
		}
	}
	if err := checkParams(s.params); err != nil {
		return nil, err
	}
	err := checkPrefix(s.data)
	if err != nil {
		return nil, err
	}
	s.config, err = trainconfig.Load(config, dataName(s.data))
	return s, err
}

func (s *savedPaths) fromRun(dir string, c *cli.Context) error {
	d, err := rundir.Open(dir)
	if err != nil {
		return err
	}
	if s.data == "" {
		s.data, s.edgeWeight = d.Info.Data, d.Info.EdgeWeight
	}
	if s.params == "" {
		switch which := c.String("checkpoint"); which {
		case "best":
			s.params = d.BestPath()
		case "last":
			s.params = d.LastPath()
		default:
			return usagef("--checkpoint is %q, want best or last", which)
		}
	}
	if _, err := os.Stat(s.params); errors.Is(err, fs.ErrNotExist) && c.String("saved_model_path") == "" {
		return formats.BadInput(s.params, "no such file: the run has not saved it yet")
	}
	if s.config, err = trainconfig.Load(d.ConfigPath(), ""); err == nil {
		s.config.Name = d.Info.Config
	}
	return err
}
