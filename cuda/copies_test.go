package cuda

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// gpuOrders are what a GPU may make of the same work.
func gpuOrders() []fake.Options {
	all := []fake.Options{{}, {Eager: true}, {Order: fake.CopiesFirst}, {Order: fake.CopiesLast}}
	for seed := range uint64(4) {
		all = append(all, fake.Options{Order: fake.Shuffled, Seed: seed})
	}
	return all
}

// copySteps adds up sets of numbers that a host writes into the same memory again and again, without
// ever waiting for the device but at the end, and returns what the device has seen of each set.
func copySteps(drv driver.Driver, lent bool) (seen []float32, err error) {
	b, err := openOn(drv, 0)
	if err != nil {
		return nil, err
	}
	b.part = 1 << 12
	defer func() { err = errors.Join(err, b.Close()) }()
	a, err := b.NewArena()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	queue, err := b.NewQueue()
	if err != nil {
		return nil, err
	}
	q := queue.(*Queue)
	defer func() { err = errors.Join(err, q.Close()) }()
	copies, err := b.NewCopies(q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, copies.Close()) }()
	const steps = 7
	out := a.Alloc(tensor.F32, 1, steps)
	reused := make([]byte, 4*500)
	for k := range steps {
		n := 100 + 50*(k%5) // sets grow and shrink
		src := reused[:4*n]
		if lent {
			if src, err = b.AllocHost(int64(4 * n)); err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, b.FreeHost(src)) }()
			// All that reads it must be over before it is given back.
			defer func() { err = errors.Join(err, copies.Sync()) }()
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(k + 1)
		}
		copy(src, raw(values))
		copies.Begin()
		empty := copies.Put(tensor.I32, 0, 1, nil)
		x := copies.Put(tensor.F32, n, 1, src)
		again := copies.Put(tensor.F32, 1, 1, raw(values[:1]))
		copies.Ready()
		if empty.Rows != 0 || !empty.Present() {
			return nil, fmt.Errorf("an empty array = %v", empty)
		}
		at := out.ColRange(k, k+1)
		q.Fill(0, at)
		q.SumSquares(x, at)
		q.Axpby(1000, again, 1, at)
		copies.End()
	}
	seen = make([]float32, steps)
	q.Download(out, raw(seen))
	return seen, errors.Join(q.Sync(), a.Err())
}

// Sets follow one another as their orders say, whatever the device does first.
func TestCopies(t *testing.T) {
	var want []float32
	for k := range 7 {
		want = append(want, float32((k+1)*(k+1)*(100+50*(k%5))+1000*(k+1)))
	}
	for _, lent := range []bool{false, true} {
		for _, o := range gpuOrders() {
			drv := fake.New(o)
			got, err := copySteps(drv, lent)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("lent %t, %+v: %v, %v, want %v", lent, o, got, err, want)
			}
			if drv.Memory(0).Live() != 0 || drv.Pinned(0) != 0 {
				t.Errorf("%d allocations and %d pieces of host memory are left", drv.Memory(0).Live(), drv.Pinned(0))
			}
		}
	}
}

// Whichever call fails: the error comes out and nothing stays behind, or other memory did.
func TestCopiesFail(t *testing.T) {
	whole := fake.New(fake.Options{})
	want, err := copySteps(whole, false)
	if err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= whole.Calls(); k++ {
		drv := fake.New(fake.Options{})
		drv.FailCall(k, driver.OutOfMemory)
		got, err := copySteps(drv, false)
		other := drv.Failed() == "cuMemHostAlloc" || drv.Failed() == "cuMemAlloc" // there was other memory
		if err == nil && (!other || !slices.Equal(got, want)) {
			t.Errorf("call %d (%s) fails, but the copies = %v", k, drv.Failed(), got)
		}
		if n := drv.Memory(0).Live(); n > 0 && drv.Failed() != "cuMemFree" && !strings.Contains(fmt.Sprint(err), "destroyed") {
			t.Errorf("call %d (%s) fails: %d allocations are left", k, drv.Failed(), n)
		}
	}
}

