package cuda

import (
	"context"
	"testing"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// However many devices have subgraphs in flight, and however few workers draw them: the run holds no more
// batches than there are, so that there always comes another.
func TestBatchesOfManyDevices(t *testing.T) {
	t.Parallel()
	const devices = 5
	drv := fake.New(fake.Options{Workers: 1, Devices: devices, Collective: true})
	var bs []tensor.Backend
	for i := range devices {
		b, err := openOn(drv, i)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 16
		defer b.Close()
		bs = append(bs, b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	updates := 0
	_, err := trainer.Train(ctx, trainer.Options{
		Data: graph(t, false), Backend: bs[0], Others: bs[1:], EvalBackend: cpuBackend(t), Seed: 1, Workers: 1, EvalTrainEvery: 9,
		Config: parse(t, "dim: 4; arch: '0'; act: relu", "lr: 0.01; dropout: 0; accumulate: 15; sample_coverage: 2", "end: 1; sampler: rw; num_root: 1; depth: 1"),
		OnStep: func(trainer.StepReport) { updates++ },
	})
	if err != nil || updates < 2 {
		t.Errorf("%d updates, %v; want some more", updates, err)
	}
}

// holes makes some batches empty.
type holes struct {
	loader.Source
	n     int
	empty func(n int) bool
}

func (h *holes) Next(ctx context.Context) (*loader.Batch, error) {
	b, err := h.Source.Next(ctx)
	h.n++
	if err != nil || !h.empty(h.n-1) {
		return b, err
	}
	none := loader.NewBatch(func(*loader.Batch) {})
	none.Index, none.Indptr, none.TransIndptr = b.Index, []int32{0}, []int32{0}
	b.Release()
	return none, nil
}

// open is how a run gets its batches.
func (h *holes) open(ctx context.Context, c loader.Config) (_ loader.Source, err error) {
	if c.Norm, err = samplers.EstimateNorm(ctx, c.Sampler, c.Env, samplers.EstimateOptions{Coverage: 2, Workers: 1, Seed: 1}); err != nil {
		return nil, err
	}
	h.Source, err = loader.Open(ctx, c)
	return h, err
}

// Subgraphs without nodes, at the beginning, in between or at the end of an update, for all devices or
// some, and updates of nothing else: the losses are the CPU's.
func TestEmptySubgraphs(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	for name, empty := range map[string]func(n int) bool{
		"every other": func(n int) bool { return n%2 == 0 },
		"in blocks":   func(n int) bool { return n/5%2 == 0 },
		"most":        func(n int) bool { return n%5 != 3 },
	} {
		options := func() trainer.Options {
			h := &holes{empty: empty}
			return trainer.Options{
				Data: d, EvalBackend: cpuBackend(t), Seed: 1, Workers: 1, EvalTrainEvery: 2, Source: h.open,
				Config: parse(t, "dim: 4; arch: '1'; act: relu; bias: bias", "lr: 0.01; dropout: 0.2; accumulate: 4", "end: 1; sampler: rw; num_root: 2; depth: 1"),
			}
		}
		var want history
		o := options()
		o.Backend = cpuBackend(t)
		o.OnStep = func(s trainer.StepReport) { want.losses = append(want.losses, s.Loss) }
		o.OnEpoch = func(e trainer.Epoch) error { want.epochs = append(want.epochs, e); return nil }
		if _, err := trainer.Train(context.Background(), o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for devices := 1; devices <= 2; devices++ {
			got, err := trainOn(t, fake.New(fake.Options{Workers: 1, Devices: devices, Collective: true, Order: fake.Shuffled, Seed: 3}), devices, options())
			if err != nil {
				t.Fatalf("%s, %d devices: %v", name, devices, err)
			}
			if got.compare(t, want); t.Failed() {
				t.Fatalf("%s, %d devices", name, devices)
			}
		}
	}
}
