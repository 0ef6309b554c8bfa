package fake

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// double is a kernel that doubles the first word of out.
const double = `.version 8.0
.target sm_75
.address_size 64
.visible .entry double(
	.param .u64 double_param_0
)
{
	ld.param.u64 	%rd1, [double_param_0];
	ld.global.u32 	%r1, [%rd1];
	add.s32 	%r2, %r1, %r1;
	st.global.u32 	[%rd1], %r2;
	ret;
}
`

var one = driver.Geometry{Grid: driver.Dim3{X: 1, Y: 1, Z: 1}, Block: driver.Dim3{X: 1, Y: 1, Z: 1}}

// bench is a device with a stream, a buffer of 4 bytes and the kernel.
type bench struct {
	*testing.T
	d driver.Device
	s driver.Stream
	p driver.Ptr
	m driver.Module
	f driver.Function
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	d, err := New(o).Open(0)
	b := &bench{T: t, d: d}
	b.must(err)
	b.s, err = d.NewStream()
	b.must(err)
	b.p, err = d.Alloc(4)
	b.must(err)
	b.m, err = d.LoadModule(double)
	b.must(err)
	b.f, err = d.Function(b.m, "double")
	b.must(err)
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) close() {
	b.Helper()
	b.must(b.d.Free(b.p))
	b.must(b.d.DestroyStream(b.s))
	b.must(b.d.UnloadModule(b.m))
	b.must(b.d.Close())
}

func (b *bench) word() byte {
	b.Helper()
	got := make([]byte, 4)
	b.must(b.d.Download(got, b.p, b.s))
	b.must(b.d.SyncStream(b.s))
	return got[0]
}

func (b *bench) double() { b.must(b.d.Launch(b.f, one, b.s, []uint64{uint64(b.p)})) }

func TestStreamOrder(t *testing.T) {
	for _, eager := range []bool{false, true} {
		b := newBench(t, Options{Eager: eager})
		b.must(b.d.Upload(b.p, []byte{3, 0, 0, 0}, b.s))
		b.double()
		b.double()
		if got := b.word(); got != 12 {
			t.Errorf("eager %t: %d, want 12", eager, got)
		}
		b.close()
	}
}

// Host memory belongs to a copy until the stream has passed it.
func TestHostMemoryOfCopies(t *testing.T) {
	b := newBench(t, Options{})
	src, err := b.d.AllocHost(4)
	b.must(err)
	b.must(b.d.Upload(b.p, src, b.s))
	if err := b.d.FreeHost(src); err == nil || !strings.Contains(err.Error(), "has not run") {
		t.Errorf("FreeHost of memory that is to be copied = %v", err)
	}
	dst := []byte{1, 2, 3, 4}
	b.must(b.d.Download(dst, b.p, b.s))
	if !bytes.Equal(dst, []byte{0xff, 0xff, 0xff, 0xff}) {
		t.Errorf("memory that a download has not reached = %v", dst)
	}
	b.must(b.d.SyncStream(b.s))
	b.must(b.d.Upload(b.p, src, b.s))
	src[1]++
	if err := b.d.SyncStream(b.s); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("copy of memory that was changed before it ran = %v", err)
	}
}

// Two streams that no event orders give another result in some order; ordered ones the same in all.
func TestOrders(t *testing.T) {
	run := func(o Options, ordered bool) byte {
		b := newBench(t, o)
		copies, err := b.d.NewStream()
		b.must(err)
		e, err := b.d.NewEvent(false)
		b.must(err)
		b.must(b.d.Set32(b.p, 3, 1, b.s))
		b.must(b.d.SyncStream(b.s))
		b.double()
		if ordered {
			b.must(b.d.Record(e, b.s))
			b.must(b.d.Wait(copies, e))
		}
		b.must(b.d.Upload(b.p, []byte{9, 0, 0, 0}, copies)) // overwrites what the kernel reads
		b.must(b.d.Record(e, copies))
		if ordered {
			b.must(b.d.Wait(b.s, e))
		}
		b.double()
		got := b.word()
		b.must(b.d.DestroyEvent(e))
		b.must(b.d.DestroyStream(copies))
		b.close()
		return got
	}
	seen := map[byte]bool{}
	orders := []Options{{}, {Eager: true}, {Order: CopiesFirst}, {Order: CopiesLast}}
	for seed := range uint64(8) {
		orders = append(orders, Options{Order: Shuffled, Seed: seed})
	}
	for _, o := range orders {
		if got := run(o, true); got != 18 {
			t.Errorf("ordered streams, %+v: %d, want 18", o, got)
		}
		seen[run(o, false)] = true
	}
	for _, want := range []byte{12, 36, 18} {
		if !seen[want] {
			t.Errorf("streams without order gave %v, want all of 12 (copied late), 36 (copied early) and 18", seen)
		}
	}
}

