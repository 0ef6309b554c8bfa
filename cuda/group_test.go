package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// ring is the devices of a driver with a queue and an arena on each.
type ring struct {
	bs []*Backend
	qs []tensor.Queue
	as []tensor.Arena
}

func newRing(t testing.TB, drv *fake.Driver, n int) *ring {
	t.Helper()
	r := &ring{}
	for i := range n {
		b, err := openOn(drv, i)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 16
		rig := newRig(t, b)
		r.bs, r.qs, r.as = append(r.bs, b), append(r.qs, rig.q), append(r.as, rig.a)
	}
	return r
}

// filled returns a tensor of every size for each device, all elements of device i being v(i).
func (r *ring) filled(v func(i int) float32) [][]tensor.Tensor {
	ts := make([][]tensor.Tensor, len(r.qs))
	for i, q := range r.qs {
		for _, n := range []int{1, 7, 0, 300} {
			x := r.as[i].Alloc(tensor.F32, 3, n)
			q.Fill(v(i), x)
			ts[i] = append(ts[i], x)
		}
	}
	return ts
}

func TestGroup(t *testing.T) {
	drv := fake.New(fake.Options{Devices: 3, Collective: true})
	r := newRing(t, drv, 3)
	g, err := r.bs[0].NewGroup(r.qs)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ts := r.filled(func(i int) float32 { return float32(math.Pow(10, float64(i))) })
	check := func(what string, want ...float32) {
		t.Helper()
		for i, q := range r.qs {
			for _, x := range ts[i] {
				got := make([]float32, x.Rows*x.Cols)
				q.Download(x, raw(got))
				if err := q.Sync(); err != nil {
					t.Fatal(err)
				}
				if k := slices.IndexFunc(got, func(v float32) bool { return v != want[i] }); k >= 0 {
					t.Errorf("%s: device %d has %g, want %g", what, i, got[k], want[i])
				}
			}
		}
	}
	g.Reduce(ts)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	check("Reduce", 111, 10, 100)
	r.qs[0].Scale(2, ts[0][3])
	r.qs[0].Scale(2, ts[0][1])
	r.qs[0].Scale(2, ts[0][0])
	g.Broadcast(ts)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	check("Broadcast", 222, 222, 222)
}

// A device that fails keeps nobody waiting: the group says what it was, and everything can be freed.
func TestGroupFails(t *testing.T) {
	for who := range 3 {
		drv := fake.New(fake.Options{Devices: 3, Collective: true})
		var bs []*Backend
		var qs []tensor.Queue
		var ts [][]tensor.Tensor
		for i := range 3 {
			b, err := openOn(drv, i)
			if err != nil {
				t.Fatal(err)
			}
			b.part = 1 << 16
			q, _ := b.NewQueue()
			a, _ := b.NewArena()
			x := a.Alloc(tensor.F32, 4, 4)
			q.Fill(1, x)
			bs, qs, ts = append(bs, b), append(qs, q), append(ts, []tensor.Tensor{x})
		}
		g, err := bs[0].NewGroup(qs)
		if err != nil {
			t.Fatal(err)
		}
		bad := driver.Ptr(1 << 40)
		k, err := bs[who].function(kernel{"map", "fill_f32"})
		if err != nil {
			t.Fatal(err)
		}
		own := qs[who].(*Queue)
		if err := own.dev.Launch(k, driver.Geometry{Grid: dim(1, 1), Block: dim(256, 1)}, own.stream, []uint64{4, 4, 0, uint64(bad), 4, 0}); err != nil {
			t.Fatal(err)
		}
		g.Reduce(ts)
		var lost *tensor.LostError
		if err := g.Wait(); !errors.As(err, &lost) || lost.Device != fmt.Sprintf("cuda:%d", who) {
			t.Errorf("device %d fails, but Wait returned %v", who, err)
		}
		for i, q := range qs {
			if i != who && q.Err() == nil {
				t.Errorf("device %d fails and queue %d knows nothing of it", who, i)
			}
			_ = q.Close()
		}
		_ = g.Close()
	}
}

// A group that cannot be split tells so, and nobody who has a part stumbles over that.
func TestGroupSplitFails(t *testing.T) {
	for k := 1; ; k++ {
		drv := fake.New(fake.Options{Devices: 2, Collective: true})
		var qs []tensor.Queue
		var ts [][][]tensor.Tensor
		for i := range 2 {
			b, err := openOn(drv, i)
			if err != nil {
				t.Fatal(err)
			}
			b.part = 1 << 16
			q, _ := b.NewQueue()
			a, _ := b.NewArena()
			qs, ts = append(qs, q), append(ts, [][]tensor.Tensor{{a.Alloc(tensor.F32, 4, 4)}})
		}
		g, err := qs[0].(*Queue).b.NewGroup(qs)
		if err != nil {
			t.Fatal(err)
		}
		drv.FailCall(k, driver.OutOfMemory)
		g.Split(ts)
		failed := drv.Failed()
		if failed != "" {
			for i, q := range qs {
				g.Final(i, 0)
				if q.Err() == nil {
					t.Errorf("call %d of Split (%s) fails and queue %d knows nothing of it", k, failed, i)
				}
			}
			g.Join()
		}
		_ = g.Close()
		for _, q := range qs {
			_ = q.Close()
		}
		if failed == "" {
			return
		}
	}
}

