package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/cpufeat"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// job is everything the runs of one command share.
type job struct {
	trainOptions
	env     *env
	data    *formats.Dataset
	config  *trainconfig.Config
	backend tensor.Backend
	others  []tensor.Backend // train with backend
	beside  tensor.Backend   // validates; nil: backend does
	load    float64          // seconds
	out     *trainOutput
	watch   *watch // nil: nobody looks
}

func runTrain(ctx context.Context, o trainOptions, e *env) error {
	if err := o.check(e.log); err != nil {
		return err
	}
	var dir *rundir.Dir
	if o.Resume != "" {
		var err error
		if dir, err = rundir.Open(o.Resume); err != nil {
			return err
		}
		if err := dir.Lock(); err != nil {
			return err
		}
		defer dir.Unlock()
		if err := o.takeFrom(dir); err != nil {
			return err
		}
	}
	return watched(ctx, o.Watch, e, func(ctx context.Context, w *watch) error {
		j, err := newJob(ctx, o, e, dir)
		if err != nil {
			return err
		}
		defer j.close()
		j.watch = w
		w.loaded(j.load)
		if o.Measure.on() {
			return j.probe(ctx)
		}
		if o.Runs > 1 {
			return j.runMany(ctx)
		}
		_, err = j.run(ctx, o.Seed, dir, j.runDir())
		return err
	})
}

// newJob looks for every mistake that can be found without the data before it loads them: a
// typo should not cost a minute.
func newJob(ctx context.Context, o trainOptions, e *env, resumed *rundir.Dir) (*job, error) {
	j := &job{trainOptions: o, env: e}
	if err := j.readConfig(resumed); err != nil {
		return nil, err
	}
	if resumed == nil {
		if err := checkRunDir(j.runDir()); err != nil {
			return nil, err
		}
	}
	var err error
	if err := j.openDevices(); err != nil {
		j.close()
		return nil, err
	}
	if err := j.checkPlacement(); err != nil {
		j.close()
		return nil, err
	}
	if j.data, j.load, err = loadDataAs(ctx, e, o.DataPrefix, o.EdgeWeight, j.config.System.Half); err != nil {
		j.close()
		return nil, err
	}
	if err := j.check(resumed); err != nil {
		j.close()
		return nil, err
	}
	if err := j.findSource(ctx); err != nil {
		j.close()
		return nil, err
	}
	e.log.Info("configuration " + j.config.Name)
	e.log.Info("device " + deviceText(j.backend, o.GPU))
	for _, b := range j.others {
		e.log.Info("device " + b.Device())
	}
	if asked := configuredMatmul(j.config); !j.config.Params.Activations.AMP || !j.backend.Caps().SharedMemory {
		tellMatmul(e, j.backend, asked)
	}
	j.out = newTrainOutput(j)
	return j, nil
}

func (j *job) readConfig(resumed *rundir.Dir) (err error) {
	if resumed != nil && j.Config == "" {
		j.config, err = trainconfig.Load(resumed.ConfigPath(), "")
	} else {
		j.config, err = trainconfig.Load(j.Config, dataName(j.DataPrefix))
	}
	if err != nil {
		return err
	}
	if err := j.Over.apply(j.config); err != nil {
		return err
	}
	if err := setPrecision(j.config, j.DType, resumed); err != nil {
		return err
	}
	if resumed == nil && len(j.Others) > 0 && j.config.Params.Accumulate == 1 && !j.Over.set["accumulate"] {
		j.config.Params.Accumulate = 1 + len(j.Others)
	}
	if resumed != nil && j.config.Hash() != resumed.Info.ConfigHash {
		if flags := j.Over.given(); j.Config == "" && flags != "" {
			return usagef("%s: the run in %s was started otherwise; a run is resumed with its own configuration", flags, resumed.Path)
		}
		return usagef("%s is not the configuration that the run in %s was started with; a run is resumed with its own", j.config.Name, resumed.Path)
	}
	if resumed != nil {
		j.config.Name = resumed.Info.Config
	}
	if _, err := trainer.Spec(j.config, 1, 1); err != nil {
		return err
	}
	return j.checkEpochs(resumed)
}

// checkEpochs compares --epochs with the configuration and with what a resumed run had.
func (j *job) checkEpochs(resumed *rundir.Dir) error {
	last := j.config.Phases[len(j.config.Phases)-1].End
	if j.Epochs > last {
		j.env.log.Warn(fmt.Sprintf("--epochs %d only caps the epochs: %s ends after %d", j.Epochs, j.config.Name, last))
		j.Epochs = last
	}
	if resumed == nil {
		return nil
	}
	before := resumed.Info.Epochs
	if before == 0 {
		before = last
	}
	if j.Epochs != 0 && j.Epochs < before {
		return usagef("--epochs %d: the run in %s was started with %d, and resuming can only raise them", j.Epochs, resumed.Path, before)
	}
	return nil
}

