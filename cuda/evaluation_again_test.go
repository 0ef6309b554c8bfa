package cuda

import (
	"context"
	"errors"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
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
