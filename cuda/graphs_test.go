package cuda

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// graphRun is what steps of a queue came to.
type graphRun struct {
	seen    []float32
	count   tensor.Counters
	refused error
	most    int // executable graphs at a time
}

// graphSteps does steps of several sizes, which take memory on the way, read something back in the middle and
// multiply, without ever waiting for the device but at the end.
func graphSteps(drv *fake.Driver, record bool, sizes []int) (r graphRun, err error) {
	b, err := openOn(drv, 0)
	if err != nil {
		return r, err
	}
	b.part = 1 << 12
	b.useLibrary(tensor.MatmulFP32)
	defer func() { err = errors.Join(err, b.Close()) }()
	a, err := b.NewArena()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	queue, err := b.NewQueue()
	if err != nil {
		return r, err
	}
	q := queue.(*Queue)
	defer func() { err = errors.Join(err, q.Close()) }()
	copies, err := b.NewCopies(q)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, copies.Close()) }()
	q.Record(record)
	r.seen = make([]float32, 2*len(sizes))
	total := a.Alloc(tensor.F32, 1, 1)
	q.Fill(0, total)
	for k, n := range sizes {
		values := make([]float32, 2*n)
		for i := range values {
			values[i] = float32(k+1) + float32(i%3)
		}
		copies.Begin()
		x := copies.Put(tensor.F32, n, 2, raw(values))
		copies.Ready()
		y, w := a.Alloc(tensor.F32, n, 2), a.Alloc(tensor.F32, 2, 2)
		q.Axpby(float32(k), x, 0, y)
		q.Gemm(true, false, 1, x, y, 0, w)
		q.SumSquares(w, total)
		q.Scale(0.5, total)
		q.Axpby(1, total, 0, w.RowRange(0, 1).ColRange(0, 1))
		if k%3 == 0 {
			q.Download(total, raw(r.seen[2*k:2*k+1]))
		}
		for range 4 + n%20 {
			q.Scale(1.25, total)
		}
		copies.End()
		q.Download(w.RowRange(0, 1).ColRange(0, 1), raw(r.seen[2*k+1:2*k+2]))
		a.Release(y)
		a.Release(w)
		_, ready := drv.Graphs(0)
		r.most = max(r.most, ready)
	}
	err = errors.Join(q.Sync(), a.Err())
	r.count, r.refused = b.Counters(), q.Refused()
	return r, err
}

var graphSizes = []int{40, 40, 200, 40, 60, 800, 220, 40}

// What a step does comes to the same bits as one graph, whatever the device does first, and leaves nothing.
func TestGraphs(t *testing.T) {
	for _, library := range []bool{false, true} {
		want, err := graphSteps(fake.New(fake.Options{Library: library}), false, graphSizes)
		if err != nil || want.count.Graphs != 0 {
			t.Fatalf("without graphs: %v, %+v", err, want.count)
		}
		for _, o := range gpuOrders() {
			o.Library = library
			drv := fake.New(o)
			got, err := graphSteps(drv, true, graphSizes)
			if err != nil || got.refused != nil || !slices.Equal(got.seen, want.seen) {
				t.Errorf("%+v: %v, %v, %v, want %v", o, got.seen, err, got.refused, want.seen)
			}
			// A download in the middle makes two of a step.
			if c := got.count; c.Launches != want.count.Launches || c.Graphs != int64(len(graphSizes)+3) || c.Executables >= c.Graphs {
				t.Errorf("%+v: %+v, without graphs %+v", o, c, want.count)
			}
			if graphs, ready := drv.Graphs(0); graphs+ready+drv.Memory(0).Live()+drv.Pinned(0) != 0 {
				t.Errorf("%+v: %d graphs, %d executable ones and %d allocations are left", o, graphs, ready, drv.Memory(0).Live())
			}
		}
	}
}

// Steps of ever other kinds keep few graphs.
func TestGraphsBounded(t *testing.T) {
	var sizes []int
	for k := range 13 {
		sizes = append(sizes, 1+k, 1+k) // the second finds the first one's
	}
	got, err := graphSteps(fake.New(fake.Options{}), true, sizes)
	if err != nil || got.most != maxExecutables || got.count.Executables <= 13 {
		t.Errorf("%d executable graphs at a time, %d in all, %v, want %d at a time", got.most, got.count.Executables, err, maxExecutables)
	}
}