// checkPlacement checks --features against the device, before there is data.
func (j *job) checkPlacement() error {
	if j.backend.Caps().SharedMemory {
		if j.Features != trainer.PlaceAuto {
			j.env.log.Warn("--features is for GPUs: " + j.backend.Device() + " has them where they are")
		}
		return nil
	}
	if j.Source.URL != "" && j.config.System.Half && j.Features == trainer.PlaceHost {
		return errHalfSource
	}
	return nil
}

// errHalfSource is about rows that a service would have to send in half precision.
var errHalfSource = usagef("feature_dtype f16: what a service sends comes in single precision, and the features would not lie on the GPU; leave out feature_dtype f16, --source or --features host")

// checkHalfSource finds before the run what steps would find: features that are too many for the GPU.
func (j *job) checkHalfSource() error {
	c := j.backend.Caps()
	if j.Source.URL == "" || !j.config.System.Half || c.SharedMemory || j.Features == trainer.PlaceDevice {
		return nil
	}
	if in, ok := formats.StoredOf(j.data.Features); !ok || in.Bytes() > c.TotalBytes/2 {
		return errHalfSource
	}
	return nil
}

// check compares data with configuration and, for a resumed run, with what it began on.
func (j *job) check(resumed *rundir.Dir) error {
	if resumed != nil && j.data.Fingerprint != resumed.Info.Fingerprint {
		return usagef("%s does not hold the data that the run in %s was started with; a run is resumed with its own", j.DataPrefix, resumed.Path)
	}
	if err := j.checkHalfSource(); err != nil {
		return err
	}
	if err := trainer.CheckLabels(j.config, &j.data.Labels); err != nil {
		return err
	}
	return trainer.CheckOptions(j.config, j.data)
}

func (j *job) close() {
	if j.data != nil && j.data.Close != nil {
		_ = j.data.Close() // opened for reading
	}
	if j.beside != nil {
		_ = j.beside.Close() // every result is on disk by now
	}
	for _, b := range append(j.others, j.backend) {
		if b != nil {
			_ = b.Close() // likewise
		}
	}
}

// openDevices opens what trains and what validates. Several devices take a subgraph each for every
// update, unless the configuration says how many.
func (j *job) openDevices() (err error) {
	c := j.config
	if len(j.Others) > 0 && c.Params.Double {
		return usagef("--gpu with several numbers: dtype d is double precision, which this version has on the CPU only")
	}
	if j.backend, err = openPrecise(j.GPU, c.Params.Double, "dtype d", configuredMatmul(c)); err != nil {
		return err
	}
	for _, gpu := range j.Others {
		b, err := openDevice(gpu, configuredMatmul(c))
		if err != nil {
			return err
		}
		j.others = append(j.others, b)
	}
	if n := 1 + len(j.others); c.Params.Accumulate%n != 0 {
		return usagef("accumulate is %d, want a multiple of %d, the GPUs that train together", c.Params.Accumulate, n)
	}
	for _, b := range append([]tensor.Backend{j.backend}, j.others...) {
		if g, ok := b.(*cuda.Backend); ok {
			g.Prepare() // while the data is read
		}
	}
	j.beside, err = evaluator(j.backend, j.CPUEval)
	return err
}

// checkRunDir refuses a folder that cannot become that of a new run.
func checkRunDir(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("run folder: %w", err)
	case len(entries) == 0:
		return nil
	}
	if _, err := os.Stat(filepath.Join(path, "run.json")); err != nil {
		return usagef("%s: the folder exists and is not empty; choose another --run_dir", path)
	}
	return &rundir.ExistsError{Path: path}
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
func (j *job) run(ctx context.Context, seed uint64, dir *rundir.Dir, path string) (*runResult, error) {
	resume := dir != nil
	dir, err := j.open(dir, path, seed, j.config)
	if err != nil {
		return nil, err
	}
	defer dir.Unlock()
	j.env.log.Info("run folder " + dir.Path)
	o := j.options(seed, dir, resume)
	log := newEpochLog(j, "")
	o.OnEpoch = func(ep trainer.Epoch) error {
		log.epoch(ep)
		return j.out.epoch(dir, ep)
	}
	r := &runResult{seed: seed, dir: dir}
	name := ""
	if j.Runs > 1 {
		name = fmt.Sprintf("seed %d", seed)
	}
	if r.Result, err = j.watch.train(ctx, o, dir, name); err != nil {
		return nil, j.failed(err, dir)
	}
	if j.Baseline {
		if r.baseline, err = j.runBaseline(ctx, seed, dir); err != nil {
			return nil, err
		}
	}
	if err := done(dir); err != nil {
		return nil, err
	}
	return r, j.out.result(r)
}

