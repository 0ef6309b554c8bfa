package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// trainOutput prints and records what training reports.
type trainOutput struct {
	job       *job
	published float64
	known     bool
	rows      []tableRow
}

type tableRow struct {
	seed uint64
	res  *trainer.Result
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

func (o *trainOutput) epoch(dir *rundir.Dir, ep trainer.Epoch) error {
	line := epochLine{"epoch", ep.Epoch, ep.Phase, ep.TrainLoss, ep.TrainF1, ep.Val.F1Micro, ep.Val.F1Macro, ep.Val.Loss, ep.Seconds}
	if err := dir.AppendMetrics(line); err != nil {
		return err
	}
	mark := ""
	if ep.Best {
		mark = " (best so far)"
	}
	o.job.env.log.Info(fmt.Sprintf("epoch %d: train loss %.4f F1 %.4f, validation loss %.4f F1 %.4f macro %.4f, %.2f s%s",
		ep.Epoch, ep.TrainLoss, ep.TrainF1, ep.Val.Loss, ep.Val.F1Micro, ep.Val.F1Macro, ep.Seconds, mark))
	if o.job.env.json {
		return o.job.env.printJSON(line)
	}
	return nil
}

// resultLine is the JSON of a finished run.
type resultLine struct {
	Type         string   `json:"type"`
	Seed         uint64   `json:"seed"`
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

func (o *trainOutput) result(dir *rundir.Dir, seed uint64, res *trainer.Result) error {
	line := resultLine{
		Type: "result", Seed: seed, BestEpoch: res.BestEpoch, Epochs: res.Epochs, ValF1Micro: res.Val.F1Micro, ValF1Macro: res.Val.F1Macro,
		TestF1Micro: res.Test.F1Micro, TestF1Macro: res.Test.F1Macro, LastTest: res.LastTest.F1Micro, Times: res.Times,
		PeakRSS: peakRSS(), Device: o.job.backend.Device(), RunDir: dir.Path,
	}
	if wantsAccuracy(o.job.data) {
		line.TestAccuracy = &res.Test.Accuracy
	}
	if wantsROCAUC(o.job.data) {
		line.TestROCAUC = &res.Test.ROCAUC
	}
	if err := dir.AppendMetrics(line); err != nil {
		return err
	}
	if o.job.env.json {
		return o.job.env.printJSON(line)
	}
	o.rows = append(o.rows, tableRow{seed, res})
	if o.job.Runs > 1 {
		return nil // the summary prints all runs together
	}
	return o.table(line)
}

// table prints the last table on the terminal.
func (o *trainOutput) table(line resultLine) error {
	e := o.job.env
	if err := o.printRows(); err != nil {
		return err
	}
	t := line.Times
	if err := e.printf("\nbest epoch %d of %d; final weights: test F1 %.4f\n", line.BestEpoch, line.Epochs, line.LastTest); err != nil {
		return err
	}
	return e.printf("seconds: %.1f in all, load %.1f, normalisation %.1f, training %.1f (waiting for samples %.1f), evaluation %.1f; peak memory %d MB\n%s\n",
		t.Total, t.Load, t.Norm, t.Train, t.SampleWait, t.Eval, line.PeakRSS/1e6, line.RunDir)
}

func (o *trainOutput) printRows() error {
	e := o.job.env
	name := o.job.config.Name
	head := fmt.Sprintf("%-24s %-28s %6s  %8s %9s  %8s %9s  %s", "data", "configuration", "seed", "val F1", "macro", "test F1", "macro", "published test F1")
	if err := e.printf("%s\n%s\n", head, strings.Repeat("-", len(head))); err != nil {
		return err
	}
	for _, r := range o.rows {
		if err := e.printf("%-24s %-28s %6d  %8.4f %9.4f  %8.4f %9.4f  %s\n", o.job.data.Name, name, r.seed,
			r.res.Val.F1Micro, r.res.Val.F1Macro, r.res.Test.F1Micro, r.res.Test.F1Macro, o.publishedText()); err != nil {
			return err
		}
	}
	return nil
}

func (o *trainOutput) publishedText() string {
	if !o.known {
		return "-"
	}
	return fmt.Sprintf("%.3f", o.published)
}

// summaryLine is the JSON of several runs.
type summaryLine struct {
	Type     string  `json:"type"`
	Runs     int     `json:"runs"`
	ValMean  float64 `json:"val_f1_micro_mean"`
	ValStd   float64 `json:"val_f1_micro_std"`
	TestMean float64 `json:"test_f1_micro_mean"`
	TestStd  float64 `json:"test_f1_micro_std"`
	LastMean float64 `json:"last_test_f1_micro_mean"`
	LastStd  float64 `json:"last_test_f1_micro_std"`
	RunDir   string  `json:"run_dir"`
}

func (o *trainOutput) summary(root string, all []*trainer.Result) error {
	s := summaryLine{Type: "summary", Runs: len(all), RunDir: root}
	s.ValMean, s.ValStd = meanStd(all, func(r *trainer.Result) float64 { return r.Val.F1Micro })
	s.TestMean, s.TestStd = meanStd(all, func(r *trainer.Result) float64 { return r.Test.F1Micro })
	s.LastMean, s.LastStd = meanStd(all, func(r *trainer.Result) float64 { return r.LastTest.F1Micro })
	e := o.job.env
	if e.json {
		return e.printJSON(s)
	}
	if err := o.printRows(); err != nil {
		return err
	}
	return e.printf("\nmean of %d runs: validation F1 %.4f ± %.4f, test F1 %.4f ± %.4f, final weights' test F1 %.4f ± %.4f; published test F1 %s\n%s\n",
		s.Runs, s.ValMean, s.ValStd, s.TestMean, s.TestStd, s.LastMean, s.LastStd, o.publishedText(), root)
}

// meanStd returns mean and sample standard deviation.
func meanStd(all []*trainer.Result, of func(*trainer.Result) float64) (mean, std float64) {
	for _, r := range all {
		mean += of(r) / float64(len(all))
	}
	if len(all) < 2 {
		return mean, 0
	}
	for _, r := range all {
		std += (of(r) - mean) * (of(r) - mean) / float64(len(all)-1)
	}
	return mean, math.Sqrt(std)
}

// formatScore prints a score with four decimals.
func formatScore(x float64) string { return fmt.Sprintf("%.4f", x) }
