package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

var nan = math.NaN()

// twoPhases has 3 updates in each of 3 epochs, then 2 in each of 3, and validates after
// epochs 1, 3 and 5.
const (
	runNetwork = "dim: 8; arch: '1-1-0'; act: relu; loss: softmax"
	runParams  = "lr: 0.02; dropout: 0.1; weight_decay: 0.0001; sample_coverage: 3; eval_val_every: 2"
	runPhases  = "end: 3; sampler: rw; num_root: 30; depth: 2 | end: 6; sampler: node; size_subgraph: 90"
)

// lab is what runs of one test share.
type lab struct {
	t    *testing.T
	data *formats.Dataset
	conf string
	b    tensor.Backend
}

func newLab(t *testing.T) *lab {
	t.Helper()
	return &lab{t, generate(t, small), yaml(runNetwork, runParams, runPhases), backend(t, 2)}
}

// options returns those of a run in dir that records its epochs there.
func (l *lab) options(dir *rundir.Dir) Options {
	l.t.Helper()
	o := Options{Data: l.data, Config: parse(l.t, l.conf), Backend: l.b, Seed: 1, Workers: 2, EvalTrainEvery: 2}
	if dir != nil {
		o.Dir, o.OnResume = dir, dir.TrimMetrics
		o.OnEpoch = func(e Epoch) error {
			e.Seconds = 0
			return dir.AppendMetrics(struct {
				Type string `json:"type"`
				Epoch
			}{"epoch", e})
		}
	}
	return o
}

// train runs to the end.
func (l *lab) train(o Options) *Result {
	l.t.Helper()
	res, err := Train(context.Background(), o)
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

// first trains without interruption and returns folder and result.
func (l *lab) first() (*rundir.Dir, *Result) {
	l.t.Helper()
	dir := newDir(l.t)
	return dir, l.train(l.options(dir))
}

// same compares everything that two runs must have in common.
func (l *lab) same(what string, dir, want *rundir.Dir, res, wantRes *Result) {
	l.t.Helper()
	sameFile(l.t, what, dir.LastPath(), want.LastPath())
	sameFile(l.t, what, dir.BestPath(), want.BestPath())
	sameFile(l.t, what, filepath.Join(dir.Path, "metrics.jsonl"), filepath.Join(want.Path, "metrics.jsonl"))
	a, b := *res, *wantRes
	a.Times, b.Times = Times{}, Times{}
	if a != b {
		l.t.Errorf("%s: result %+v, want %+v", what, a, b)
	}
}

func TestTrain(t *testing.T) {
	l := newLab(t)
	dir, res := l.first()
	if res.Epochs != 6 || res.BestEpoch < 1 || res.Params <= 0 {
		t.Errorf("result %+v, want 6 epochs and a best one", res)
	}
	var epochs []int
	best := -1.0
	for _, line := range bytes.Split(bytes.TrimSpace(readFile(t, filepath.Join(dir.Path, "metrics.jsonl"))), []byte("\n")) {
		var e Epoch
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, e.Epoch)
		if e.Phase != e.Epoch/3 || !(e.TrainLoss > 0) || !(e.TrainF1 > 0) || e.Best != (e.Val.F1Micro > best) || e.Val.Nodes != 60 || e.Test.Nodes != 60 {
			t.Errorf("epoch %+v after a best of %v", e, best)
		}
		best = max(best, e.Val.F1Micro)
	}
	if want := []int{1, 3, 5}; !slices.Equal(epochs, want) {
		t.Errorf("validated epochs %v, want %v", epochs, want)
	}
	if res.Val.F1Micro != best {
		t.Errorf("best validation %v, want %v", res.Val.F1Micro, best)
	}
	tm := res.Times
	if !(tm.Norm > 0 && tm.Train >= tm.SampleWait && tm.Eval > 0 && tm.Total >= tm.Norm+tm.Train+tm.Eval) {
		t.Errorf("times %+v do not add up", tm)
	}
	l.checkMetadata(dir.LastPath(), "5", "15") // ceil(180/60) and ceil(180/90) updates an epoch
	l.checkMetadata(dir.BestPath(), fmt.Sprint(res.BestEpoch), "")
	l.checkScores(dir, res)
}

func (l *lab) checkMetadata(path, epoch, step string) {
	l.t.Helper()
	m := metadata(l.t, path)
	if m["saint.epoch"] != epoch || step != "" && m["saint.step"] != step || m["saint.seed"] != "1" ||
		m["saint.config"] != parse(l.t, l.conf).Hash() || m["saint.format"] != "1" || len(m) != 5 {
		l.t.Errorf("metadata of %s = %v, want epoch %s, step %s", filepath.Base(path), m, epoch, step)
	}
}

