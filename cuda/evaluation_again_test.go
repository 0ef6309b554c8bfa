package cuda

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// An evaluation that ended while the graph went to the device leaves nothing there for the next to be
// beside.
func TestEvaluationAgain(t *testing.T) {
	d := middle(t, 90, false)
	held := func(interrupted bool) int64 {
		b := fakeBackend(t, fake.Options{})
		b.part = 1 << 8
		m, err := trainer.NewModel(parse(t, "dim: 4; arch: '1'; layer: gcn", "lr: 0.01", "end: 1; sampler: full_batch"), d.Features.Dim(), d.Labels.NumClasses, b, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		a, err := b.NewArena()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		e, err := trainer.NewEvaluator(d.Full, d.Features, b, a)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		s, err := trainer.NewScorer(d, e, m.Loss, false)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 3 {
			if !interrupted {
				break
			}
			if _, err := s.Evaluate(ctx, m); !errors.Is(err, context.Canceled) {
				t.Fatalf("Evaluate = %v, want that it was interrupted", err)
			}
		}
		if _, err := s.Evaluate(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		bytes, _ := b.HeldBytes()
		return bytes
	}
	if got, want := held(true), held(false); got != want {
		t.Errorf("%d bytes are held after evaluations that were interrupted, want %d as without these", got, want)
	}
}

// With the least memory in which a plan says that the graph stays on the device, it does, and with less
// evaluations go as planned, too; steps have what they need all the same.
func TestPlanEvaluationHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	t.Parallel()
	const nodes = 1000
	d := middle(t, nodes, false)
	config := parse(t, "dim: 64; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.1", "end: 1; sampler: full_batch")
	size := trainer.Size{Nodes: len(d.TrainNodes), Edges: d.Train.NumEdges(), Features: 9, Classes: 3}
	on := trainer.OnDevice{Nodes: nodes, Features: tensor.F32, Weights: true, Repeats: true}
	dry := fakeBackend(t, fake.Options{})
	plan, err := trainer.PlanDevice(config, size, on, dry)
	if err != nil {
		t.Fatal(err)
	}
	way := func(memory int64) trainer.EvalWay {
		m, err := trainer.PlanEvaluation(config, d, on, dry, plan.Step, plan.Scratch, memory-plan.Total)
		if err != nil {
			t.Fatal(err)
		}
		return m.Way
	}
	memory := plan.Total
	for way(memory) != trainer.EvalResident {
		memory += 1 << 10
	}
	for range 3 {
		want := way(memory)
		if want == trainer.EvalNone {
			break
		}
		b, err := openOn(fake.New(fake.Options{Memory: memory}), 0)
		if err != nil {
			t.Fatal(err)
		}
		var log ways
		_, err = trainer.Train(context.Background(), trainer.Options{Data: d, Config: config, Backend: b, Seed: 1, Workers: 1, Log: log.logger()})
		if err != nil || !slices.Equal(log.seen, []string{string(want)}) {
			t.Errorf("in %d bytes, %d beside steps, Train = %v, evaluations are %v, want %s", memory, memory-plan.Total, err, log.seen, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		memory -= 8 << 10
	}
}
