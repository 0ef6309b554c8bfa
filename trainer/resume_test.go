package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// untilCall is a context that ends by itself after Err was asked for so many times: at every
// place where a run looks for the end.
type untilCall struct {
	context.Context
	cancel context.CancelFunc
	left   int
}

func (c *untilCall) Err() error {
	if c.left--; c.left == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// TestTrainInterrupted: ended at any of its looks at the context, or at any time, and resumed,
// as often as it takes, a run is the same.
func TestTrainInterrupted(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	r := rand.New(rand.NewPCG(1, 2))
	for name, next := range map[string]func(part int) context.Context{
		"one look more each time": func(s int) context.Context { return endAfter(t, s+1) },
		"at most 20 looks":        func(int) context.Context { return endAfter(t, 1+r.IntN(20)) },
		"at most 40 looks":        func(int) context.Context { return endAfter(t, 1+r.IntN(40)) },
		"by the clock": func(s int) context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(4+s))*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		},
	} {
		dir := newDir(t)
		parts := 0
		var res *Result
		for res == nil && parts < 300 {
			o := l.options(dir)
			o.Resume = parts > 0
			var err error
			if res, err = Train(next(parts), o); err != nil && !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			parts++
		}
		if res == nil || parts < 2 {
			t.Fatalf("%s: %d parts, want several and an end", name, parts)
		}
		l.same(fmt.Sprintf("%s, %d parts", name, parts), dir, want, res, wantRes)
	}
}

func endAfter(t *testing.T, looks int) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &untilCall{Context: ctx, cancel: cancel, left: looks}
}

// trigger is a writer that ends a context when it is shown a text.
type trigger struct {
	text   string
	cancel context.CancelFunc
	seen   bool
}

func (w *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		w.seen = true
		w.cancel()
	}
	return len(p), nil
}

// TestTrainInterruptedAt: the moments that matter, one by one.
func TestTrainInterruptedAt(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	for _, c := range []struct {
		text          string
		epoch, inStep int
	}{
		{"normalisation of phase 0", 0, 0},
		{"train 1/15", 0, 1},
		{"train 3/15", 0, 3}, // the last of epoch 0, which is not validated
		{"train 6/15", 1, 3}, // the last of epoch 1, before its validation
		{"train 9/15", 2, 3}, // the last of phase 0
		{"normalisation of phase 1", 3, 0},
		{"train 10/15", 3, 1},
		{"train 15/15", 5, 2}, // the last of all
	} {
		dir := newDir(t)
		ctx, cancel := context.WithCancel(context.Background())
		w := &trigger{text: c.text, cancel: cancel}
		o := l.options(dir)
		o.Progress = progress.New(w, progress.Lines, 1)
		_, err := Train(ctx, o)
		cancel()
		if !w.seen || !errors.Is(err, ErrInterrupted) {
			t.Errorf("ended at %q: Train = %v, want an interruption", c.text, err)
			continue
		}
		var st runState
		if err := json.Unmarshal([]byte(metadata(t, dir.StatePath())["saint.state"]), &st); err != nil {
			t.Fatal(err)
		}
		// The end of an epoch that is not validated is also the start of the next one.
		if got := [2]int{st.Epoch, int(st.InStep)}; got != [2]int{c.epoch, c.inStep} && got != [2]int{c.epoch + 1, 0} {
			t.Errorf("ended at %q: saved epoch and step %v, want %d and %d", c.text, got, c.epoch, c.inStep)
		}
		if epoch := metadata(t, dir.LastPath())["saint.epoch"]; st.InStep > 0 && epoch != fmt.Sprint(st.Epoch) || st.InStep == 0 && epoch != fmt.Sprint(st.Epoch-1) {
			t.Errorf("ended at %q: last.safetensors is of epoch %s, want the one that has begun", c.text, epoch)
		}
		o = l.options(dir)
		o.Resume = true
		l.same("ended at "+c.text, dir, want, l.train(o), wantRes)
	}
}

// everyState keeps all states that a run saves, in files of their own.
type everyState struct {
	*rundir.Dir
	saved int
}

func (d *everyState) StatePath() string {
	d.saved++
	return d.state(d.saved)
}

func (d *everyState) state(i int) string { return fmt.Sprintf("%s.%d", d.Dir.StatePath(), i) }