// checkScores evaluates the saved parameters anew.
func (l *lab) checkScores(dir *rundir.Dir, res *Result) {
	l.t.Helper()
	for path, want := range map[string]Scores{dir.BestPath(): res.Test, dir.LastPath(): res.LastTest} {
		c := parse(l.t, l.conf)
		m, err := NewModel(c, l.data.Features.Dim(), l.data.Labels.NumClasses, l.b, 99)
		if err != nil {
			l.t.Fatal(err)
		}
		if err := LoadParams(path, m); err != nil {
			l.t.Fatal(err)
		}
		e, err := NewEvaluator(l.data.Full, l.data.Features, l.b, newArena(l.t, l.b))
		if err != nil {
			l.t.Fatal(err)
		}
		s, err := NewScorer(l.data, e, m.Loss, false)
		if err != nil {
			l.t.Fatal(err)
		}
		got, err := s.Evaluate(context.Background(), m)
		if err != nil || got.Test != want {
			l.t.Errorf("scores of %s = %+v, %v, want %+v", filepath.Base(path), got, err, want)
		}
		e.Close()
		m.Close()
	}
}

// TestTrainSameBits: workers, threads, where features lie, and where the normalisation comes
// from change nothing.
func TestTrainSameBits(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	cache := t.TempDir()
	for _, c := range []struct {
		name   string
		change func(o *Options)
	}{
		{"1 worker", func(o *Options) { o.Workers = 1 }},
		{"4 workers", func(o *Options) { o.Workers = 4 }},
		{"default workers", func(o *Options) { o.Workers = 0 }},
		{"1 thread", func(o *Options) { o.Backend = backend(t, 1) }},
		{"3 threads", func(o *Options) { o.Backend = backend(t, 3) }},
		{"4 threads", func(o *Options) { o.Backend = backend(t, 4) }},
		{"memory not shared", func(o *Options) { o.Backend = discrete{l.b} }},
		{"features not resident", func(o *Options) {
			d := *l.data
			d.Features = rows{FeatureStore: d.Features}
			o.Data = &d
		}},
		{"checkpoints all the time", func(o *Options) { o.CheckpointEvery = 1 }},
		{"cache filled", func(o *Options) { o.CacheDir = cache }},
		{"cache used", func(o *Options) { o.CacheDir = cache }},
		{"cache in the way", func(o *Options) { o.CacheDir = want.ConfigPath() }},
	} {
		dir := newDir(t)
		o := l.options(dir)
		var log bytes.Buffer
		o.Log = logger(&log)
		c.change(&o)
		l.same(c.name, dir, want, l.train(o), wantRes)
		if used := strings.Contains(log.String(), "taken from file"); used != (c.name == "cache used") {
			t.Errorf("%s: normalisation from a file: %v", c.name, used)
		}
		sameFile(t, c.name, dir.NormPath(1), want.NormPath(1))
	}
	o := l.options(nil)
	if res := l.train(o); res.LastTest != wantRes.LastTest {
		t.Errorf("without a folder: %+v, want %+v", res, wantRes)
	}
	o.Seed = 2
	dir := newDir(t)
	o.Dir = dir
	l.train(o)
	if bytes.Equal(readFile(t, dir.LastPath()), readFile(t, want.LastPath())) {
		t.Error("seed 2 gives the parameters of seed 1")
	}
}

// TestTrainDamagedNorm: what is in the way of a normalisation is computed again.
func TestTrainDamagedNorm(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	good := readFile(t, want.NormPath(0))
	for name, data := range map[string][]byte{"truncated": good[:len(good)-5], "empty": {}, "damaged": append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1)} {
		dir := newDir(t)
		if err := os.WriteFile(dir.NormPath(0), data, 0o666); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		o := l.options(dir)
		o.Log = logger(&log)
		l.same(name, dir, want, l.train(o), wantRes)
		if !strings.Contains(log.String(), "computed again") {
			t.Errorf("%s: nothing was logged about the damage", name)
		}
		sameFile(t, name, dir.NormPath(0), want.NormPath(0))
	}
}