// What is page-locked is not copied once more by the host, and the counters say what there was.
func TestCopiesCounted(t *testing.T) {
	drv := fake.New(fake.Options{})
	b, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, b)
	copies, err := b.NewCopies(r.q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { copies.Close() })
	lent, err := b.AllocHost(4000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.FreeHost(lent) })
	before, pinned := b.Counters(), drv.Pinned(0)
	copies.Begin()
	copies.Put(tensor.F32, 500, 1, lent[:2000])
	if drv.Pinned(0) != pinned {
		t.Error("page-locked memory was staged")
	}
	copies.Put(tensor.F32, 250, 1, lent[1000:2000])
	copies.Ready()
	copies.End()
	if drv.Pinned(0) != pinned+1 {
		t.Errorf("%d pieces of page-locked memory, want one for what does not begin where it was allocated", drv.Pinned(0)-pinned)
	}
	got := b.Counters().Sub(before)
	if want := (tensor.Counters{Uploads: 2, UploadBytes: 3000, Allocations: 1}); got != want {
		t.Errorf("Counters = %+v, want %+v", got, want)
	}
	if got := copies.(*Copies).Taken(); got != 2048+1024 {
		t.Errorf("Taken = %d, want the bytes of two arrays in whole lines", got)
	}
	if err := r.q.Sync(); err != nil {
		t.Error(err)
	}
	if _, err := b.NewCopies(fakeRig(t, fake.Options{}).q); err == nil {
		t.Error("copies for the queue of another backend: no error")
	}
}

// An update that the device holds back changes nothing, from the first value on that is not finite.
func TestHold(t *testing.T) {
	r := fakeRig(t, fake.Options{})
	q := r.q.(*Queue)
	seen := put(r, tensor.F32, 1, 3, []float32{0, 0, 0})
	for k, c := range []struct {
		loss, norm float32
		moved      bool
	}{{1, 4, true}, {2, 0, false}, {1, 1, false}} {
		value, grad := put(r, tensor.F32, 2, 3, []float32{1, 2, 3, 4, 5, 6}), put(r, tensor.F32, 2, 3, []float32{1, 1, 1, 1, 1, 1})
		m, v := put(r, tensor.F32, 2, 3, make([]float32, 6)), put(r, tensor.F32, 2, 3, make([]float32, 6))
		norm := put(r, tensor.F32, 1, 1, []float32{c.norm})
		if k == 1 {
			norm = put(r, tensor.F32, 1, 1, []float32{float32(math.Inf(1))})
		}
		q.Watch(put(r, tensor.F32, 1, 1, []float32{c.loss}), norm, seen)
		q.Hold(seen.ColRange(2, 3))
		for name, update := range map[string]func(){
			"Adam": func() {
				q.Adam(tensor.AdamStep{LR: 0.1, Eps: 1, Corr1: 1, Corr2: 1}, tensor.Tensor{}, grad, m, v, value)
			},
			"SGD":     func() { q.SGD(tensor.SGDStep{LR: 0.1, Momentum: 0.5}, tensor.Tensor{}, grad, m, value) },
			"RMSProp": func() { q.RMSProp(tensor.RMSPropStep{LR: 0.1, Alpha: 0.5, Eps: 1}, tensor.Tensor{}, grad, v, m, value) },
			"Scale":   func() { q.Scale(0.5, value) },
		} {
			q.Fill(1, grad)
			before := f32s(r, value)
			update()
			if moved := !slices.Equal(f32s(r, value), before); moved != c.moved {
				t.Errorf("step %d: %s moves parameters: %t, want %t", k, name, moved, c.moved)
			}
		}
		q.Hold(tensor.Tensor{})
		before := f32s(r, value)
		q.Scale(0.5, value)
		if slices.Equal(f32s(r, value), before) {
			t.Errorf("step %d: Scale is held back after the hold has ended", k)
		}
	}
}

// Marks are reached one by one.
func TestMarks(t *testing.T) {
	for _, o := range gpuOrders() {
		r := fakeRig(t, o)
		q := r.q.(*Queue)
		x := r.a.Alloc(tensor.F32, 1, 1)
		q.Fill(0, x)
		var all [6]tensor.Mark
		got := make([][]float32, len(all))
		for k := range all {
			q.Scale(2, x)
			q.Axpby(1, x, 0, x)
			q.Fill(float32(k), x)
			got[k] = make([]float32, 1)
			q.Download(x, raw(got[k]))
			all[k] = q.Mark()
		}
		for k, m := range all {
			if err := q.Reached(m); err != nil || got[k][0] != float32(k) {
				t.Errorf("%+v: mark %d: %v, %v, want %d", o, k, got[k], err, k)
			}
		}
		bad := put(r, tensor.I32, 1, 1, []int32{7})
		q.GatherRows(x, bad, tensor.Drop{}, r.a.Alloc(tensor.F32, 1, 1))
		if err := q.Reached(q.Mark()); err == nil || !strings.Contains(err.Error(), "index 7 of row 0") {
			t.Errorf("%+v: Reached after an index outside its operand = %v", o, err)
		}
	}
}
