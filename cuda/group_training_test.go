package cuda

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// The host waits once for each subgraph of an update, for that one before the last of its device, and once
// for an update of several devices. Nothing else of a step waits; with the host adding gradients up it
// does so for each device.
func TestWaitsOfAnUpdate(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	for _, c := range []struct {
		devices       int
		collective    bool
		params        string
		first, others int64 // waits for each device in an update
	}{
		{1, false, "", 1, 0},
		{1, false, "; accumulate: 3", 3, 0},
		{2, true, "; accumulate: 4", 2 + 1, 2},
		{2, true, "; accumulate: 2", 1 + 1, 1},
		{2, false, "; accumulate: 2", 1 + 1 + 2, 1 + 2},
	} {
		if testing.Short() && c.devices == 1 {
			continue
		}
		drv := fake.New(fake.Options{Workers: 1, Devices: c.devices, Collective: c.collective, Order: fake.Shuffled, Seed: 1})
		var bs []tensor.Backend
		for i := range c.devices {
			b, err := openOn(drv, i)
			if err != nil {
				t.Fatal(err)
			}
			b.part = 1 << 16
			defer b.Close()
			bs = append(bs, b)
		}
		var waits [][]int64
		_, err := trainer.Train(context.Background(), trainer.Options{
			Data: d, Backend: bs[0], Others: bs[1:], EvalBackend: cpuBackend(t), Seed: 1, Workers: 1, EvalTrainEvery: 2,
			Config: parse(t, "dim: 4; arch: '1'; act: relu", "lr: 0.01; dropout: 0.2; sample_coverage: 2; eval_val_every: 9"+c.params, "end: 1; sampler: rw; num_root: 2; depth: 1"),
			OnStep: func(trainer.StepReport) {
				var now []int64
				for _, b := range bs {
					now = append(now, b.(tensor.Counter).Counters().Waits)
				}
				waits = append(waits, now)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(waits) < 4 {
			t.Fatalf("%d updates, want more", len(waits))
		}
		for i := range bs {
			want := c.others
			if i == 0 {
				want = c.first
			}
			if got := waits[2][i] - waits[1][i]; got != want {
				t.Errorf("%d devices%s, library %t: device %d is waited for %d times in an update, want %d", c.devices, c.params, c.collective, i, got, want)
			}
		}
	}
}

// Whatever the devices do first of what events let them, the losses are the same to the bit.
func TestTogetherOrders(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	var want []float64
	for _, o := range []fake.Options{{}, {Order: fake.CopiesFirst}, {Order: fake.Shuffled, Seed: 1}, {Order: fake.Shuffled, Seed: 2}, {Eager: true}} {
		o.Workers, o.Devices, o.Collective = 1, 2, true
		h, err := trainOn(t, fake.New(o), 2, trainer.Options{
			Data: d, Config: parse(t, "dim: 4; arch: '1-1-0'; act: relu; norm: batch", "lr: 0.01; dropout: 0.2; accumulate: 4; sample_coverage: 2", "end: 1; sampler: rw; num_root: 4; depth: 1"),
			EvalBackend: cpuBackend(t), Seed: 1, Workers: 1, EvalTrainEvery: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = h.losses
		}
		if len(h.losses) < 3 || !slices.Equal(h.losses, want) {
			t.Errorf("%+v: losses %v, want %v", o, h.losses, want)
		}
	}
}

// What is not finite holds the update back for all devices, and is told in the words of CPUs that train
// together.
func TestTogetherNotFinite(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	message := func(bs ...tensor.Backend) string {
		_, err := trainer.Train(context.Background(), trainer.Options{
			Data: d, Backend: bs[0], Others: bs[1:], Seed: 1, Workers: 1, EvalTrainEvery: 3,
			Config: parse(t, "dim: 8; arch: '1-0'; act: relu", "lr: 1.0e+30; dropout: 0; accumulate: 2", "end: 9; sampler: rw; num_root: 8; depth: 1"),
		})
		if !errors.Is(err, trainer.ErrNotFinite) {
			t.Fatalf("Train = %v, want one that wraps ErrNotFinite", err)
		}
		return err.Error()
	}
	want := message(cpuBackend(t), cpuBackend(t))
	for _, collective := range []bool{true, false} {
		if testing.Short() && !collective {
			continue
		}
		drv := fake.New(fake.Options{Workers: 1, Devices: 2, Collective: collective})
		var bs []tensor.Backend
		for i := range 2 {
			b, err := openOn(drv, i)
			if err != nil {
				t.Fatal(err)
			}
			b.part = 1 << 16
			bs = append(bs, b)
		}
		if got := message(bs...); got != want {
			t.Errorf("library %t: Train = %q, want %q as on CPUs", collective, got, want)
		}
		for _, b := range bs {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A device that is lost while exchanges are queued ends the run for all, whichever it is and whoever is
// waited for.
func TestTogetherLost(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	options := func() trainer.Options {
		return trainer.Options{
			Data: d, Config: parse(t, "dim: 4; arch: '1'; act: relu; norm: batch", "lr: 0.01; dropout: 0; accumulate: 4; sample_coverage: 2", "end: 1; sampler: rw; num_root: 4; depth: 1"),
			EvalBackend: cpuBackend(t), Seed: 1, Workers: 1, EvalTrainEvery: 1,
		}
	}
	o := fake.Options{Workers: 1, Devices: 2, Collective: true, Order: fake.Shuffled, Seed: 1}
	drv := fake.New(o)
	if _, err := trainOn(t, drv, 2, options()); err != nil {
		t.Fatal(err)
	}
	calls, step := drv.Calls(), 41
	if testing.Short() {
		step = 307
	}
	for k := calls / 3; k <= calls-10; k += step {
		drv := fake.New(o)
		drv.FailCall(k, driver.IllegalAddress)
		_, err := trainOn(t, drv, 2, options())
		var e *driver.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("call %d of %d (%s) fails, but training ended with %v", k, calls, drv.Failed(), err)
		}
	}
}

// Parts are added up when all queues have theirs, whoever comes last, and before what follows Join.
func TestGroupParts(t *testing.T) {
	const devices, parts = 3, 3
	for seed := range uint64(4) {
		drv := fake.New(fake.Options{Devices: devices, Collective: true, Order: fake.Shuffled, Seed: seed})
		r := newRing(t, drv, devices)
		g, err := r.bs[0].NewGroup(r.qs)
		if err != nil {
			t.Fatal(err)
		}
		ts := make([][][]tensor.Tensor, devices)
		for i := range ts {
			for k := range parts {
				x := r.as[i].Alloc(tensor.F32, k+1, 16)
				r.qs[i].Fill(float32(100*i), x)
				ts[i] = append(ts[i], []tensor.Tensor{x, x.RowRange(0, 0)})
			}
		}
		g.Split(ts)
		for round := range 3 {
			r.parts(t, g, ts, round)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

// parts has every device fill its parts, and checks what becomes of them.
func (r *ring) parts(t *testing.T, g tensor.Group, ts [][][]tensor.Tensor, round int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range r.qs {
		all.Go(func() {
			for k := range ts[i] {
				r.qs[i].Fill(float32(round+i+10*k), ts[i][k][0])
				g.Final(i, k)
			}
		})
	}
	all.Wait()
	g.Join()
	r.qs[0].Scale(2, ts[0][1][0]) // comes after the sum
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for k := range ts[0] {
		want := float32(3*round + 3 + 30*k)
		if k == 1 {
			want *= 2
		}
		got := make([]float32, 16*(k+1))
		r.qs[0].Download(ts[0][k][0], raw(got))
		if err := r.qs[0].Sync(); err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(got, func(v float32) bool { return v != want }); i >= 0 {
			t.Errorf("round %d: part %d is %g, want %g", round, k, got[i], want)
		}
	}
}
