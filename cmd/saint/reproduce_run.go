package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// seed returns the result of one run: from its folder if it is finished, else after training
// what is missing of it. before are the seconds of the row's runs so far.
func (r *reproducer) seed(ctx context.Context, row paperRow, seed uint64, before []float64) (*resultLine, error) {
	r.done++
	dir, result, err := r.earlier(row, seed)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("run %d of %d: %s, seed %d", r.done, r.runs, row.name, seed)
	if result != nil {
		r.env.log.Info(what + ", finished before")
		return result, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.env.log.Info(what + r.remaining(before))
	prefix := filepath.Join(r.data, row.data)
	if err := r.open(ctx, prefix); err != nil {
		return nil, err
	}
	if err := r.train(ctx, row, seed, prefix, dir); err != nil {
		return nil, err
	}
	_, result, err = r.earlier(row, seed)
	if err == nil && result == nil {
		err = fmt.Errorf("%s: the run has ended without a result", r.path(row, seed))
	}
	return result, err
}

// remaining estimates the time left from the runs of the row so far.
func (r *reproducer) remaining(before []float64) string {
	if len(before) == 0 {
		return ""
	}
	mean, _ := meanDeviation(before)
	left := time.Duration(mean * float64(time.Second))
	return fmt.Sprintf("; %s a run, %s left of this row", progress.Short(left), progress.Short(left*time.Duration(r.seeds-len(before))))
}

// earlier looks at a run's folder: none, to be resumed, or finished with a result.
func (r *reproducer) earlier(row paperRow, seed uint64) (*rundir.Dir, *resultLine, error) {
	path := r.path(row, seed)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	dir, err := rundir.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if dir.Info.ConfigHash != row.config.Hash() || dir.Info.Seed != seed {
		return nil, nil, usagef("%s holds another run: of %s with seed %d; choose another --out", path, dir.Info.Config, dir.Info.Seed)
	}
	if dir.Info.State != rundir.Done {
		return dir, nil, nil
	}
	var result *resultLine
	err = eachMetric(path, func(kind string, line []byte) error {
		if kind != "result" {
			return nil
		}
		result = &resultLine{}
		return json.Unmarshal(line, result)
	})
	return dir, result, err
}

// eachMetric calls fn with the type and text of every line of a run's metrics.
func eachMetric(path string, fn func(kind string, line []byte) error) error {
	file := filepath.Join(path, "metrics.jsonl")
	data, err := os.ReadFile(file)
	if err != nil {
		return formats.BadInput(file, "cannot be read (%v); remove %s to repeat the run", err, path)
	}
	number := 0
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		number++
		var head struct{ Type string }
		err := json.Unmarshal(lines.Bytes(), &head)
		if err == nil {
			err = fn(head.Type, lines.Bytes())
		}
		if err != nil {
			return &formats.InputError{Path: file, Offset: -1, Line: number, Err: fmt.Errorf("damaged: %w; remove %s to repeat the run", err, path)}
		}
	}
	return nil
}

// train trains a run, or the rest of one.
func (r *reproducer) train(ctx context.Context, row paperRow, seed uint64, prefix string, dir *rundir.Dir) error {
	quiet := *r.env
	quiet.json = false // stdout has the table's lines alone
	quiet.started = time.Now()
	j := &job{env: &quiet, data: r.ds, config: row.config, backend: r.backend, load: r.load}
	j.trainOptions = trainOptions{
		DataPrefix: prefix, Config: row.config.Name, GPU: r.gpu, Workers: r.workers, Seed: seed, EvalTrainEvery: 15,
		Runs: 2, // one of several: prints no table of its own
		// A cap only where there is one: run.json then says what the configuration alone does not.
		CheckpointEvery: time.Minute,
	}
	if r.epochs > 0 {
		j.Epochs = r.lastEpoch(row)
	}
	if err := trainer.CheckLabels(row.config, &r.ds.Labels); err != nil {
		return err
	}
	if dir != nil {
		if err := dir.Lock(); err != nil {
			return err
		}
		if dir.Info.Fingerprint != r.ds.Fingerprint {
			dir.Unlock()
			return usagef("%s was started with other data than %s holds now; choose another --out", dir.Path, prefix)
		}
	}
	j.out = newTrainOutput(j)
	_, err := j.run(ctx, seed, dir, r.path(row, seed))
	if errors.Is(err, trainer.ErrInterrupted) {
		return fmt.Errorf("%w; saved, the same command goes on", trainer.ErrInterrupted)
	}
	return err
}

// reproduceLine is the JSON of a row.
type reproduceLine struct {
	Type    string    `json:"type"`
	Config  string    `json:"config"`
	Data    string    `json:"data"`
	Epochs  int       `json:"epochs"`
	Of      int       `json:"of_epochs"`               // the configuration's
	Tests   []float64 `json:"test_f1_micro,omitempty"` // by seed, of the best validation
	Lasts   []float64 `json:"last_test_f1_micro,omitempty"`
	Mean    *float64  `json:"test_f1_micro_mean,omitempty"`
	Std     *float64  `json:"test_f1_micro_std,omitempty"`
	Paper   float64   `json:"paper"`
	Verdict string    `json:"verdict"`
	Seconds []float64 `json:"seconds,omitempty"` // by seed, from loading to the last score
}

// reproduceTolerance is how far a mean may lie from the paper's rounded figure, whose own
// deviations reach 0.007.
const reproduceTolerance = 0.005

// compare fills in mean, deviation and verdict. A difference counts when it exceeds the
// tolerance and two deviations of our own seeds.
func (l *reproduceLine) compare() {
	mean, std := meanDeviation(l.Tests)
	l.Mean, l.Std = &mean, &std
	bound := max(reproduceTolerance, 2*std)
	switch {
	case mean < l.Paper-bound:
		l.Verdict = "below"
	case mean > l.Paper+bound:
		l.Verdict = "above"
	default:
		l.Verdict = "reproduced"
	}
}

// meanDeviation returns mean and sample standard deviation.
func meanDeviation(x []float64) (mean, std float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if len(x) < 2 {
		return mean, 0
	}
	for _, v := range x {
		std += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(std)
}

const reproduceRow = "%-14s %-8s %8s %5s %9s %10s %7s %9s  %s\n"

func (r *reproducer) head() error {
	if r.env.json {
		return nil
	}
	return r.env.printf(reproduceRow, "configuration", "data", "epochs", "seeds", "test F1", "deviation", "paper", "s a run", "verdict")
}

// print prints a row.
func (r *reproducer) print(l reproduceLine) error {
	if r.env.json {
		return r.env.printJSON(l)
	}
	name := strings.TrimSuffix(filepath.Base(l.Config), ".yml")
	mean, std, took := "-", "-", "-"
	epochs := fmt.Sprint(l.Epochs)
	if l.Epochs < l.Of {
		epochs += fmt.Sprintf("/%d", l.Of)
	}
	if l.Mean != nil {
		s, _ := meanDeviation(l.Seconds)
		mean, std, took = score(*l.Mean), score(*l.Std), fmt.Sprintf("%.0f", s)
	}
	return r.env.printf(reproduceRow, name, l.Data, epochs, fmt.Sprint(len(l.Tests)), mean, std, fmt.Sprintf("%.3f", l.Paper), took, l.Verdict)
}
