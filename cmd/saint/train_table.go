package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/saint-gnn/saint/trainer"
)

// scoreRow is a row of the last table; a NaN is printed as a dash.
type scoreRow struct {
	name                                  string
	epoch                                 string
	valMicro, valMacro, testMicro, tMacro float64
}

func newScoreRow(name string, res *trainer.Result) scoreRow {
	return scoreRow{name, fmt.Sprint(res.BestEpoch), res.Val.F1Micro, res.Val.F1Macro, res.Test.F1Micro, res.Test.F1Macro}
}

// table prints the last table on the terminal.
func (o *trainOutput) table(r *runResult, line resultLine) error {
	nan := math.NaN()
	rows := []scoreRow{
		newScoreRow("best validation", r.Result),
		{"final weights", fmt.Sprint(r.Epochs - 1), nan, nan, r.LastTest.F1Micro, r.LastTest.F1Macro},
	}
	if r.baseline != nil {
		rows = append(rows, newScoreRow("features only", r.baseline))
	}
	e := o.job.env
	if err := o.printRows(fmt.Sprintf("%s, %s, seed %d", o.job.data.Name, o.job.config.Name, r.seed), rows); err != nil {
		return err
	}
	t := line.Times
	epochs := fmt.Sprintf("%d epochs", line.Epochs)
	if line.Epochs == 1 {
		epochs = "1 epoch"
	}
	return e.printf("\n%s in %s: loading %s, normalisation %s, training %s (%s of it waiting for samples), evaluation %s; peak memory %d MB\nrun folder %s\n",
		epochs, seconds(t.Total), seconds(t.Load), seconds(t.Norm), seconds(t.Train), seconds(t.SampleWait), seconds(t.Eval), line.PeakRSS/1e6, line.RunDir)
}

// seconds prints a time with sensible digits.
func seconds(s float64) string {
	switch {
	case s >= 100:
		return fmt.Sprintf("%.0f s", s)
	case s >= 10:
		return fmt.Sprintf("%.1f s", s)
	default:
		return fmt.Sprintf("%.2f s", s)
	}
}

// printRows prints rows under a title, and the published score if there is one.
func (o *trainOutput) printRows(title string, rows []scoreRow) error {
	if o.known {
		rows = append(rows, scoreRow{"published", "", math.NaN(), math.NaN(), o.published, math.NaN()})
	}
	e := o.job.env
	head := fmt.Sprintf("%-22s %6s  %12s %12s  %12s %12s", "", "epoch", "val F1 micro", "macro", "test F1 micro", "macro")
	if err := e.printf("%s\n\n%s\n%s\n", title, head, strings.Repeat("-", len(head))); err != nil {
		return err
	}
	for _, r := range rows {
		if err := e.printf("%-22s %6s  %12s %12s  %13s %12s\n", r.name, r.epoch, score(r.valMicro), score(r.valMacro), score(r.testMicro), score(r.tMacro)); err != nil {
			return err
		}
	}
	return nil
}

// score prints a score with four decimals, a dash if there is none.
func score(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.4f", x)
}

// summaryLine is the JSON of several runs.
type summaryLine struct {
	Type     string   `json:"type"`
	Runs     int      `json:"runs"`
	ValMean  float64  `json:"val_f1_micro_mean"`
	ValStd   float64  `json:"val_f1_micro_std"`
	TestMean float64  `json:"test_f1_micro_mean"`
	TestStd  float64  `json:"test_f1_micro_std"`
	LastMean float64  `json:"last_test_f1_micro_mean"`
	LastStd  float64  `json:"last_test_f1_micro_std"`
	BaseMean *float64 `json:"baseline_test_f1_micro_mean,omitempty"`
	BaseStd  *float64 `json:"baseline_test_f1_micro_std,omitempty"`
	RunDir   string   `json:"run_dir"`
}

// summary prints several runs together, with mean and sample standard deviation.
func (o *trainOutput) summary(root string, all []*runResult) error {
	s := summaryLine{Type: "summary", Runs: len(all), RunDir: root}
	s.ValMean, s.ValStd = meanStd(all, func(r *runResult) float64 { return r.Val.F1Micro })
	s.TestMean, s.TestStd = meanStd(all, func(r *runResult) float64 { return r.Test.F1Micro })
	s.LastMean, s.LastStd = meanStd(all, func(r *runResult) float64 { return r.LastTest.F1Micro })
	if o.job.Baseline {
		mean, std := meanStd(all, func(r *runResult) float64 { return r.baseline.Test.F1Micro })
		s.BaseMean, s.BaseStd = &mean, &std
	}
	e := o.job.env
	if e.json {
		return e.printJSON(s)
	}
	var rows []scoreRow
	for _, r := range all {
		rows = append(rows, newScoreRow(fmt.Sprintf("seed %d", r.seed), r.Result))
	}
	valMacro, valMacroStd := meanStd(all, func(r *runResult) float64 { return r.Val.F1Macro })
	testMacro, testMacroStd := meanStd(all, func(r *runResult) float64 { return r.Test.F1Macro })
	nan := math.NaN()
	rows = append(rows, scoreRow{"mean", "", s.ValMean, valMacro, s.TestMean, testMacro},
		scoreRow{"standard deviation", "", s.ValStd, valMacroStd, s.TestStd, testMacroStd},
		scoreRow{"final weights, mean", "", nan, nan, s.LastMean, nan}, scoreRow{"  standard deviation", "", nan, nan, s.LastStd, nan})
	if s.BaseMean != nil {
		rows = append(rows, scoreRow{"features only, mean", "", nan, nan, *s.BaseMean, nan}, scoreRow{"  standard deviation", "", nan, nan, *s.BaseStd, nan})
	}
	if err := o.printRows(fmt.Sprintf("%s, %s, %d runs", o.job.data.Name, o.job.config.Name, s.Runs), rows); err != nil {
		return err
	}
	return e.printf("\nrun folders in %s\n", root)
}

// meanStd returns mean and sample standard deviation.
func meanStd(all []*runResult, of func(*runResult) float64) (mean, std float64) {
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
