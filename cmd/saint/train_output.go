package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// runResult is a finished run, with that of its baseline if there is one.
type runResult struct {
	*trainer.Result
	seed     uint64
	dir      *rundir.Dir
	baseline *trainer.Result
}

// trainOutput prints and records what training reports.
type trainOutput struct {
	job       *job
	published float64
	known     bool
}

func newTrainOutput(j *job) *trainOutput {
	o := &trainOutput{job: j}
	o.published, o.known = publishedF1(dataName(j.DataPrefix), j.config.Name)
	return o
}

// epochLine is the JSON of a validation.
type epochLine struct {
	Type       string  `json:"type"`
	Epoch      int     `json:"epoch"`
	Phase      int     `json:"phase"`
	TrainLoss  float64 `json:"train_loss"`
	TrainF1    float64 `json:"train_f1_micro"`
	ValF1Micro float64 `json:"val_f1_micro"`
	ValF1Macro float64 `json:"val_f1_macro"`
	ValLoss    float64 `json:"val_loss"`
	Seconds    float64 `json:"seconds"`
}

func newEpochLine(ep trainer.Epoch) epochLine {
	return epochLine{"epoch", ep.Epoch, ep.Phase, ep.TrainLoss, ep.TrainF1, ep.Val.F1Micro, ep.Val.F1Macro, ep.Val.Loss, ep.Seconds}
}

func (o *trainOutput) epoch(dir *rundir.Dir, ep trainer.Epoch) error {
	line := newEpochLine(ep)
	if err := dir.AppendMetrics(line); err != nil {
		return err
	}
	if o.job.env.json {
		return o.job.env.printJSON(line)
	}
	return nil
}

// epochLog logs validations, but in a long run not each of them: at most one in two seconds,
// later one in a twentieth of the time that has passed, so that a run of any length leaves a
// log that can be read. metrics.jsonl has them all.
type epochLog struct {
	job    *job
	prefix string
	began  time.Time
	shown  time.Time
	best   trainer.Epoch
}

func newEpochLog(j *job, prefix string) *epochLog {
	return &epochLog{job: j, prefix: prefix, began: time.Now(), best: trainer.Epoch{Epoch: -1}}
}

func (l *epochLog) epoch(ep trainer.Epoch) {
	if ep.Best {
		l.best = ep
	}
	now := time.Now()
	last := ep.Epoch+1 == l.job.lastEpoch()
	if !l.shown.IsZero() && !last && now.Sub(l.shown) < max(2*time.Second, now.Sub(l.began)/20) {
		return
	}
	l.shown = now
	best := ""
	switch {
	case l.best.Epoch == ep.Epoch:
		best = ", the best"
	case l.best.Epoch >= 0:
		best = fmt.Sprintf(", best %.4f in epoch %d", l.best.Val.F1Micro, l.best.Epoch)
	}
	l.job.env.log.Info(fmt.Sprintf("%sepoch %d: loss %.4f, train F1 %.4f; validation loss %.4f, F1 %.4f%s; %.2f s",
		l.prefix, ep.Epoch, ep.TrainLoss, ep.TrainF1, ep.Val.Loss, ep.Val.F1Micro, best, ep.Seconds))
}

// lastEpoch returns the number of epochs that the run trains in all.
func (j *job) lastEpoch() int {
	last := j.config.Phases[len(j.config.Phases)-1].End
	if j.Epochs > 0 {
		last = min(last, j.Epochs)
	}
	return last
}

// resultLine is the JSON of a finished run.
type resultLine struct {
	Type         string   `json:"type"`
	Seed         *uint64  `json:"seed,omitempty"` // only where there are several
	BestEpoch    int      `json:"best_epoch"`
	Epochs       int      `json:"epochs"`
	ValF1Micro   float64  `json:"val_f1_micro"`
	ValF1Macro   float64  `json:"val_f1_macro"`
	TestF1Micro  float64  `json:"test_f1_micro"`
	TestF1Macro  float64  `json:"test_f1_macro"`
	LastTest     float64  `json:"last_test_f1_micro"`
	TestAccuracy *float64 `json:"test_accuracy,omitempty"`
	TestROCAUC   *float64 `json:"test_rocauc,omitempty"`
	trainer.Times
	PeakRSS int64  `json:"peak_rss_bytes"`
	Device  string `json:"device"`
	RunDir  string `json:"run_dir"`
}

// newResultLine describes the run r, or its baseline.
func (o *trainOutput) newResultLine(kind string, res *trainer.Result, seed uint64, dir string) resultLine {
	line := resultLine{
		Type: kind, BestEpoch: res.BestEpoch, Epochs: res.Epochs, ValF1Micro: res.Val.F1Micro, ValF1Macro: res.Val.F1Macro,
		TestF1Micro: res.Test.F1Micro, TestF1Macro: res.Test.F1Macro, LastTest: res.LastTest.F1Micro, Times: res.Times,
		PeakRSS: peakRSS(), Device: trainer.DeviceNames(o.job.backend, o.job.others), RunDir: dir,
	}
	if o.job.Runs > 1 {
		line.Seed = &seed
	}
	if wantsAccuracy(o.job.data) {
		line.TestAccuracy = &res.Test.Accuracy
	}
	if res.Test.HasROCAUC {
		line.TestROCAUC = &res.Test.ROCAUC
	}
	return line
}

// result records and prints a finished run; its line is the last, behind its baseline's.
func (o *trainOutput) result(r *runResult) error {
	var lines []resultLine
	if r.baseline != nil {
		lines = append(lines, o.newResultLine("baseline", r.baseline, r.seed, filepath.Join(r.dir.Path, baselineDir)))
	}
	line := o.newResultLine("result", r.Result, r.seed, r.dir.Path)
	for _, l := range append(lines, line) {
		if err := r.dir.AppendMetrics(l); err != nil {
			return err
		}
		if o.job.env.json {
			if err := o.job.env.printJSON(l); err != nil {
				return err
			}
		}
	}
	if o.job.env.json || o.job.Runs > 1 { // of several runs the summary prints one table
		return nil
	}
	return o.table(r, line)
}
