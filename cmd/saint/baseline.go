package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// baselineDir is the folder, inside that of the run, of the network without neighbours.
const baselineDir = "baseline"

// runBaseline trains the run's network with every order set to 0 on the same samples, so
// that what the edges contribute can be seen. An interrupted one is resumed with its run.
func (j *job) runBaseline(ctx context.Context, seed uint64, run *rundir.Dir) (*trainer.Result, error) {
	config := j.config.FeaturesOnly()
	path := filepath.Join(run.Path, baselineDir)
	var dir *rundir.Dir
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		if dir, err = rundir.Open(path); err != nil {
			return nil, err
		}
	}
	resume := dir != nil
	dir, err := j.open(dir, path, seed, config)
	if err != nil {
		return nil, err
	}
	j.env.log.Info("baseline: the same network on features only, in " + dir.Path)
	o := j.options(seed, dir, resume)
	o.Config, o.InitFrom = config, "" // parameters of the run have other shapes
	o.LoadSeconds, o.Started = 0, time.Now()
	log := newEpochLog(j, "baseline ")
	o.OnEpoch = func(ep trainer.Epoch) error {
		log.epoch(ep)
		return dir.AppendMetrics(newEpochLine(ep))
	}
	name := "baseline"
	if j.Runs > 1 {
		name = fmt.Sprintf("seed %d baseline", seed)
	}
	res, err := j.watch.train(ctx, o, dir, name)
	if err != nil {
		return nil, j.failed(err, run, dir)
	}
	return res, done(dir)
}