// Work of another stream runs when an event says so, and no sooner.
func TestEvents(t *testing.T) {
	b := newBench(t, Options{})
	other, err := b.d.NewStream()
	b.must(err)
	e, err := b.d.NewEvent(true)
	b.must(err)
	from, err := b.d.NewEvent(true)
	b.must(err)
	b.must(b.d.Record(from, other))
	b.must(b.d.Set32(b.p, 3, 1, other))
	b.must(b.d.Record(e, other))
	b.must(b.d.Set32(b.p, 50, 1, other)) // after the event: nobody waits for it
	if done, err := b.d.Done(e); done || err != nil {
		t.Errorf("Done = %t, %v before anything was waited for", done, err)
	}
	if _, err := b.d.Elapsed(from, e); err == nil {
		t.Error("Elapsed before the events is no error")
	}
	b.must(b.d.Wait(b.s, e))
	b.double()
	if got := b.word(); got != 6 {
		t.Errorf("after the event: %d, want 6", got)
	}
	if done, err := b.d.Done(e); !done || err != nil {
		t.Errorf("Done = %t, %v, want true", done, err)
	}
	if ms, err := b.d.Elapsed(from, e); err != nil || ms <= 0 {
		t.Errorf("Elapsed = %g, %v, want more than 0", ms, err)
	}
	b.must(b.d.SyncEvent(e))
	b.must(b.d.Sync())
	if got := b.word(); got != 50 {
		t.Errorf("after everything: %d, want 50", got)
	}
	b.must(b.d.DestroyEvent(e))
	b.must(b.d.DestroyEvent(from))
	b.must(b.d.DestroyStream(other))
	b.close()
}

func TestGraph(t *testing.T) {
	b := newBench(t, Options{Eager: true})
	b.must(b.d.Set32(b.p, 1, 1, b.s))
	b.must(b.d.BeginCapture(b.s))
	b.double()
	b.double()
	if on, err := b.d.Capturing(b.s); !on || err != nil {
		t.Errorf("Capturing = %t, %v, want true", on, err)
	}
	g, err := b.d.EndCapture(b.s)
	b.must(err)
	if got := b.word(); got != 1 {
		t.Errorf("captured work ran: %d, want 1", got)
	}
	if n, err := b.d.Nodes(g); n != 2 || err != nil {
		t.Errorf("Nodes = %d, %v, want 2", n, err)
	}
	x, err := b.d.Instantiate(g)
	b.must(err)
	b.must(b.d.DestroyGraph(g))
	b.must(b.d.LaunchGraph(x, b.s))
	b.must(b.d.LaunchGraph(x, b.s))
	if got := b.word(); got != 16 {
		t.Errorf("after two launches: %d, want 16", got)
	}
	b.must(b.d.DestroyExecutable(x))
	if err := b.d.LaunchGraph(x, b.s); err == nil {
		t.Error("LaunchGraph of a destroyed graph is no error")
	}
	b.close()
}

