package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/internal/telemetry"
	"github.com/saint-gnn/saint/internal/telemetry/timeline"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// watchOptions are the flags of 'saint train' that let others look at it.
type watchOptions struct {
	TensorBoard    bool
	TensorBoardDir string
	Timeline       string
	Metrics        string // address; "": none
}

func watchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "tensorboard", Usage: "write event files for TensorBoard into the folder tensorboard of the run"},
		&cli.StringFlag{Name: "tensorboard_dir", Usage: "write them into `FOLDER`"},
		&cli.StringFlag{Name: "timeline", Usage: "write what samplers and trainer did when to `FILE`, for ui.perfetto.dev"},
		metricsFlag(),
	}
}

func watchFrom(c *cli.Context) watchOptions {
	return watchOptions{
		TensorBoard: c.Bool("tensorboard") || c.String("tensorboard_dir") != "", TensorBoardDir: c.String("tensorboard_dir"),
		Timeline: c.String("timeline"), Metrics: c.String("metrics_listen"),
	}
}

// check finds mistakes before any work is done.
func (o *watchOptions) check() error {
	if err := checkOut(o.Timeline); err != nil {
		return usagef("%s", strings.Replace(err.Error(), "--out", "--timeline", 1))
	}
	if err := checkMetrics(o.Metrics); err != nil {
		return err
	}
	if info, err := os.Stat(o.TensorBoardDir); o.TensorBoardDir != "" && err == nil && !info.IsDir() {
		return usagef("--tensorboard_dir %s is a file, want a folder", o.TensorBoardDir)
	}
	return nil
}

// watch is what looks at the runs of one command. A nil watch looks at nothing.
type watch struct {
	watchOptions
	env      *env
	timeline *timeline.Timeline
	exporter *telemetry.Exporter
	metrics  *telemetry.Train
	server   *metrics
	ready    bool
}

// newWatch starts the server of metrics, so that a long loading can be watched too.
func newWatch(o watchOptions, e *env) (*watch, error) {
	w := &watch{watchOptions: o, env: e}
	if o.Timeline != "" {
		w.timeline = timeline.New(e.started)
	}
	if o.Metrics == "" {
		return w, nil
	}
	var err error
	if w.server, err = newMetrics(o.Metrics, e); err != nil {
		return nil, err
	}
	w.exporter = w.server.exporter
	w.metrics = telemetry.NewTrain(w.exporter.Registerer())
	return w, nil
}

// close ends the server and writes the timeline, whatever became of the run.
func (w *watch) close() error {
	if w == nil {
		return nil
	}
	w.server.close()
	if w.timeline == nil {
		return nil
	}
	err := atomicfile.Write(w.Timeline, w.timeline.Write)
	if err == nil {
		w.env.log.Info("timeline " + w.Timeline + "; open it at ui.perfetto.dev")
	}
	return err
}

// train trains with o and tells the watch of everything. name is what the run is called among
// those of the command, "" where there is one.
func (w *watch) train(ctx context.Context, o trainer.Options, dir *rundir.Dir, name string) (*trainer.Result, error) {
	if w == nil {
		return trainer.Train(ctx, o)
	}
	events, err := newEventLog(dir, o.Resume)
	if err != nil {
		return nil, err
	}
	w.listen(&o, events, name)
	res, err := trainer.Train(ctx, o)
	if e := events.close(); e != nil {
		return nil, errors.Join(err, e)
	}
	return res, err
}