// TestTrainKilled: a run that was killed goes on from the last state that reached the disk,
// while normalisations, best parameters and metrics may be newer.
func TestTrainKilled(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	all := &everyState{Dir: newDir(t)}
	o := l.options(all.Dir)
	o.Dir, o.CheckpointEvery = all, 1
	l.train(o)
	if all.saved != 16 {
		t.Fatalf("%d states saved, want one for each of 15 updates and the last", all.saved)
	}
	for i := 0; i <= all.saved; i++ {
		dir := newDir(t)
		if err := os.RemoveAll(dir.Path); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir.Path, os.DirFS(all.Path)); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if err := os.Rename((&everyState{Dir: dir}).state(i), dir.StatePath()); err != nil {
				t.Fatal(err)
			}
		}
		o := l.options(dir)
		o.Resume = true
		res := l.train(o)
		l.same(fmt.Sprintf("killed after state %d", i), dir, want, res, wantRes)
		if tm := res.Times; i == all.saved && tm.Train < wantRes.Times.Train/100 {
			t.Errorf("times of a run that was finished before: %+v, want those of its parts", tm)
		}
	}
}

// TestTrainEpochs: a cap ends a run early, in the middle of a phase or before one; raising it
// gives the parameters of a run that never stopped.
func TestTrainEpochs(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	for _, first := range []int{1, 2, 3, 5, 6, 7} {
		dir := newDir(t)
		o := l.options(dir)
		o.MaxEpochs, o.LoadSeconds, o.Started = first, 5, time.Now().Add(-time.Hour)
		res := l.train(o)
		if res.Epochs != min(first, 6) || res.LastTest.Nodes == 0 || res.BestEpoch < 0 {
			t.Errorf("capped at %d: %+v", first, res)
		}
		o = l.options(dir)
		o.MaxEpochs, o.Resume = max(first, 4), true
		l.train(o)
		o = l.options(dir)
		o.Resume, o.LoadSeconds, o.Started = true, 7, time.Now().Add(-time.Hour)
		if res = l.train(o); res.Times.Load != 12 || res.Times.Total < 7200 {
			t.Errorf("times of three parts: %+v, want 12 s of loading and 2 hours in all", res.Times)
		}
		if res.LastTest != wantRes.LastTest || res.Epochs != 6 {
			t.Errorf("capped at %d, then raised: %+v, want %+v", first, res, wantRes)
		}
		sameFile(t, fmt.Sprintf("capped at %d, then raised", first), dir.LastPath(), want.LastPath())
		lines := bytes.Count(readFile(t, filepath.Join(dir.Path, "metrics.jsonl")), []byte("\n"))
		// Epochs 1, 3 and 5, and where it once stopped.
		stops := map[int]bool{1: true, 3: true, 5: true, min(first, 6) - 1: true}
		if lines != len(stops) {
			t.Errorf("capped at %d, then raised: %d validations, want %d", first, lines, len(stops))
		}
	}
}

// TestTrainTies: of equal validations the first is the best, also of a resumed run.
func TestTrainTies(t *testing.T) {
	l := newLab(t)
	l.conf = strings.Replace(l.conf, "lr: 0.02", "lr: 1e-30", 1)
	dir := newDir(t)
	o := l.options(dir)
	o.MaxEpochs = 2
	l.train(o)
	best := readFile(t, dir.BestPath())
	o = l.options(dir)
	o.Resume = true
	if res := l.train(o); res.BestEpoch != 1 || !bytes.Equal(best, readFile(t, dir.BestPath())) {
		t.Errorf("of equal validations epoch %d is best, want 1", res.BestEpoch)
	}
}

func metadata(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return maps.Clone(f.Metadata())
}

func TestTrainMismatch(t *testing.T) {
	l := newLab(t)
	dir := newDir(t)
	if _, err := Train(endAfter(t, 12), l.options(dir)); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	before := readFile(t, dir.StatePath())
	for name, c := range map[string]struct {
		change func(o *Options)
		what   string
	}{
		"seed":           {func(o *Options) { o.Seed = 2 }, "seed"},
		"configuration":  {func(o *Options) { o.Config = parse(t, strings.Replace(l.conf, "lr: 0.02", "lr: 0.03", 1)) }, "configuration"},
		"more phases":    {func(o *Options) { o.Config = parse(t, l.conf+"  - end: 9\n    sampler: full_batch\n") }, "configuration"},
		"fewer epochs":   {func(o *Options) { o.MaxEpochs = 5 }, "number of epochs"},
		"too few epochs": {func(o *Options) { o.MaxEpochs = 1 }, "number of epochs"},
		"data": {func(o *Options) {
			p := small
			p.LabelNoise = 0.2
			o.Data = generate(t, p)
		}, "data"},
	} {
		o := l.options(dir)
		o.Resume = true
		c.change(&o)
		_, err := Train(context.Background(), o)
		var m *MismatchError
		if !errors.As(err, &m) || m.What != c.what || m.Saved == m.Now {
			t.Errorf("%s: Train = %v, want a mismatch of the %s", name, err, c.what)
		}
		if !bytes.Equal(before, readFile(t, dir.StatePath())) {
			t.Errorf("%s: the state was overwritten", name)
		}
	}
	if _, err := Train(context.Background(), Options{Data: l.data, Config: parse(t, l.conf), Backend: l.b, Resume: true}); err == nil {
		t.Error("Train resumed without a folder")
	}
}

