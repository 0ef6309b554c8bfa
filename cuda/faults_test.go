package cuda

import (
	"errors"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// session is what a step does to the driver: uploads, kernels with and without scratch memory that
// grows, checks of data, downloads. It stops at the first error, closes what it opened and returns
// both kinds of errors.
func session(drv driver.Driver) (err, closing error) {
	b, err := openOn(drv, 0)
	if err != nil {
		return err, nil
	}
	b.part = 1 << 12
	defer func() { closing = errors.Join(closing, b.Close()) }()
	a, err := b.NewArena()
	if err != nil {
		return err, nil
	}
	defer func() { closing = errors.Join(closing, a.Close()) }()
	q, err := b.NewQueue()
	if err != nil {
		return err, nil
	}
	defer func() { closing = errors.Join(q.Close(), closing) }()
	x, y := a.Alloc(tensor.F32, 300, 4), a.Alloc(tensor.F32, 300, 4)
	host := make([]float32, 1200)
	for i := range host {
		host[i] = float32(i % 7)
	}
	idx := a.Alloc(tensor.I32, 300, 1)
	rows := make([]int32, 300)
	q.Upload(raw(host), x)
	q.Upload(raw(rows), idx)
	q.GatherRows(x, idx, tensor.Drop{}, y)
	sum := a.Alloc(tensor.F32, 1, 1)
	q.Fill(0, sum)
	q.SumSquares(y, sum)
	big := a.Alloc(tensor.F32, 300, 70)
	q.Fill(1, big)
	out, wide := make([]float32, 1), make([]float32, 300*60)
	q.Download(sum, raw(out))
	q.Download(big.ColRange(1, 61), raw(wide)) // more scratch memory than before
	return errors.Join(a.Err(), q.Sync()), nil
}

// Every call of the driver fails in turn: the error has to come out, and what was opened to be
// closed, unless the call that fails is one that closes.
func TestEveryCallFails(t *testing.T) {
	for _, code := range []driver.Code{driver.OutOfMemory, driver.IllegalAddress} {
		drv := fake.New(fake.Options{})
		if err, closing := session(drv); err != nil || closing != nil {
			t.Fatalf("without a failure: %v, %v", err, closing)
		}
		calls := drv.Calls()
		if calls < 30 {
			t.Fatalf("%d calls, want more to fail", calls)
		}
		for k := 1; k <= calls; k++ {
			drv := fake.New(fake.Options{})
			drv.FailCall(k, code)
			err, closing := session(drv)
			all := errors.Join(err, closing)
			if all == nil && code == driver.OutOfMemory {
				continue // a small tensor found room on the second try
			}
			var e *driver.Error
			if !errors.As(all, &e) || e.Code != code {
				t.Errorf("call %d of %d fails with code %d, but the session returned %v", k, calls, code, all)
				continue
			}
			// A failure that was not while closing leaves nothing behind.
			if err != nil && closing != nil && !strings.Contains(closing.Error(), "made to fail") {
				t.Errorf("call %d fails (%v), and then closing: %v", k, err, closing)
			}
			if n := drv.Memory(0).Live(); err != nil && n > 0 {
				t.Errorf("call %d fails (%v): %d allocations are left", k, err, n)
			}
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	b, err := openOn(fake.New(fake.Options{Memory: 1 << 20}), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 16
	r := newRig(t, b)
	held := r.a.Alloc(tensor.F32, 1000, 100)
	lost := r.a.Alloc(tensor.F32, 1000, 1000)
	err = r.a.Err()
	for _, word := range []string{"1000x1000 f32", "3906 KiB asked for", "KiB held", "of 1024 KiB free"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Err = %v, want %q", err, word)
		}
	}
	if !driver.IsOutOfMemory(err) {
		t.Errorf("Err = %v, want one that wraps the driver's", err)
	}
	r.q.Fill(1, held)
	if err := r.q.Sync(); err != nil {
		t.Errorf("Sync = %v after an allocation failed elsewhere", err)
	}
	r.a.Release(lost)
	r.a.Release(held)
	if r.a.Live() != 0 {
		t.Errorf("Live = %d, want 0", r.a.Live())
	}
}

func TestOpenErrors(t *testing.T) {
	for _, device := range []int{-1, 2} {
		_, err := openOn(fake.New(fake.Options{Devices: 2}), device)
		if !errors.Is(err, tensor.ErrUnavailable) || !strings.Contains(err.Error(), "the driver shows 2") {
			t.Errorf("openOn of device %d of 2 = %v", device, err)
		}
	}
	if _, err := Open(tensor.Options{}); err != nil && !errors.Is(err, tensor.ErrUnavailable) {
		t.Errorf("Open = %v, want one that wraps ErrUnavailable", err)
	}
}

func TestDevices(t *testing.T) {
	drv := fake.New(fake.Options{Devices: 2, Memory: 1 << 20})
	m, err := devices(drv)
	if err != nil || m.Driver != "12.0" || len(m.GPUs) != 2 || m.GPUs[1].Index != 1 || m.GPUs[1].FreeBytes != 1<<20 || m.GPUs[0].Compute != "7.5" {
		t.Errorf("devices = %+v, %v", m, err)
	}
	calls := drv.Calls()
	for k := 1; k <= calls; k++ {
		drv.FailCall(k, driver.InvalidDevice)
		m, err := devices(drv)
		if k == 1 {
			if !errors.Is(err, tensor.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
				t.Errorf("devices = %v after call %d failed, want one line that wraps ErrUnavailable", err, k)
			}
			continue
		}
		// The other GPU can be used.
		broken := (k - 2) / ((calls - 1) / 2)
		if err != nil || len(m.GPUs) != 2 || m.GPUs[broken].Trouble == "" || m.GPUs[1-broken].Trouble != "" {
			t.Errorf("devices = %+v, %v after call %d failed, want trouble with GPU %d", m, err, k, broken)
		}
	}
	one := fake.New(fake.Options{})
	for k := 1; k <= (calls-1)/2+1; k++ {
		one.FailCall(k, driver.InvalidDevice)
		if _, err := devices(one); !errors.Is(err, tensor.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
			t.Errorf("devices = %v after call %d of a single GPU failed, want one line that wraps ErrUnavailable", err, k)
		}
	}
}

// Once an arena and a queue have seen a step, another asks the device for no memory.
func TestSteadyState(t *testing.T) {
	drv := fake.New(fake.Options{})
	b, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 16
	r := newRig(t, b)
	step := func() {
		x, w := r.a.Alloc(tensor.F32, 600, 20), r.a.Alloc(tensor.F32, 20, 20)
		r.q.Fill(1, x)
		r.q.Gemm(true, false, 1, x, x, 0, w)
		if err := r.q.Sync(); err != nil {
			t.Fatal(err)
		}
		r.a.Release(x)
		r.a.Release(w)
		r.a.Reset()
	}
	step()
	before := drv.Memory(0).Peak()
	for range 3 {
		step()
	}
	if after := drv.Memory(0).Peak(); after != before {
		t.Errorf("%d bytes of the device after 4 steps, %d after the first", after, before)
	}
}
