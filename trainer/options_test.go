package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// optionRuns are training options that keep state between updates or between epochs.
var optionRuns = []struct{ name, params string }{
	{"adamw, step, warm-up", "lr: 0.02; optimizer: adamw; weight_decay: 0.05; schedule: step; step_size: 2; gamma: 0.5; warmup_steps: 7"},
	{"sgd, cosine", "lr: 0.1; optimizer: sgd; momentum: 0.9; nesterov: true; schedule: cosine; lr_min: 0.01"},
	{"rmsprop, plateau", "lr: 0.005; optimizer: rmsprop; momentum: 0.5; schedule: plateau; gamma: 0.5; plateau_patience: 0; plateau_threshold: 0.3"},
	{"plateau, two epochs a validation", "lr: 0.02; eval_val_every: 2; schedule: plateau; plateau_patience: 1; plateau_threshold: 0.3"},
	{"early stopping", "lr: 1; patience: 1"},
	{"early stopping, two epochs a validation", "lr: 1; patience: 1; eval_val_every: 2"},
	{"class weights and smoothing", "lr: 0.02; class_weights: balanced; label_smoothing: 0.1"},
}

func (l *lab) with(params string) *lab {
	return &lab{l.t, l.data, yaml(runNetwork, "dropout: 0.1; sample_coverage: 3; "+params, runPhases), l.b}
}

// TestOptionsKilled: whatever state a run with options was killed at, it goes on bit for bit.
func TestOptionsKilled(t *testing.T) {
	base := newLab(t)
	for _, c := range optionRuns {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := base.with(c.params)
			l.t = t
			want, wantRes := l.first()
			if early := strings.Contains(c.params, " patience"); early != (wantRes.Epochs < 6) {
				t.Errorf("trained %d epochs", wantRes.Epochs)
			}
			all := &everyState{Dir: newDir(t)}
			o := l.options(all.Dir)
			o.Dir, o.CheckpointEvery = all, 1
			l.train(o)
			every := 1
			if testing.Short() {
				every = 3
			}
			for i := 1; i <= all.saved; i += every {
				dir := newDir(t)
				if err := os.RemoveAll(dir.Path); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(dir.Path, os.DirFS(all.Path)); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename((&everyState{Dir: dir}).state(i), dir.StatePath()); err != nil {
					t.Fatal(err)
				}
				o := l.options(dir)
				o.Resume = true
				l.same(fmt.Sprintf("killed after state %d", i), dir, want, l.train(o), wantRes)
			}
		})
	}
}

// TestOptionsInterrupted: ended at any look at the context and resumed, as often as it takes.
func TestOptionsInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("TestOptionsKilled looks at states as well")
	}
	base := newLab(t)
	for _, c := range optionRuns {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := base.with(c.params)
			l.t = t
			want, wantRes := l.first()
			dir := newDir(t)
			for part := 0; ; part++ {
				o := l.options(dir)
				o.Resume = part > 0
				res, err := Train(endAfter(t, part+5), o)
				if err == nil {
					l.same(fmt.Sprintf("%d parts", part+1), dir, want, res, wantRes)
					return
				}
				if !errors.Is(err, ErrInterrupted) || part > 300 {
					t.Fatalf("part %d: %v", part, err)
				}
			}
		})
	}
}

// TestOptionsCapped: a cap on the epochs that is raised later changes nothing, although the
// capped run validates once more.
func TestOptionsCapped(t *testing.T) {
	base := newLab(t)
	for _, c := range optionRuns {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := base.with(c.params)
			l.t = t
			want, wantRes := l.first()
			for _, capped := range []int{1, 3, 5} {
				dir := newDir(t)
				o := l.options(dir)
				o.MaxEpochs = capped
				l.train(o)
				o = l.options(dir)
				o.Resume = true
				if res := l.train(o); res.LastTest != wantRes.LastTest || res.Epochs != wantRes.Epochs {
					t.Errorf("capped at %d, then raised: %+v, want %+v", capped, res, wantRes)
				}
				sameFile(t, fmt.Sprintf("capped at %d, then raised", capped), dir.LastPath(), want.LastPath())
			}
		})
	}
}