func TestTrainInitFrom(t *testing.T) {
	l := newLab(t)
	want, _ := l.first()
	o := l.options(nil)
	o.InitFrom, o.MaxEpochs = want.BestPath(), 1
	fresh := l.options(nil)
	fresh.MaxEpochs = 1
	if from, without := l.train(o), l.train(fresh); !(from.Val.Loss < without.Val.Loss) {
		t.Errorf("one epoch from trained parameters has loss %v, from scratch %v", from.Val.Loss, without.Val.Loss)
	}
	path := filepath.Join(t.TempDir(), "init.safetensors")
	for name, c := range map[string]struct {
		change func(ts []safetensors.Tensor) []safetensors.Tensor
		says   string
	}{
		"missing tensor": {func(ts []safetensors.Tensor) []safetensors.Tensor { return ts[:len(ts)-1] }, "layers.2"},
		"wrong shape": {func(ts []safetensors.Tensor) []safetensors.Tensor {
			ts[0].Shape = []int{ts[0].Shape[1], 1}
			return ts
		}, "tensor classifier.hops.0.bias has shape [3 1], the model wants 1x3"},
		"infinite": {func(ts []safetensors.Tensor) []safetensors.Tensor {
			copy(ts[0].Data[4:], []byte{0, 0, 0x80, 0x7F})
			return ts
		}, "tensor classifier.hops.0.bias has the value +Inf at row 0, column 1"},
	} {
		if err := os.WriteFile(path, readFile(t, want.LastPath()), 0o666); err != nil {
			t.Fatal(err)
		}
		rewrite(t, path, func(ts []safetensors.Tensor, _ map[string]string) []safetensors.Tensor { return c.change(ts) })
		o.InitFrom = path
		_, err := Train(context.Background(), o)
		wantError(t, name, err, path, c.says)
		var in *formats.InputError
		if !errors.As(err, &in) {
			t.Errorf("%s: Train = %T, want a *formats.InputError", name, err)
		}
	}
	o.InitFrom = filepath.Join(t.TempDir(), "absent")
	if _, err := Train(context.Background(), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Train from a missing file = %v", err)
	}
}

// TestTrainWriteFailures: a file that cannot be written ends the run, and what was saved
// before is still there. A folder stands in the file's way, as a full disk would.
func TestTrainWriteFailures(t *testing.T) {
	l := newLab(t)
	half := func() *rundir.Dir {
		dir := newDir(t)
		o := l.options(dir)
		o.MaxEpochs = 2
		l.train(o)
		return dir
	}
	want, _ := l.first()
	for name, block := range map[string]func(*rundir.Dir) string{
		"state": (*rundir.Dir).StatePath, "best": (*rundir.Dir).BestPath, "last": (*rundir.Dir).LastPath,
		"normalisation": func(d *rundir.Dir) string { return d.NormPath(1) },
	} {
		dir := half()
		path := block(dir)
		aside := path + ".aside"
		there := os.Rename(path, aside) == nil
		blocked := path
		o := l.options(dir)
		o.Resume = true
		if name == "state" {
			// The state is read first, so only writing may fail: a run folder that gives
			// another path from the second time on.
			os.Rename(aside, path)
			blocked = path + ".x"
			o.Dir = &secondState{Dir: dir, second: blocked}
		}
		if err := os.MkdirAll(filepath.Join(blocked, "in the way"), 0o777); err != nil {
			t.Fatal(err)
		}
		o.CheckpointEvery = 1
		before := readFile(t, dir.StatePath())
		_, err := Train(context.Background(), o)
		// The state goes first: a run killed between the two files loses nothing.
		if same := bytes.Equal(before, readFile(t, dir.StatePath())); same != (name == "state") {
			t.Errorf("%s: the state is as before: %v", name, same)
		}
		if name == "best" && err == nil {
			continue // no later validation was better
		}
		wantError(t, name, err, blocked, "folder")
		os.RemoveAll(blocked)
		if there && name != "state" {
			os.Rename(aside, path)
		}
		o = l.options(dir)
		o.Resume = true
		l.train(o)
		sameFile(t, name, dir.LastPath(), want.LastPath())
	}
}

type secondState struct {
	*rundir.Dir
	second string
	asked  bool
}

func (d *secondState) StatePath() string {
	if d.asked {
		return d.second
	}
	d.asked = true
	return d.Dir.StatePath()
}

