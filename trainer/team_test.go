package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// plainSGD is w - lr g, without clipping.
func plainSGD(t *testing.T, m *Model) optim.Optimizer {
	t.Helper()
	q := newQueue(t, m.Backend)
	o, err := optim.NewSGD(optim.SGDConfig{Common: optim.Common{LR: 0.5}}, m.arena, q, m.Seq.Params())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// An update with several subgraphs takes the mean of their gradients, each with the random draws of its
// own number.
func TestAccumulate(t *testing.T) {
	d := generate(t, small)
	for _, network := range []string{"dim: 16; arch: '1-1-0'; act: relu", "dim: 16; arch: '2-0'; aggr: mean; loss: sigmoid", "layer: gatv2; attention: 2; dim: 8; arch: '1-1'; act: relu"} {
		c := parse(t, yaml(network, "lr: 0.01; dropout: 0.2", stepPhase))
		batches := draw(t, c, d, nil, 3)
		b := backend(t, 2)
		after := func(f func(s *Stepper)) [][]float32 { return afterwards(t, c, d, b, f) }
		var alone [][][]float32
		for i, batch := range batches {
			alone = append(alone, after(func(s *Stepper) {
				if _, err := s.Step(batch, uint64(i), nil); err != nil {
					t.Fatal(err)
				}
			}))
		}
		together := after(func(s *Stepper) {
			for i, batch := range batches {
				st, err := s.Accumulate(batch, uint64(i), 1/float32(len(batches)), nil)
				if err != nil || st.Loss <= 0 || st.Nodes != batch.NumNodes() {
					t.Fatalf("Accumulate = %+v, %v", st, err)
				}
			}
			if err := s.Update(0); err != nil {
				t.Fatal(err)
			}
		})
		wantMean(t, network, together, alone)
	}
}

// afterwards returns the parameters of a fresh model after f.
func afterwards(t *testing.T, c *trainconfig.Config, d *formats.Dataset, b tensor.Backend, f func(s *Stepper)) [][]float32 {
	t.Helper()
	m := newModel(t, c, d.Features.Dim(), d.Labels.NumClasses, b)
	s, err := NewStepper(m, plainSGD(t, m), newArena(t, b), d.Features.(formats.Resident), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f(s)
	var all [][]float32
	for _, p := range m.Seq.Params() {
		all = append(all, nntest.Download(s.q, p.Value))
	}
	return all
}

// wantMean fails unless the parameters are the mean of others, up to rounding.
func wantMean(t *testing.T, what string, together [][]float32, alone [][][]float32) {
	t.Helper()
	for p := range together {
		for i, got := range together[p] {
			want := 0.0
			for _, a := range alone {
				want += float64(a[p][i]) / float64(len(alone))
			}
			if math.Abs(float64(got)-want) > 2e-5*math.Max(1, math.Abs(want)) {
				t.Fatalf("%s: value %d of parameter %d = %g, want the mean %g", what, i, p, got, want)
			}
		}
	}
}

// account is what a run tells.
type account struct {
	steps  []StepReport
	epochs []Epoch
}

func (a *account) listen(o *Options) {
	o.OnStep = func(s StepReport) { s.Took, s.Waiting, s.PeakBytes = 0, 0, 0; a.steps = append(a.steps, s) }
	o.OnEpoch = func(e Epoch) error { e.Seconds = 0; a.epochs = append(a.epochs, e); return nil }
}

// near compares accounts up to rounding.
func (a *account) near(t *testing.T, what string, want *account, most float64) {
	t.Helper()
	if len(a.steps) != len(want.steps) || len(a.epochs) != len(want.epochs) {
		t.Fatalf("%s: %d steps, %d epochs, want %d and %d", what, len(a.steps), len(a.epochs), len(want.steps), len(want.epochs))
	}
	for i, s := range a.steps {
		w := want.steps[i]
		if math.Abs(s.Loss-w.Loss) > most || s.Nodes != w.Nodes || s.Edges != w.Edges || s.Step != w.Step || s.LearningRate != w.LearningRate {
			t.Errorf("%s: step %d is %+v, want %+v", what, i, s, w)
		}
	}
	for i, e := range a.epochs {
		w := want.epochs[i]
		if math.Abs(e.TrainLoss-w.TrainLoss) > most || math.Abs(e.TrainF1-w.TrainF1) > 0.05 || math.Abs(e.Val.Loss-w.Val.Loss) > most {
			t.Errorf("%s: epoch %d is %+v, want %+v", what, i, e, w)
		}
	}
}

// Several devices train as one does that accumulates the same subgraphs, with memory shared or not.
func TestTeam(t *testing.T) {
	d := generate(t, small)
	for _, c := range []struct {
		network, params, phases string
		devices, accumulate     int
	}{
		{runNetwork, runParams, runPhases, 2, 2},                                     // 3 subgraphs an epoch: the last update has one
		{runNetwork, runParams, "end: 3; sampler: rw; num_root: 12; depth: 1", 3, 6}, // two rounds
		{runNetwork, runParams, "end: 2; sampler: full_batch", 2, 2},                 // one subgraph, which repeats
		{"dim: 8; arch: '1-0-1'; act: relu; loss: sigmoid", "lr: 0.02; dropout: 0.3; optimizer: adamw; weight_decay: 0.01", runPhases, 2, 4},
		{"layer: gcn; dim: 8; arch: '1-1'; act: relu", "lr: 0.02; dropout: 0.1; edge_dropout: 0.2; class_weights: balanced", runPhases, 2, 2},
		{"dim: 8; arch: '1-1'; act: relu", "lr: 0.02; use_labels: true; n_bits: 8", runPhases, 2, 2},
	} {
		name := fmt.Sprintf("%s, %d of %d", c.network, c.devices, c.accumulate)
		conf := yaml(c.network, c.params+fmt.Sprintf("; accumulate: %d", c.accumulate), c.phases)
		train := func(devices int, wrap func(tensor.Backend) tensor.Backend) *account {
			a := &account{}
			o := Options{Data: d, Config: parse(t, conf), Backend: wrap(backend(t, 1)), Seed: 1, Workers: 2, EvalTrainEvery: 2}
			for range devices - 1 {
				o.Others = append(o.Others, wrap(backend(t, 1)))
			}
			a.listen(&o)
			if _, err := Train(context.Background(), o); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return a
		}
		plain := func(b tensor.Backend) tensor.Backend { return b }
		want := train(1, plain)
		if n := 2; strings.Contains(c.phases, "full_batch") && len(want.steps) != n {
			t.Errorf("%s: %d updates, want %d", name, len(want.steps), n)
		}
		got := train(c.devices, plain)
		got.near(t, name, want, 2e-4)
		again := train(c.devices, plain)
		again.near(t, name+", again", got, 0)
		train(c.devices, func(b tensor.Backend) tensor.Backend { return discrete{b} }).near(t, name+", memory of their own", got, 2e-4)
	}
}

// The number of updates is that of the subgraphs, divided and rounded up in every epoch.
func TestAccumulatedUpdates(t *testing.T) {
	d := generate(t, small)
	a := &account{}
	o := Options{Data: d, Config: parse(t, yaml(runNetwork, runParams+"; accumulate: 2; schedule: step; step_size: 2", runPhases)), Backend: backend(t, 1), Seed: 1, Workers: 1}
	a.listen(&o)
	if _, err := Train(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	// 3 epochs of 3 subgraphs and 3 of 2.
	if len(a.steps) != 3*2+3*1 {
		t.Errorf("%d updates, want 9", len(a.steps))
	}
	nodes := 0
	for i, s := range a.steps {
		if s.Step != uint64(i) {
			t.Errorf("update %d says it is number %d", i, s.Step)
		}
		nodes += s.Nodes
	}
	one := &account{}
	o = Options{Data: d, Config: parse(t, yaml(runNetwork, runParams, runPhases)), Backend: backend(t, 1), Seed: 1, Workers: 1}
	one.listen(&o)
	if _, err := Train(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, s := range one.steps {
		want += s.Nodes
	}
	if nodes != want {
		t.Errorf("%d nodes in all updates, one by one %d: not the same subgraphs", nodes, want)
	}
}

// Ended at any look at the context and resumed, runs that accumulate are the same, on one device or
// two, statistics of a batch norm included.
func TestTeamInterrupted(t *testing.T) {
	for _, devices := range []int{1, 2} {
		l := newLab(t)
		l.conf = yaml("dim: 8; arch: '1-1-0'; act: relu; norm: batch", runParams+"; accumulate: 2", runPhases)
		want := newDir(t)
		with := func(o Options) Options {
			for range devices - 1 {
				o.Others = append(o.Others, backend(t, 1))
			}
			return o
		}
		wantRes := l.train(with(l.options(want)))
		r := rand.New(rand.NewPCG(1, uint64(devices)))
		for _, most := range []int{0, 12, 30} {
			dir := newDir(t)
			var res *Result
			parts := 0
			for ; res == nil && parts < 200; parts++ {
				looks := parts + 1
				if most > 0 {
					looks = 1 + r.IntN(most)
				}
				o := with(l.options(dir))
				o.Resume = parts > 0
				var err error
				if res, err = Train(endAfter(t, looks), o); err != nil && !errors.Is(err, ErrInterrupted) {
					t.Fatal(err)
				}
			}
			if res == nil || parts < 2 {
				t.Fatalf("%d devices: %d parts, want several and an end", devices, parts)
			}
			l.same(fmt.Sprintf("%d devices, %d parts", devices, parts), dir, want, res, wantRes)
		}
	}
}

// A run of two devices goes on with one, up to rounding.
func TestTeamShrinks(t *testing.T) {
	l := newLab(t)
	l.conf = yaml(runNetwork, runParams+"; accumulate: 2", runPhases)
	dir := newDir(t)
	o := l.options(dir)
	o.Others, o.MaxEpochs = []tensor.Backend{backend(t, 1)}, 3
	l.train(o)
	a, want := &account{}, &account{}
	o = l.options(dir)
	o.Resume = true
	a.listen(&o)
	l.train(o)
	o = l.options(nil)
	want.listen(&o)
	l.train(o)
	want.steps = want.steps[len(want.steps)-len(a.steps):]
	want.epochs = want.epochs[len(want.epochs)-len(a.epochs):]
	a.near(t, "resumed on one device", want, 2e-4)
}

func TestTeamOptions(t *testing.T) {
	l := newLab(t)
	o := l.options(nil)
	o.Others = []tensor.Backend{backend(t, 1)}
	_, err := Train(context.Background(), o)
	wantError(t, "two devices and one subgraph an update", err, "test.yml:", "accumulate is 1, want a multiple of 2")
}

// failing is a backend whose k-th product in all its queues fails.
type failing struct {
	tensor.Backend
	left *atomic.Int64
}

type failingQueue struct {
	tensor.Queue
	left *atomic.Int64
	err  *error
}

var errDevice = errors.New("the device has had enough")

func (f failing) NewQueue() (tensor.Queue, error) {
	q, err := f.Backend.NewQueue()
	return &failingQueue{Queue: q, left: f.left, err: new(error)}, err
}

func (f *failingQueue) Gemm(transA, transB bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	if f.left.Add(-1) == 0 {
		*f.err = errDevice
	}
	f.Queue.Gemm(transA, transB, alpha, a, b, beta, c)
}

func (f *failingQueue) Sync() error { return errors.Join(*f.err, f.Queue.Sync()) }

// A device that fails ends the run, with everything of the others freed and no goroutine left.
func TestTeamFails(t *testing.T) {
	d := generate(t, small)
	before := runtime.NumGoroutine()
	for who := range 3 {
		for _, k := range []int64{1, 7, 15} {
			var log bytes.Buffer
			o := Options{
				Data: d, Config: parse(t, yaml(runNetwork, runParams+"; accumulate: 3", runPhases)), Seed: 1, Workers: 2, Log: logger(&log),
			}
			for i := range 3 {
				b := backend(t, 1)
				if i == who {
					b = failing{b, new(atomic.Int64)}
					b.(failing).left.Store(k)
				}
				if i == 0 {
					o.Backend = b
				} else {
					o.Others = append(o.Others, b)
				}
			}
			if _, err := Train(context.Background(), o); !errors.Is(err, errDevice) {
				t.Errorf("device %d fails at product %d, but Train returned %v", who, k, err)
			}
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before+9*2 { // those of the backends that the test still holds
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