// rewrite changes the state file of a run.
func rewrite(t *testing.T, path string, change func(ts []safetensors.Tensor, meta map[string]string) []safetensors.Tensor) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var ts []safetensors.Tensor
	for _, n := range f.Names() {
		x, err := f.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = slices.Clone(x.Data)
		ts = append(ts, x)
	}
	meta := map[string]string{}
	for k, v := range f.Metadata() {
		meta[k] = v
	}
	f.Close()
	if err := safetensors.WriteFile(path, change(ts, meta), meta); err != nil {
		t.Fatal(err)
	}
}

// TestTrainDamagedState: every damage is one line that names the file.
func TestTrainDamagedState(t *testing.T) {
	l := newLab(t)
	dir := newDir(t)
	if _, err := Train(endAfter(t, 12), l.options(dir)); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	good := readFile(t, dir.StatePath())
	state := func(from, to string) func() {
		return func() {
			rewrite(t, dir.StatePath(), func(ts []safetensors.Tensor, meta map[string]string) []safetensors.Tensor {
				old := meta["saint.state"]
				if meta["saint.state"] = strings.Replace(old, from, to, 1); meta["saint.state"] == old {
					t.Fatalf("%s has no %s", old, from)
				}
				return ts
			})
		}
	}
	var st runState
	if err := json.Unmarshal([]byte(metadata(t, dir.StatePath())["saint.state"]), &st); err != nil {
		t.Fatal(err)
	}
	epoch, inStep := fmt.Sprintf(`"epoch":%d`, st.Epoch), fmt.Sprintf(`"in_step":%d`, st.InStep)
	for name, c := range map[string]struct {
		damage func()
		says   string
	}{
		"truncated": {func() { os.WriteFile(dir.StatePath(), good[:len(good)-9], 0o666) }, ""},
		"empty":     {func() { os.WriteFile(dir.StatePath(), nil, 0o666) }, ""},
		"no state":  {state(`{"identity"`, "identity"), "not a training state"},
		"epoch":     {state(epoch, `"epoch":7`), "is not one of this run"},
		"negative":  {state(epoch, `"epoch":-1`), "is not one of this run"},
		"step":      {state(inStep, `"in_step":4`), "is not one of this run"},
		"version":   {state(`"version":1`, `"version":9`), "another state format"},
		"a tensor less": {func() {
			rewrite(t, dir.StatePath(), func(ts []safetensors.Tensor, _ map[string]string) []safetensors.Tensor { return ts[1:] })
		}, "adam.m.classifier.hops.0.bias"},
		"NaN": {func() {
			rewrite(t, dir.StatePath(), func(ts []safetensors.Tensor, _ map[string]string) []safetensors.Tensor {
				copy(ts[0].Data, []byte{0, 0, 0xC0, 0x7F})
				return ts
			})
		}, "has the value NaN at row 0, column 0"},
		"shape": {func() {
			rewrite(t, dir.StatePath(), func(ts []safetensors.Tensor, _ map[string]string) []safetensors.Tensor {
				ts[0].Shape = []int{ts[0].Shape[1], ts[0].Shape[0]}
				return ts
			})
		}, "the model wants"},
	} {
		if err := os.WriteFile(dir.StatePath(), good, 0o666); err != nil {
			t.Fatal(err)
		}
		c.damage()
		o := l.options(dir)
		o.Resume = true
		_, err := Train(context.Background(), o)
		wantError(t, name, err, dir.StatePath(), c.says)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %v", name, err)
		}
		if name == "version" {
			continue
		}
		var in *formats.InputError
		if !errors.As(err, &in) {
			t.Errorf("%s: Train = %T %v, want a *formats.InputError", name, err, err)
		}
	}
}

// runState is state, whose name a test has taken.
type runState = state