// listen adds the listeners to o.
func (w *watch) listen(o *trainer.Options, events *eventLog, name string) {
	rate, best := 0.0, 0.0
	onEpoch, onResume := o.OnEpoch, o.OnResume
	o.Tracer = w.tracer(name)
	o.OnResume = func(epoch int) error { return errors.Join(onResume(epoch), events.restart(epoch)) }
	if events != nil || w.metrics != nil {
		o.OnStep = func(s trainer.StepReport) {
			rate = s.LearningRate
			w.step(s)
		}
	}
	if w.metrics != nil {
		w.exporter.NotReady("normalising")
		w.ready = false
		o.OnNorm = w.metrics.Normalisation
	}
	o.OnTrain = func(ep trainer.Epoch) error {
		if w.metrics != nil {
			w.metrics.Epoch(ep.TrainF1)
		}
		return events.trained(ep, rate)
	}
	o.OnEpoch = func(ep trainer.Epoch) error {
		if best = max(best, ep.Val.F1Micro); w.metrics != nil {
			w.metrics.Validation(ep.Val.F1Micro, ep.Val.Loss, best)
		}
		return errors.Join(events.validated(ep), onEpoch(ep))
	}
}

// step counts a step in the metrics.
func (w *watch) step(s trainer.StepReport) {
	if w.metrics == nil {
		return
	}
	w.metrics.Step(telemetry.Step{
		Epoch: s.Epoch, Phase: s.Phase, Loss: s.Loss, LearningRate: s.LearningRate, Nodes: s.Nodes, Edges: s.Edges,
		PeakBytes: s.PeakBytes, Took: s.Took, Waiting: s.Waiting,
	})
	if !w.ready {
		w.ready = true
		w.exporter.Ready()
	}
}

// tracer returns what a run of that name is traced by; nil if nothing looks.
func (w *watch) tracer(name string) trainer.Tracer {
	if w.timeline == nil && w.metrics == nil {
		return nil
	}
	t := &tracer{metrics: w.metrics}
	if w.timeline == nil {
		return t
	}
	t.process = w.timeline.Process(strings.TrimSpace("saint train " + name))
	for i, lane := range []string{"run", "compute", "copy", "evaluation"} {
		t.lanes[i] = t.process.Lane(lane)
	}
	return t
}

// tracer passes spans to a timeline and to the metrics, either of which may be nil.
type tracer struct {
	metrics *telemetry.Train
	process *timeline.Process
	lanes   [trainer.LaneEvaluation + 1]*timeline.Lane
	workers workerLanes
}

// Span implements trainer.Tracer.
func (t *tracer) Span(lane trainer.Lane, name string, number int64, begin, end time.Time) {
	if t.process != nil {
		t.lanes[lane].Span(name, number, begin, end)
	}
}

// Stage implements loader.Tracer.
func (t *tracer) Stage(worker int, stage string, _ int, index uint64, begin, end time.Time) {
	if t.process != nil {
		t.workers.of(t.process, worker).Span(stage, int64(index), begin, end)
	}
	if t.metrics != nil {
		t.metrics.Stage(stage, end.Sub(begin))
	}
}

// loaded draws the loading of the data, which every run shares.
func (w *watch) loaded(seconds float64) {
	if w == nil || w.timeline == nil {
		return
	}
	end := time.Now()
	w.timeline.Process("saint").Lane("data").Span("load", 0, end.Add(-time.Duration(seconds*float64(time.Second))), end)
}

// watched runs work with a watch, and ends that in every case.
func watched(ctx context.Context, o watchOptions, e *env, work func(context.Context, *watch) error) error {
	w, err := newWatch(o, e)
	if err != nil {
		return err
	}
	err = work(ctx, w)
	if e := w.close(); e != nil {
		return errors.Join(err, e)
	}
	return err
}

// tensorboardDir is what run.json holds of the flags for a run of that seed: a folder below the
// run's, or an absolute path.
func (j *job) tensorboardDir(seed uint64, config *trainconfig.Config) string {
	switch {
	case !j.Watch.TensorBoard:
		return ""
	case j.Watch.TensorBoardDir == "":
		return "tensorboard"
	}
	dir := absolute(j.Watch.TensorBoardDir)
	if j.Runs > 1 {
		dir = filepath.Join(dir, fmt.Sprintf("seed-%d", seed))
	}
	if config != j.config {
		dir = filepath.Join(dir, baselineDir)
	}
	return dir
}