// open makes or reopens a run's folder, which other processes then leave alone.
func (j *job) open(dir *rundir.Dir, path string, seed uint64, config *trainconfig.Config) (*rundir.Dir, error) {
	if dir == nil {
		dir, err := rundir.Create(path, j.info(seed, config), config.Resolved())
		if err == nil {
			err = dir.Lock()
		}
		return dir, err
	}
	dir.Info.Epochs, dir.Info.Ended, dir.Info.Baseline = j.Epochs, "", j.Baseline && config == j.config
	if j.Watch.TensorBoard {
		dir.Info.TensorBoard = j.tensorboardDir(dir.Info.Seed, config)
	}
	return dir, dir.SetState(rundir.Running, nil)
}

func (j *job) options(seed uint64, dir *rundir.Dir, resume bool) trainer.Options {
	o := trainer.Options{
		Data: j.data, Config: j.config, Backend: j.backend, Others: j.others, Seed: seed, MaxEpochs: j.Epochs, Workers: j.Workers,
		EvalTrainEvery: j.EvalTrainEvery, CheckpointEvery: j.CheckpointEvery, ROCAUC: wantsROCAUC(j.data), InitFrom: j.InitFrom,
		LoadSeconds: j.load, Started: j.env.started, Dir: dir, Resume: resume, Log: j.env.log, Progress: j.env.progress,
		OnResume: dir.TrimMetrics, EvalMemory: j.EvalMemory, EvalBackend: j.beside, Features: j.Features,
	}
	if !j.NoCache {
		o.CacheDir = j.env.cacheDir()
	}
	if j.Source.URL != "" {
		o.Source = j.openSource
	}
	return o
}

func done(dir *rundir.Dir) error {
	dir.Info.Ended = time.Now().UTC().Format(time.RFC3339)
	return dir.SetState(rundir.Done, nil)
}

// failed records how a run ended in its folder and in that of its baseline.
func (j *job) failed(err error, dirs ...*rundir.Dir) error {
	state := rundir.Failed
	if errors.Is(err, trainer.ErrInterrupted) || errors.Is(err, context.Canceled) {
		state, err = rundir.Interrupted, interrupted(err, dirs[0].Path)
	}
	err = advise(err, dirs[0])
	for _, d := range dirs {
		d.Info.Ended = time.Now().UTC().Format(time.RFC3339)
		if e := d.SetState(state, err); e != nil {
			return errors.Join(err, e)
		}
	}
	return err
}

func (j *job) info(seed uint64, config *trainconfig.Config) rundir.Info {
	data := j.DataPrefix
	if !strings.HasPrefix(data, synthPrefix) {
		data = absolute(data)
	}
	dtype := ""
	if config.Params.Double {
		dtype = doublePrecision
	}
	return rundir.Info{
		DType: dtype, Version: version, State: rundir.Running, Seed: seed, Device: trainer.DeviceNames(j.backend, j.others), ISA: cpufeat.Chosen().String(),
		Data: data, DataName: j.data.Name, Fingerprint: j.data.Fingerprint, Config: config.Name, ConfigHash: config.Hash(),
		Epochs: j.Epochs, EdgeWeight: j.EdgeWeight, ScoreEvery: j.EvalTrainEvery, InitFrom: absolute(j.InitFrom),
		Baseline: j.Baseline && config == j.config, TensorBoard: j.tensorboardDir(seed, config), Command: j.env.Args, Started: j.env.started.UTC().Format(time.RFC3339),
	}
}

// runMany trains with consecutive seeds, each in a folder of its own below one.
func (j *job) runMany(ctx context.Context) error {
	root := j.runDir()
	var all []*runResult
	for k := range j.Runs {
		seed := j.Seed + uint64(k)
		j.env.log.Info(fmt.Sprintf("run %d of %d, seed %d", k+1, j.Runs, seed))
		r, err := j.run(ctx, seed, nil, filepath.Join(root, "seed-"+strconv.FormatUint(seed, 10)))
		if left := j.Runs - k - 1; left > 0 && errors.Is(err, trainer.ErrInterrupted) {
			return fmt.Errorf("%w, and begin the other runs with --seed %d --runs %d", err, seed+1, left)
		}
		if err != nil {
			return err
		}
		all = append(all, r)
		j.env.started, j.load = time.Now(), 0 // the data is loaded once
	}
	return j.out.summary(root, all)
}