// TestEarlyStopping: a run ends once no validation was better for patience epochs.
func TestEarlyStopping(t *testing.T) {
	for _, every := range []int{1, 2} {
		l := newLab(t)
		l.conf = yaml(runNetwork, fmt.Sprintf("lr: 0.02; sample_coverage: 3; patience: 3; eval_val_every: %d", every),
			"end: 300; sampler: rw; num_root: 30; depth: 2 | end: 400; sampler: node; size_subgraph: 90")
		var log bytes.Buffer
		var epochs []int
		o := l.options(nil)
		o.Log = logger(&log)
		o.OnEpoch = func(e Epoch) error {
			epochs = append(epochs, e.Epoch)
			return nil
		}
		res := l.train(o)
		last := epochs[len(epochs)-1]
		if still := last - res.BestEpoch; res.Epochs != last+1 || still < 3 || still >= 3+every || res.Epochs == 400 {
			t.Errorf("validation every %d: ended after %d epochs with the best at %d", every, res.Epochs, res.BestEpoch)
		}
		if !strings.Contains(log.String(), "training ends early") {
			t.Errorf("log %q does not say why training ended", log.String())
		}
	}
}

// TestOptionsTrain: every combination learns something, and stays what it was for any number
// of threads.
func TestOptionsTrain(t *testing.T) {
	base := newLab(t)
	for _, c := range optionRuns {
		var first *rundir.Dir
		for _, threads := range []int{2, 1} {
			l := base.with(c.params)
			l.b = backend(t, threads)
			dir, res := l.first()
			if res.Val.F1Micro <= 0.2 {
				t.Errorf("%s: validation F1 %v", c.name, res.Val.F1Micro)
			}
			if first == nil {
				first = dir
				continue
			}
			sameFile(t, c.name+", one thread", dir.LastPath(), first.LastPath())
		}
	}
}

// TestOptionsErrors: options that do not fit the data are refused where they stand.
func TestOptionsErrors(t *testing.T) {
	l := newLab(t)
	noVal := *l.data
	noVal.ValNodes = nil
	for _, c := range []struct {
		params, want string
		data         *formats.Dataset
	}{
		{"lr: 0.1; class_weights: [1, 2]", "test.yml:8:20: class_weights has 2 numbers, but the data has 3 classes", l.data},
		{"lr: 0.1; patience: 3", "test.yml:8:15: patience needs a validation score, but the data has no validation nodes", &noVal},
		{"lr: 0.1; schedule: plateau", "test.yml:8:15: schedule plateau needs a validation score", &noVal},
	} {
		o := l.options(nil)
		o.Data, o.Config = c.data, parse(t, yaml(runNetwork, c.params, runPhases))
		_, err := Train(context.Background(), o)
		var placed *trainconfig.Error
		if !errors.As(err, &placed) {
			t.Errorf("%s: %v, want an error of the configuration", c.params, err)
		}
		wantError(t, c.params, err, c.want)
	}
}

func TestClassWeights(t *testing.T) {
	single := &formats.Labels{NumClasses: 4, Class: []int32{0, 0, 0, 1, 3, 2, -1}}
	multi := &formats.Labels{NumClasses: 3, Multi: []uint8{1, 0, 0, 1, 1, 0, 1, 0, 0}}
	for _, c := range []struct {
		name   string
		weight trainconfig.ClassWeights
		labels *formats.Labels
		train  []int32
		want   []float64
	}{
		{"none", trainconfig.ClassWeights{}, single, []int32{0, 1}, []float64{1, 1, 1, 1}},
		{"list", trainconfig.ClassWeights{List: []float64{1, 2, 3, 0}}, single, nil, []float64{1, 2, 3, 0}},
		{"balanced", trainconfig.ClassWeights{Balanced: true}, single, []int32{0, 1, 2, 3, 4}, []float64{5. / 9, 5. / 3, 1, 5. / 3}},
		{"balanced label lists", trainconfig.ClassWeights{Balanced: true}, multi, []int32{0, 1, 2}, []float64{4. / 6, 2, 1}},
	} {
		got := classWeights(c.weight, c.labels, c.train)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