// Whichever call fails: the numbers are right, or the error comes out. A capture, an update or a launch of a
// graph that fails is no error: the step goes the other way, and so do all after it.
func TestGraphsFail(t *testing.T) {
	sizes := []int{40, 40, 60}
	whole := fake.New(fake.Options{Library: true})
	want, err := graphSteps(whole, true, sizes)
	if err != nil {
		t.Fatal(err)
	}
	calls := whole.Calls()
	for _, code := range []driver.Code{driver.OutOfMemory, driver.IllegalAddress} {
		refused := map[string]bool{}
		for k := 1; k <= calls; k++ {
			drv := fake.New(fake.Options{Library: true})
			drv.FailCall(k, code)
			got, err := graphSteps(drv, true, sizes)
			if msg := wrongAfter(drv, code, got, err, want); msg != "" {
				t.Errorf("call %d of %d (%s) fails with code %d: %s", k, calls, drv.Failed(), code, msg)
			}
			if got.refused != nil && err == nil {
				refused[drv.Failed()] = true
			}
		}
		for _, name := range []string{"cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphGetNodes", "cuGraphInstantiate", "cuGraphExecUpdate", "cuGraphLaunch", "cuGraphDestroy", "cuLaunchKernel", "cublasGemmEx"} {
			if refused[name] == (code == driver.IllegalAddress) {
				t.Errorf("code %d: a failing %s was taken as a refusal: %t", code, name, refused[name])
			}
		}
	}
}

// wrongAfter says what is wrong with steps of which a call has failed with that code, "" if nothing is.
func wrongAfter(drv *fake.Driver, code driver.Code, got graphRun, err error, want graphRun) string {
	name := drv.Failed()
	other := strings.HasPrefix(name, "cuMem") && strings.Contains(name, "Alloc") || name == "cublasCreate" // there was something else
	if err != nil {
		if !other && !strings.Contains(err.Error(), "made to fail") {
			return err.Error()
		}
		return ""
	}
	var e *driver.Error
	switch graphs, ready := drv.Graphs(0); {
	case !slices.Equal(got.seen, want.seen):
		return fmt.Sprint(got.seen, ", want ", want.seen)
	case got.refused != nil && (!errors.As(got.refused, &e) || e.Code != code):
		return fmt.Sprint("Refused = ", got.refused)
	case got.refused == nil && !other:
		return "nobody says so"
	case graphs+ready+drv.Memory(0).Live()+drv.Pinned(0) != 0:
		return fmt.Sprintf("%d graphs, %d executable ones and %d allocations are left", graphs, ready, drv.Memory(0).Live())
	}
	return ""
}

// Who waits for the whole device while another goroutine's step is captured does not spoil it.
func TestGraphsBesideSync(t *testing.T) {
	r := fakeRig(t, fake.Options{})
	b := r.b.(*Backend)
	done, errs := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(errs)
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := b.sync(); err != nil {
				errs <- err
				return
			}
		}
	}()
	q := r.q.(*Queue)
	copies, err := b.NewCopies(q)
	if err != nil {
		t.Fatal(err)
	}
	q.Record(true)
	x := r.a.Alloc(tensor.F32, 4, 4)
	for range 200 {
		copies.Begin()
		copies.Ready()
		q.Fill(1, x)
		for range 6 {
			q.Scale(2, x)
		}
		copies.End()
	}
	got := make([]float32, 16)
	q.Download(x, raw(got))
	if err := q.Sync(); err != nil || q.Refused() != nil || got[5] != 64 {
		t.Errorf("Sync = %v, Refused = %v, %v", err, q.Refused(), got[5])
	}
	close(done)
	if err := <-errs; err != nil {
		t.Error(err)
	}
	if err := copies.Close(); err != nil {
		t.Error(err)
	}
}

// A step allocates nothing on the host once graphs are there.
func TestGraphsAllocate(t *testing.T) {
	b := dryOn(driver.Properties{Name: "dry", Major: 9, MaxThreads: 1024, TotalBytes: dryBytes}, &library{name: "dry"})
	q, err := newQueue(b)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := b.NewArena()
	x := a.Alloc(tensor.F32, 8, 8)
	q.recorder.wanted = true
	step := func() {
		q.recorder.begin()
		for range 10 {
			q.Scale(2, x)
			q.Gemm(false, false, 1, x, x, 0, x)
		}
		q.flush()
		q.recorder.open = false
	}
	step()
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("a step allocates %g objects", n)
	}
	if err := errors.Join(q.Close(), a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	if b.count.executables.Load() != 1 {
		t.Error(fmt.Sprint(b.count.executables.Load(), " executable graphs, want 1"))
	}
}

// neverEnding is a device on which captures cannot be ended.
type neverEnding struct{ driver.Device }

func (neverEnding) EndCapture(driver.Stream) (driver.Graph, error) {
	return 0, &driver.Error{Call: "cuStreamEndCapture", Code: driver.InvalidValue, Text: "not today"}
}

// A stream that stays captured is of no use: that is an error, not a refusal.
func TestGraphsNeverEnd(t *testing.T) {
	b, err := openOn(fake.New(fake.Options{}), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part, b.dev = 1<<12, neverEnding{b.dev}
	q, err := newQueue(b)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	x := a.Alloc(tensor.F32, 4, 4)
	q.Record(true)
	q.recorder.begin()
	for range 6 {
		q.Scale(2, x)
	}
	if err := q.Sync(); !errors.Is(err, errCapturing) || !strings.Contains(err.Error(), "not today") {
		t.Errorf("Sync = %v, want that the capture could not be ended", err)
	}
	if err := q.Close(); err == nil {
		t.Error("Close of a queue whose stream is being captured is no error")
	}
}
