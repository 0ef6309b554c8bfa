package cuda

import (
	"context"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer"
)

// Features may lie on the device or not, and validation may be the CPU's: the losses are the same.
func TestTrainingPlaces(t *testing.T) {
	d := graph(t, false)
	network, params, phases := "dim: 8; arch: '1-1-0'; act: relu; bias: norm", "lr: 0.01; dropout: 0.2", "end: 1; sampler: rw; num_root: 20; depth: 1 | end: 2; sampler: full_batch"
	host := cpuBackend(t)
	want := train(t, host, d, parse(t, network, params, phases))
	for _, c := range []struct {
		name   string
		change func(o *trainer.Options)
	}{
		{"device", func(o *trainer.Options) { o.Features = trainer.PlaceDevice }},
		{"host", func(o *trainer.Options) { o.Features = trainer.PlaceHost }},
		{"cpu_eval", func(o *trainer.Options) { o.EvalBackend = host }},
		{"host, cpu_eval", func(o *trainer.Options) { o.Features, o.EvalBackend = trainer.PlaceHost, host }},
	} {
		if testing.Short() && c.name != "host, cpu_eval" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			drv := fake.New(fake.Options{})
			b, err := openOn(drv, 0)
			if err != nil {
				t.Fatal(err)
			}
			b.part = 1 << 16
			var h history
			o := trainer.Options{
				Data: d, Config: parse(t, network, params, phases), Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 1,
				OnStep:  func(s trainer.StepReport) { h.losses = append(h.losses, s.Loss) },
				OnEpoch: func(e trainer.Epoch) error { h.epochs = append(h.epochs, e); return nil },
			}
			c.change(&o)
			if _, err := trainer.Train(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			h.compare(t, want)
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if n, pinned := drv.Memory(0).Live(), drv.Pinned(0); n != 0 || pinned != 0 {
				t.Errorf("%d allocations and %d pieces of host memory are left", n, pinned)
			}
		})
	}
}

// Whatever a GPU does first of what events let it, the losses are the same to the bit.
func TestTrainingOrders(t *testing.T) {
	d, host := graph(t, true), cpuBackend(t)
	for _, place := range []trainer.Placement{trainer.PlaceDevice, trainer.PlaceHost} {
		if testing.Short() && place == trainer.PlaceDevice {
			continue
		}
		var want []float64
		orders := []fake.Options{{}, {Order: fake.CopiesFirst}, {Order: fake.Shuffled, Seed: 1}}
		if testing.Short() {
			orders = orders[1:]
		}
		for _, o := range orders {
			b := fakeBackend(t, o)
			b.part = 1 << 16
			var got []float64
			_, err := trainer.Train(context.Background(), trainer.Options{
				Data: d, Backend: b, EvalBackend: host, Seed: 1, Workers: 1, EvalTrainEvery: 2, Features: place,
				Config: parse(t, "dim: 4; arch: '1-0'; act: relu; loss: sigmoid", "lr: 0.05; dropout: 0.1; edge_dropout: 0.2; eval_val_every: 9", "end: 2; sampler: rw; num_root: 8; depth: 1"),
				OnStep: func(s trainer.StepReport) { got = append(got, s.Loss) },
			})
			if err != nil {
				t.Fatalf("%+v: %v", o, err)
			}
			if want == nil {
				want = got
			}
			if len(got) < 6 || !slices.Equal(got, want) {
				t.Errorf("placement %d, %+v: losses %v, want %v", place, o, got, want)
			}
		}
	}
}

// Features may be stored in half precision, on the device or not.
func TestTrainingHalfFeatures(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	d := graph(t, false)
	x, _, err := formats.Halve(d.Features)
	if err != nil {
		t.Fatal(err)
	}
	d.Features = x
	network, params, phases := "dim: 8; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.2", "end: 1; sampler: rw; num_root: 20; depth: 1"
	want := train(t, cpuBackend(t), d, parse(t, network, params, phases))
	for _, place := range []trainer.Placement{trainer.PlaceDevice, trainer.PlaceHost} {
		drv := fake.New(fake.Options{})
		b, err := openOn(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 12
		var h history
		_, err = trainer.Train(context.Background(), trainer.Options{
			Data: d, Config: parse(t, network, params, phases), Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 1, Features: place,
			OnStep:  func(s trainer.StepReport) { h.losses = append(h.losses, s.Loss) },
			OnEpoch: func(e trainer.Epoch) error { h.epochs = append(h.epochs, e); return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		h.compare(t, want)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A batch that repeats is uploaded once.
func TestRepeatedBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	d := graph(t, false)
	drv := fake.New(fake.Options{})
	b, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 16
	defer b.Close()
	var calls []int
	_, err = trainer.Train(context.Background(), trainer.Options{
		Data: d, Config: parse(t, "dim: 8; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0; eval_val_every: 9", "end: 4; sampler: full_batch"),
		Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 9,
		OnStep: func(trainer.StepReport) { calls = append(calls, drv.Uploads()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(calls); n < 4 || calls[n-1] != calls[0] {
		t.Errorf("uploads after each step: %v, want none after the first", calls)
	}
}