// An update changes arguments from the next launch on, and nothing else.
func TestGraphUpdate(t *testing.T) {
	b := newBench(t, Options{})
	capture := func(works ...func()) driver.Graph {
		t.Helper()
		b.must(b.d.BeginCapture(b.s))
		for _, w := range works {
			w()
		}
		g, err := b.d.EndCapture(b.s)
		b.must(err)
		return g
	}
	set := func(v uint32) func() { return func() { b.must(b.d.Set32(b.p, v, 1, b.s)) } }
	first, second, other := capture(set(1), b.double), capture(set(5), b.double), capture(b.double, set(1))
	longer := capture(set(1), b.double, b.double)
	x, err := b.d.Instantiate(first)
	b.must(err)
	b.must(b.d.LaunchGraph(x, b.s))
	if done, err := b.d.UpdateGraph(x, second); !done || err != nil {
		t.Fatalf("UpdateGraph = %t, %v", done, err)
	}
	if got := b.word(); got != 2 {
		t.Errorf("launched before the update: %d, want 2", got)
	}
	for name, g := range map[string]driver.Graph{"another order": other, "one more": longer} {
		if done, err := b.d.UpdateGraph(x, g); done || err != nil {
			t.Errorf("UpdateGraph with %s = %t, %v, want false", name, done, err)
		}
	}
	b.must(b.d.LaunchGraph(x, b.s))
	if got := b.word(); got != 10 {
		t.Errorf("launched after the update: %d, want 10", got)
	}
	for _, g := range []driver.Graph{first, second, other, longer} {
		b.must(b.d.DestroyGraph(g))
	}
	b.must(b.d.DestroyExecutable(x))
	b.close()
}

// What is not allowed while a stream is captured has the driver's number and ends the capture.
func TestGraphMisuse(t *testing.T) {
	code := func(err error) driver.Code {
		var e *driver.Error
		errors.As(err, &e)
		if e == nil {
			return 0
		}
		return e.Code
	}
	b := newBench(t, Options{})
	other, err := b.d.NewStream()
	b.must(err)
	outside, err := b.d.NewEvent(false)
	b.must(err)
	inside, err := b.d.NewEvent(false)
	b.must(err)
	for _, c := range []struct {
		name string
		call func() error
		want driver.Code
	}{
		{"wait for the stream", func() error { return b.d.SyncStream(b.s) }, driver.StreamCaptured},
		{"wait for the device", func() error { return b.d.Sync() }, driver.StreamCaptured},
		{"wait for a captured event", func() error { return b.d.SyncEvent(inside) }, driver.CapturedEvent},
		{"ask a captured event", func() error { _, err := b.d.Done(inside); return err }, driver.CapturedEvent},
		{"follow another stream", func() error { return b.d.Wait(b.s, outside) }, driver.CaptureIsolation},
		{"another stream follows", func() error { return b.d.Wait(other, inside) }, driver.CaptureIsolation},
	} {
		b.must(b.d.Record(outside, other))
		b.must(b.d.BeginCapture(b.s))
		b.double()
		b.must(b.d.Record(inside, b.s))
		b.must(b.d.Wait(b.s, inside))
		if err := c.call(); code(err) != c.want {
			t.Errorf("%s: %v, want error %d", c.name, err, c.want)
		}
		if err := b.d.Set32(b.p, 1, 1, b.s); code(err) != driver.CaptureInvalidated {
			t.Errorf("%s, then work: %v, want error %d", c.name, err, driver.CaptureInvalidated)
		}
		if _, err := b.d.EndCapture(b.s); code(err) != driver.CaptureInvalidated {
			t.Errorf("%s, then EndCapture: %v, want error %d", c.name, err, driver.CaptureInvalidated)
		}
	}
	// What has nothing to do with the stream is allowed.
	b.must(b.d.BeginCapture(b.s))
	if err := b.d.BeginCapture(b.s); code(err) != driver.IllegalState {
		t.Errorf("BeginCapture twice: %v, want error %d", err, driver.IllegalState)
	}
	p, err := b.d.Alloc(8)
	b.must(err)
	b.must(b.d.Set32(p, 1, 2, other))
	b.must(b.d.SyncStream(other))
	b.must(b.d.Free(p))
	g, err := b.d.EndCapture(b.s)
	b.must(err)
	if _, err := b.d.EndCapture(b.s); code(err) != driver.IllegalState {
		t.Errorf("EndCapture twice: %v, want error %d", err, driver.IllegalState)
	}
	if err := b.d.Close(); err == nil || !strings.Contains(err.Error(), "1 graphs were not destroyed") {
		t.Errorf("Close = %v, want one that names the graph", err)
	}
	_ = g
}

