package cuda

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// graphedTraining trains with a setting of graphs, and returns what was told, the parameters' file and the
// counters.
func graphedTraining(t *testing.T, drv *fake.Driver, d *formats.Dataset, setting string, text [3]string) (h history, file map[string][]byte, count tensor.Counters, calls int) {
	t.Helper()
	b, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 18
	b.useLibrary(tensor.MatmulFP32)
	c := parse(t, text[0], text[1], text[2])
	c.System.Graphs = setting
	dir, err := rundir.Create(filepath.Join(t.TempDir(), "run"), rundir.Info{State: rundir.Running}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	h.result, err = trainer.Train(context.Background(), trainer.Options{
		Data: d, Config: c, Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 3, Dir: dir,
		OnStep:  func(s trainer.StepReport) { h.losses = append(h.losses, s.Loss) },
		OnEpoch: func(e trainer.Epoch) error { e.Seconds = 0; h.epochs = append(h.epochs, e); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.result.Times = trainer.Times{}
	count, calls = b.Counters(), drv.Calls()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	return h, parameters(t, dir.LastPath()), count, calls
}

// parameters are those of a file, without what else it says.
func parameters(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for _, name := range f.Names() {
		p, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = bytes.Clone(p.Data)
	}
	return all
}

// Training by graphs is training without them, to the bit, and it gives the driver fewer calls.
func TestTrainingGraphs(t *testing.T) {
	const sampled = "end: 1; sampler: rw; num_root: 8; depth: 1 | end: 3; sampler: full_batch"
	for _, c := range []struct {
		name           string
		text           [3]string
		multi, library bool
	}{
		{"sage, library", [3]string{"dim: 8; arch: '1-0'; act: relu; bias: norm", "lr: 0.01; dropout: 0.2", sampled}, false, true},
		{"codes", [3]string{"dim: 8; arch: '1-1-0'; act: relu; bias: norm; loss: sigmoid", "lr: 0.01; dropout: 0.2; n_bits: 2", sampled}, true, false},
		{"gatv2, clipped", [3]string{"layer: gatv2; attention: 2; dim: 8; arch: '1'; act: relu", "lr: 0.01; dropout: 0.1; grad_clip: 0.1; optimizer: sgd", sampled}, false, true},
		{"accumulated", [3]string{"dim: 8; arch: '1'; act: relu; norm: batch", "lr: 0.01; dropout: 0.1; accumulate: 2", sampled}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.name != "sage, library" {
				t.Skip("kernels are interpreted")
			}
			d, o := graph(t, c.multi), fake.Options{Workers: 1, Library: c.library}
			want, file, before, direct := graphedTraining(t, fake.New(o), d, "", c.text)
			o.Order, o.Seed = fake.Shuffled, 3
			got, again, after, calls := graphedTraining(t, fake.New(o), d, "on", c.text)
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(file, again) {
				t.Errorf("by graphs %+v, without %+v; parameters alike: %t", got, want, reflect.DeepEqual(file, again))
			}
			if after.Graphs == 0 || before.Graphs != 0 || after.Launches != before.Launches || after.Waits != before.Waits {
				t.Errorf("by graphs %+v, without %+v", after, before)
			}
			t.Logf("%d steps: %d driver calls without graphs, %d with; %+v", len(want.losses), direct, calls, after)
		})
	}
}

// Several GPUs train by graphs as without, to the bit, whoever adds up.
func TestTrainingGraphsTogether(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	for _, collective := range []bool{true, false} {
		if testing.Short() && !collective {
			continue
		}
		run := func(setting string, order fake.Order) history {
			c := parse(t, "dim: 4; arch: '1'; act: relu", "lr: 0.01; dropout: 0.2; accumulate: 2; sample_coverage: 2", "end: 1; sampler: rw; num_root: 6; depth: 1")
			c.System.Graphs = setting
			drv := fake.New(fake.Options{Workers: 1, Devices: 2, Collective: collective, Order: order, Seed: 1})
			h, err := trainOn(t, drv, 2, trainer.Options{Data: d, Config: c, Seed: 1, Workers: 1, EvalTrainEvery: 3})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				if graphs, ready := drv.Graphs(i); graphs+ready != 0 {
					t.Errorf("device %d: %d graphs and %d executable ones are left", i, graphs, ready)
				}
			}
			return h
		}
		want, got := run("off", fake.Late), run("on", fake.Shuffled)
		if !reflect.DeepEqual(got.losses, want.losses) || got.result.Val != want.result.Val {
			t.Errorf("library %t: by graphs %v, %+v, without %v, %+v", collective, got.losses, got.result.Val, want.losses, want.result.Val)
		}
	}
}

// A device that cannot make or run a graph trains on, and one that is lost says so.
func TestTrainingGraphsFail(t *testing.T) {
	d := graph(t, false)
	text := [3]string{"dim: 4; arch: '1'; act: relu", "lr: 0.01; dropout: 0.1", "end: 1; sampler: rw; num_root: 12; depth: 1"}
	run := func(drv *fake.Driver) (losses []float64, err, closing error) {
		b, err := openOn(drv, 0)
		if err != nil {
			return nil, err, nil
		}
		b.part = 1 << 18
		defer func() { closing = b.Close() }()
		c := parse(t, text[0], text[1], text[2])
		c.System.Graphs = "on"
		_, err = trainer.Train(context.Background(), trainer.Options{
			Data: d, Config: c, Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 4,
			OnStep: func(s trainer.StepReport) { losses = append(losses, s.Loss) },
		})
		return losses, err, nil
	}
	whole := fake.New(fake.Options{})
	want, err, closing := run(whole)
	if err := errors.Join(err, closing); err != nil {
		t.Fatal(err)
	}
	graphCalls := []string{"cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphGetNodes", "cuGraphInstantiate", "cuGraphExecUpdate", "cuGraphDestroy", "cuGraphLaunch"}
	if testing.Short() {
		graphCalls = graphCalls[1:2]
	}
	for _, name := range graphCalls {
		for _, code := range []driver.Code{driver.CaptureInvalidated, driver.IllegalAddress} {
			drv := fake.New(fake.Options{})
			nth := 2
			if name == "cuGraphInstantiate" || name == "cuGraphExecUpdate" {
				nth = 1
			}
			drv.FailNamed(name, nth, code)
			got, err, closing := run(drv)
			graphs, ready := drv.Graphs(0)
			switch refused := code == driver.CaptureInvalidated; {
			case drv.Failed() != name:
				t.Errorf("%s did not fail", name)
			case refused && (err != nil || !reflect.DeepEqual(got, want)):
				t.Errorf("%s fails: %v, losses %v, want %v", name, err, got, want)
			case !refused && (err == nil || !strings.Contains(err.Error(), "is lost")):
				t.Errorf("%s fails with code %d: %v, want that the device is lost", name, code, err)
			case closing == nil && graphs+ready != 0:
				t.Errorf("%s fails with code %d: %d graphs and %d executable ones are left", name, code, graphs, ready)
			}
		}
	}
}