// TestTrainStops: errors of listeners and of a step end a run and leave the last state alone.
func TestTrainStops(t *testing.T) {
	l := newLab(t)
	dir := newDir(t)
	boom := errors.New("boom")
	o := l.options(dir)
	o.OnEpoch = func(Epoch) error { return boom }
	if _, err := Train(context.Background(), o); !errors.Is(err, boom) {
		t.Errorf("Train with a failing listener = %v, want boom", err)
	}
	o = l.options(dir)
	o.Resume, o.OnResume = true, func(int) error { return boom }
	if _, err := Train(context.Background(), o); !errors.Is(err, boom) {
		t.Errorf("Train with a failing OnResume = %v, want boom", err)
	}

	o = l.options(nil)
	o.Config = parse(t, strings.Replace(l.conf, "lr: 0.02", "lr: 1e30", 1))
	_, err := Train(context.Background(), o)
	if !errors.Is(err, ErrNotFinite) {
		t.Errorf("Train with lr 1e30 = %v, want ErrNotFinite", err)
	}
	o = l.options(nil)
	o.Config = parse(t, strings.Replace(l.conf, "softmax", "sigmoid", 1))
	d := *l.data
	d.Features = rows{FeatureStore: d.Features, fail: boom}
	o.Data = &d
	if _, err := Train(context.Background(), o); !errors.Is(err, boom) {
		t.Errorf("Train with features that cannot be read = %v, want boom", err)
	}
}

// TestTrainNotFiniteFeatures: a NaN that only evaluation sees is found there.
func TestTrainNotFiniteFeatures(t *testing.T) {
	l := newLab(t)
	d := *l.data
	x := slices.Clone(d.Features.(formats.Resident).Matrix())
	x[int(d.ValNodes[3])*12] = float32(nan)
	d.Features = formats.NewMatrix(x, 12)
	o := l.options(nil)
	o.Data = &d
	_, err := Train(context.Background(), o)
	if !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "nodes is NaN") {
		t.Errorf("Train with a NaN in a validation node = %v, want ErrNotFinite", err)
	}
}

func TestTrainRefuses(t *testing.T) {
	l := newLab(t)
	for name, c := range map[string]struct {
		conf string
		line string
		says string
	}{
		"unknown sampler":   {strings.Replace(l.conf, "sampler: node", "sampler: nodes", 1), "test.yml:", "unknown sampler"},
		"key of no owner":   {l.conf + "    deg_clip: 3\n", "test.yml:", "deg_clip"},
		"key of no layer":   {strings.Replace(l.conf, "dim: 8", "dim: 8\n    heads: 2", 1), "test.yml:", "heads"},
		"heads":             {strings.Replace(l.conf, "dim: 8", "dim: 8\n    attention: 3", 1), "test.yml:3:", "divisor of dim"},
		"gates and variant": {strings.Replace(l.conf, "dim: 8", "dim: 8\n    attention: 2\n    gated_attention: true\n    attention_variant: tf", 1), "test.yml:", "no gates"},
		"gate":              {strings.Replace(l.conf, "dim: 8", "dim: 8\n    attention: 2\n    gated_attention: true\n    gate: soft", 1), "test.yml:", "there is linear, sigmoid"},
		"variant alone":     {strings.Replace(l.conf, "dim: 8", "dim: 8\n    attention_variant: tf", 1), "test.yml:", "needs attention"},
		"attention without": {strings.Replace(l.conf, "dim: 8", "dim: 8\n    attention: 2\n    layer: high_order", 1), "test.yml:", "has no attention"},
	} {
		o := l.options(nil)
		o.Config = parse(t, c.conf)
		_, err := Train(context.Background(), o)
		wantError(t, name, err, c.line, c.says)
		var e *trainconfig.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: Train = %T, want a *trainconfig.Error", name, err)
		}
	}
	o := l.options(nil)
	d := *l.data
	d.Labels = formats.Labels{NumClasses: 2, Multi: make([]uint8, 600)}
	o.Data = &d
	_, err := Train(context.Background(), o)
	wantError(t, "softmax on lists of labels", err, "test.yml:", "use loss: sigmoid")
}

// TestTrainWithoutInformation: features that are the same everywhere are 0 once
// standardised, and the message says so instead of blaming the learning rate.
func TestTrainWithoutInformation(t *testing.T) {
	l := newLab(t)
	d := *l.data
	d.Features = formats.NewMatrix(make([]float32, d.NumNodes()*12), 12)
	o := l.options(nil)
	o.Data = &d
	o.Config = parse(t, yaml("dim: 64; arch: 1-0-1-0; loss: softmax; bias: norm", "lr: 0.01; sample_coverage: 1", "end: 2; sampler: full_batch"))
	_, err := Train(context.Background(), o)
	if err != nil && (!errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "are 0 after standardisation")) {
		t.Errorf("Train with features of 0 = %v, want ErrNotFinite and the cause", err)
	}
	if err == nil {
		t.Error("Train with features of 0 succeeded, want ErrNotFinite")
	}
}