func TestMisuse(t *testing.T) {
	b := newBench(t, Options{Memory: 1 << 12})
	p, err := b.d.Alloc(64)
	b.must(err)
	b.must(b.d.Free(p))
	h, err := b.d.AllocHost(8)
	b.must(err)
	b.must(b.d.FreeHost(h))
	ev, err := b.d.NewEvent(false)
	b.must(err)
	b.must(b.d.DestroyEvent(ev))
	for name, err := range map[string]error{
		"double free":      b.d.Free(p),
		"double host free": b.d.FreeHost(h),
		"free inside":      b.d.Free(b.p + 1),
		"copy to freed":    b.d.Upload(p, []byte{1}, b.s),
		"copy past end":    b.d.Upload(b.p, make([]byte, 5), b.s),
		"copy nothing":     b.d.Upload(b.p, nil, b.s),
		"no stream":        b.d.Set8(b.p, 0, 4, 999),
		"not aligned":      b.d.Set32(b.p+2, 0, 1, b.s),
		"no event":         b.d.Record(ev, b.s),
		"event again":      b.d.DestroyEvent(ev),
		"no function":      b.d.Launch(999, one, b.s, nil),
		"arguments":        b.d.Launch(b.f, one, b.s, nil),
		"empty grid":       b.d.Launch(b.f, driver.Geometry{Block: one.Block}, b.s, []uint64{0}),
		"unsaid threads":   b.d.Launch(b.f, driver.Geometry{Grid: one.Grid, Block: driver.Dim3{X: 512, Y: 1, Z: 1}}, b.s, []uint64{0}),
		"no module":        b.d.UnloadModule(999),
		"no graph":         b.d.DestroyGraph(999),
		"no executable":    b.d.DestroyExecutable(999),
		"shared":           b.d.SetMaxDynamicShared(b.f, 1<<20),
	} {
		var e *driver.Error
		if !errors.As(err, &e) || e.Code != driver.InvalidValue {
			t.Errorf("%s: %v, want an invalid value", name, err)
		}
	}
	if _, err := b.d.Alloc(1 << 12); !driver.IsOutOfMemory(err) {
		t.Errorf("Alloc of everything = %v, want out of memory", err)
	}
	if _, err := b.d.Function(b.m, "triple"); err == nil {
		t.Error("Function of an unknown name is no error")
	}
	if _, err := b.d.LoadModule("nonsense"); err == nil {
		t.Error("LoadModule of nonsense is no error")
	}
	b.close()
}

func TestUseAfterFreeInOrder(t *testing.T) {
	b := newBench(t, Options{})
	p, err := b.d.AllocAsync(4, b.s)
	b.must(err)
	b.must(b.d.Set32(p, 1, 1, b.s))
	b.must(b.d.FreeAsync(p, b.s))
	b.must(b.d.Launch(b.f, one, b.s, []uint64{uint64(p)})) // queued behind the free
	err = b.d.SyncStream(b.s)
	if !driver.Lost(err) {
		t.Fatalf("SyncStream = %v, want a lost device", err)
	}
	if _, err2 := b.d.Alloc(4); err2 == nil || err2.Error() != err.Error() {
		t.Errorf("Alloc on a lost device = %v, want %v", err2, err)
	}
	b.must(b.d.Close())
}

func TestLeaks(t *testing.T) {
	b := newBench(t, Options{})
	err := b.d.Close()
	for _, what := range []string{"1 modules", "1 streams", "1 allocations"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("Close = %v, want %q", err, what)
		}
	}
	if err := b.d.Close(); err == nil {
		t.Error("second Close is no error")
	}
}

func TestFailCall(t *testing.T) {
	drv := New(Options{})
	drv.FailCall(2, driver.OutOfMemory)
	d, err := drv.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.NewStream(); !driver.IsOutOfMemory(err) {
		t.Errorf("second call = %v, want the failure asked for", err)
	}
	s, err := d.NewStream()
	if err != nil {
		t.Errorf("third call = %v, want none", err)
	}
	if n := drv.Calls(); n != 3 {
		t.Errorf("Calls = %d, want 3", n)
	}
	if d.DestroyStream(s) != nil || d.Close() != nil {
		t.Error("closing fails")
	}
}

func TestConcurrentStreams(t *testing.T) {
	drv := New(Options{})
	d, err := drv.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, _ := d.NewStream()
			p, _ := d.Alloc(256)
			got := make([]byte, 256)
			for range 50 {
				d.Set8(p, byte(i), 256, s)
				d.Download(got, p, s)
				d.SyncStream(s)
			}
			if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 256)) {
				t.Errorf("stream %d read %v", i, got[:4])
			}
			d.Free(p)
			d.DestroyStream(s)
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
