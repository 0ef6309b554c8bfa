package cuda

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// planned collects the sizes that a run plans for.
type planned struct {
	slog.Handler
	nodes, edges int64
}

func (*planned) Enabled(context.Context, slog.Level) bool { return true }

func (p *planned) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "memory of a step" {
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "nodes":
				p.nodes = a.Value.Int64()
			case "edges":
				p.edges = a.Value.Int64()
			}
			return true
		})
	}
	return nil
}

// What a plan says is what the driver is asked for, in one piece for each purpose, and no step asks for
// more.
func TestPlannedMemory(t *testing.T) {
	d, host := graph(t, false), cpuBackend(t)
	for _, c := range []struct {
		name, params, phases string
		features             trainer.Placement
	}{
		{"device", "lr: 0.01; dropout: 0.1", "end: 3; sampler: rw; num_root: 8; depth: 1", trainer.PlaceDevice},
		{"host, codes", "lr: 0.01; dropout: 0.1; n_bits: 2", "end: 3; sampler: node; size_subgraph: 30", trainer.PlaceHost},
		{"full batch", "lr: 0.01; dropout: 0.1; edge_dropout: 0.1", "end: 3; sampler: full_batch", trainer.PlaceDevice},
		{"class weights", "lr: 0.01; dropout: 0; class_weights: balanced; norm_loss: false", "end: 2; sampler: rw; num_root: 8; depth: 1", trainer.PlaceDevice},
	} {
		if testing.Short() && c.name != "full batch" {
			continue
		}
		drv := fake.New(fake.Options{})
		b, err := openOn(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		var log planned
		var used, asked []int64
		config := parse(t, "dim: 8; arch: '1-1'; act: relu; bias: norm", c.params, c.phases)
		_, err = trainer.Train(context.Background(), trainer.Options{
			Data: d, Config: config, Backend: b, EvalBackend: host, Seed: 1, Workers: 2, Features: c.features, Log: slog.New(&log),
			OnStep: func(trainer.StepReport) {
				used, asked = append(used, drv.Memory(0).Used()), append(asked, b.Counters().Allocations)
			},
		})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		on := trainer.OnDevice{Nodes: 60, Features: tensor.F32, Weights: !strings.Contains(c.params, "norm_loss"), Repeats: c.name == "full batch"}
		if c.features == trainer.PlaceHost {
			on.Features = 0
		}
		size := trainer.Size{Nodes: int(log.nodes), Edges: log.edges, Features: 9, Classes: 3, Directed: false}
		plan, err := trainer.PlanDevice(config, size, on, b)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if log.nodes == 0 || slices.Min(used) != plan.Total || slices.Max(used) != plan.Total {
			t.Errorf("%s: bytes of the device at steps %v, planned for %d nodes: %+v", c.name, used, log.nodes, plan)
		}
		if slices.Max(asked) != asked[0] {
			t.Errorf("%s: allocations at steps %v, want none after the first", c.name, asked)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Too little memory is told before the first step, by what does not fit: features, steps or evaluation.
func TestTooLittleMemory(t *testing.T) {
	d := graph(t, false)
	config := func() (c struct{ network, params, phases string }) {
		c.network, c.params, c.phases = "dim: 64; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.1", "end: 1; sampler: full_batch"
		return c
	}
	c := config()
	b := fakeBackend(t, fake.Options{})
	plan, err := trainer.PlanDevice(parse(t, c.network, c.params, c.phases), trainer.Size{Nodes: 60, Edges: 480, Features: 9, Classes: 3}, trainer.OnDevice{Nodes: 60, Features: tensor.F32, Weights: true, Repeats: true}, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		memory int64
		steps  bool
	}{{plan.Model / 2, false}, {plan.Model + plan.Step/2, false}, {2 * plan.Total, true}} {
		drv := fake.New(fake.Options{Memory: c.memory})
		b, err := openOn(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		k := config()
		_, err = trainer.Train(context.Background(), trainer.Options{
			Data: d, Config: parse(t, k.network, k.params, k.phases), Backend: b, Seed: 1, Workers: 1, OnStep: func(trainer.StepReport) { steps++ },
		})
		var few *tensor.OutOfMemoryError
		if c.steps != (err == nil) || !c.steps && (!errors.As(err, &few) || steps > 0 || few.Asked <= few.Free || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "before the first step")) {
			t.Errorf("with %d bytes (%+v), Train = %v after %d steps", c.memory, plan, err, steps)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What steps need is taken of every GPU before the first step, where there are several.
func TestTooLittleMemoryOfOthers(t *testing.T) {
	config := parse(t, "dim: 64; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.1; accumulate: 2", "end: 1; sampler: rw; num_root: 16; depth: 1")
	first, other := fakeBackend(t, fake.Options{}), fakeBackend(t, fake.Options{Memory: 100000})
	other.part = 1 << 10
	steps := 0
	_, err := trainer.Train(context.Background(), trainer.Options{
		Data: graph(t, false), Config: config, Backend: first, Others: []tensor.Backend{other}, Seed: 1, Workers: 1, OnStep: func(trainer.StepReport) { steps++ },
	})
	var few *tensor.OutOfMemoryError
	if !errors.As(err, &few) || steps > 0 || !strings.Contains(err.Error(), "before the first step") {
		t.Errorf("with a second GPU of little memory, Train = %v after %d steps", err, steps)
	}
}

// Evaluations on their own cut their tiles to what the device has left, or say that it has too little.
func TestEvaluationBound(t *testing.T) {
	d := generate(t, synth.Preset{
		Name: "wide", Nodes: 4000, Edges: 8000, Features: 9, Classes: 3, Train: 60, Val: 20, Communities: 3, Within: 0.8, Tail: 30,
		Cut: 1e-2, MinEdges: 1, Signal: 0.6, ClassShare: 0.5,
	})
	config := parse(t, "dim: 64; arch: '1-1-0'; act: relu", "lr: 0.01; dropout: 0", "end: 1; sampler: full_batch")
	for _, c := range []struct {
		memory int64
		fits   bool
	}{{1 << 30, true}, {1 << 20, true}, {1 << 20, false}} {
		b := fakeBackend(t, fake.Options{Memory: c.memory})
		b.part = 1 << 16
		m, err := trainer.NewModel(config, 9, 3, b, 1)
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.NewArena()
		if err != nil {
			t.Fatal(err)
		}
		e, err := trainer.NewEvaluator(d.Full, d.Features, b, a)
		if err != nil {
			t.Fatal(err)
		}
		other, err := b.NewArena()
		if err != nil {
			t.Fatal(err)
		}
		if free, err := b.Free(); !c.fits && errors.Join(err, other.(tensor.Reserver).Reserve(free-20000)) != nil {
			t.Fatal("the device has less memory than it says")
		}
		err = e.BoundByDevice(m, 0)
		var few *tensor.OutOfMemoryError
		if c.fits != (err == nil) || !c.fits && (!errors.As(err, &few) || few.Asked <= few.Free) {
			t.Errorf("with %d bytes, BoundByDevice = %v", c.memory, err)
		}
		if err := errors.Join(e.Close(), other.Close(), a.Close(), m.Close()); err != nil {
			t.Error(err)
		}
	}
}

// A dry backend takes nothing, computes nothing and has the memory that arenas and queues would take.
func TestDry(t *testing.T) {
	d := OpenDry(tensor.MatmulTF32)
	a, err := d.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	q, err := d.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	x := a.Alloc(tensor.F32, 1<<20, 1<<10) // 4 GiB
	y := a.Alloc(tensor.F32, 1<<10, 1<<10)
	q.Gemm(true, false, 1, x, x, 0, y)
	a.Release(x)
	z := a.Alloc(tensor.F32, 1, 1)
	if err := errors.Join(q.Sync(), a.Err()); err != nil {
		t.Fatal(err)
	}
	if got, want := a.(*Arena).Taken(), int64(4<<30+4<<20); got != want {
		t.Errorf("Taken = %d, want %d", got, want)
	}
	if now, most := d.(*Backend).HeldBytes(); now != most || now < 32<<20 || now > 64<<20 {
		t.Errorf("HeldBytes = %d, %d, want the workspace of products and little more", now, most)
	}
	a.Release(y)
	a.Release(z)
	for _, err := range []error{q.Close(), a.Close(), d.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if now, _ := d.(*Backend).HeldBytes(); now != 0 {
		t.Errorf("%d bytes are held after all was closed", now)
	}
}