func TestNoGroup(t *testing.T) {
	r := newRing(t, fake.New(fake.Options{Devices: 2}), 2)
	if _, err := r.bs[0].NewGroup(r.qs); !errors.Is(err, driver.ErrNoLibrary) {
		t.Errorf("NewGroup without the library = %v", err)
	}
	cpu := newRig(t, cpuRigBackend(t))
	with := newRing(t, fake.New(fake.Options{Devices: 2, Collective: true}), 2)
	if _, err := with.bs[0].NewGroup([]tensor.Queue{with.qs[0], cpu.q}); err == nil {
		t.Error("NewGroup joined a GPU and the CPU")
	}
	if _, err := with.bs[0].NewGroup([]tensor.Queue{with.qs[0], with.qs[0]}); err == nil {
		t.Error("NewGroup joined a GPU with itself")
	}
}

// trainOn trains on several devices of a driver, and closes them.
func trainOn(t testing.TB, drv *fake.Driver, devices int, o trainer.Options) (history, error) {
	t.Helper()
	var h history
	var closing []error
	for i := range devices {
		b, err := openOn(drv, i)
		if err != nil {
			return h, err
		}
		b.part = 1 << 16
		defer func() { closing = append(closing, b.Close()) }()
		if i == 0 {
			o.Backend = b
		} else {
			o.Others = append(o.Others, b)
		}
	}
	o.OnStep = func(s trainer.StepReport) { h.losses = append(h.losses, s.Loss) }
	o.OnEpoch = func(e trainer.Epoch) error { h.epochs = append(h.epochs, e); return nil }
	var err error
	h.result, err = trainer.Train(context.Background(), o)
	return h, err
}

// Several GPUs train as one that accumulates the same subgraphs does, summed by the library or by the
// host, and the same again.
func TestTrainingTogether(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	phases := "end: 2; sampler: rw; num_root: 4; depth: 1"
	if testing.Short() {
		phases = "end: 1; sampler: rw; num_root: 16; depth: 1"
	}
	options := func() trainer.Options {
		return trainer.Options{
			Data: d, Config: parse(t, "dim: 4; arch: '1'; act: relu; bias: bias; loss: softmax", "lr: 0.01; dropout: 0.2; accumulate: 6; sample_coverage: 2", phases),
			Seed: 1, Workers: 1, EvalTrainEvery: 1,
		}
	}
	want, err := trainOn(t, fake.New(fake.Options{Workers: 1}), 1, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, devices := range []int{2, 3} {
		for _, collective := range []bool{true, false} {
			if testing.Short() && (devices > 2 || !collective) {
				continue
			}
			runs := [2]history{}
			for i := range runs {
				if runs[i], err = trainOn(t, fake.New(fake.Options{Workers: 1, Devices: devices, Collective: collective}), devices, options()); err != nil {
					t.Fatalf("%d devices, library %t: %v", devices, collective, err)
				}
			}
			runs[0].compare(t, want)
			if !slices.Equal(runs[0].losses, runs[1].losses) {
				t.Errorf("%d devices, library %t: losses of a second run differ: %v, %v", devices, collective, runs[0].losses, runs[1].losses)
			}
		}
	}
}

// Calls fail one after the other, of either device, of the driver or the library: training ends with
// the cause, and nothing hangs.
func TestTrainingTogetherFails(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	options := func() trainer.Options {
		return trainer.Options{
			Data: d, Config: parse(t, "dim: 4; arch: '1'; act: relu; bias: bias; loss: softmax", "lr: 0.01; dropout: 0; accumulate: 2; sample_coverage: 2", "end: 1; sampler: rw; num_root: 12; depth: 1"),
			Seed: 1, Workers: 1, EvalTrainEvery: 1,
		}
	}
	drv := fake.New(fake.Options{Workers: 1, Devices: 2, Collective: true})
	if _, err := trainOn(t, drv, 2, options()); err != nil {
		t.Fatal(err)
	}
	calls := drv.Calls()
	step := 29
	if testing.Short() {
		step = 151
	}
	for k := 1; k <= calls-10; k += step {
		drv := fake.New(fake.Options{Workers: 1, Devices: 2, Collective: true})
		drv.FailCall(k, driver.IllegalAddress)
		_, err := trainOn(t, drv, 2, options())
		var e *driver.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("call %d of %d (%s) fails, but training ended with %v", k, calls, drv.Failed(), err)
		}
	}
}
