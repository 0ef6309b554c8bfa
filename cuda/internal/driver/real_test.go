//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// insideEnv tells the process of the test that its driver is the one of testdata.
const insideEnv = "SAINT_TEST_CUDA_DRIVER"

// The binding is tried on a driver of our own, in a process that finds it under the real one's name.
func TestBinding(t *testing.T) {
	if os.Getenv(insideEnv) != "" {
		bindingWorks(t)
		return
	}
	dir := t.TempDir()
	wheel := filepath.Join(dir, "nvidia", "cublas", "lib") // as Python packages lay them out
	if err := os.MkdirAll(wheel, 0o755); err != nil {
		t.Fatal(err)
	}
	for source, to := range map[string]string{"driver.c": filepath.Join(dir, "libcuda.so.1"), "cublas.c": filepath.Join(wheel, "libcublas.so.12"), "nccl.c": filepath.Join(dir, "libnccl.so.2")} {
		cc := exec.Command("gcc", "-O1", "-shared", "-fPIC", "-o", to, filepath.Join("testdata", source))
		if out, err := cc.CombinedOutput(); err != nil {
			t.Skipf("no C compiler: %v\n%s", err, out)
		}
	}
	again := exec.Command(os.Args[0], "-test.run", "^TestBinding$", "-test.v")
	again.Env = append(os.Environ(), insideEnv+"=1", "LD_LIBRARY_PATH="+dir, "SAINT_CUDA_LIBS="+filepath.Join(dir, "nvidia"))
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestNoDriver(t *testing.T) {
	_, err := Open()
	if err == nil {
		t.Skip("there is a driver")
	}
	if text := err.Error(); !strings.Contains(text, "libcuda.so.1") || strings.Contains(text, "\n") {
		t.Errorf("Open = %q, want one line that names the library", text)
	}
}

func bindingWorks(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	drv, err := Open()
	must(err)
	if n, err := drv.Devices(); n != 1 || err != nil || drv.Version() != 12040 {
		t.Errorf("Devices = %d, %v, Version = %d", n, err, drv.Version())
	}
	if _, err := drv.Open(1); !hasCode(err, InvalidDevice) {
		t.Errorf("Open(1) = %v, want an invalid device", err)
	}
	d, err := drv.Open(0)
	must(err)
	if p := d.Properties(); p.Name != "test device" || p.Major != 9 || p.TotalBytes != 1<<30 || p.SMs != 16 || p.MemoryPools || p.SharedOptIn != 97 || p.ClockKHz != 0 || p.MemoryBusBits != 37 {
		t.Errorf("Properties = %+v", p)
	}
	if free, total, err := d.MemInfo(); free != 5 || total != 9 || err != nil {
		t.Errorf("MemInfo = %d, %d, %v", free, total, err)
	}
	if _, err := d.Alloc(2 << 20); !IsOutOfMemory(err) || !strings.Contains(err.Error(), "cuMemAlloc: some error (CUDA error 2)") {
		t.Errorf("Alloc of too much = %v", err)
	}
	if _, err := d.LoadModule(".version 99"); err == nil || err.Error() != "cuModuleLoadDataEx: some error: ptxas fatal: no such version (CUDA error 218)" {
		t.Errorf("LoadModule of what the compiler refuses = %v", err)
	}
	m, err := d.LoadModule(".version 8.0")
	must(err)
	if _, err := d.Function(m, "sub"); !hasCode(err, NotFound) {
		t.Errorf("Function of an unknown name = %v", err)
	}
	f, err := d.Function(m, "add")
	must(err)
	if info, err := d.FunctionInfo(f); err != nil || info.Registers != 4 || info.MaxThreads != 0 {
		t.Errorf("FunctionInfo = %+v, %v", info, err)
	}
	must(d.SetMaxDynamicShared(f, 65536))
	var wg sync.WaitGroup
	for i := range 4 { // the context is current in no new thread
		wg.Go(func() {
			runtime.LockOSThread()
			launches(t, d, f, uint32(i))
		})
	}
	wg.Wait()
	captures(t, d, f)
	keepOut(t, d, f)
	multiplies(t, d)
	exchanges(t, d)
	// What the driver lacks is an error, not a crash.
	s, err := d.NewStream()
	must(err)
	if _, err := d.AllocAsync(8, s); !hasCode(err, NotFound) {
		t.Errorf("AllocAsync on a driver without = %v, want not found", err)
	}
	e, err := d.NewEvent(false)
	must(err)
	must(d.Record(e, s))
	if done, err := d.Done(e); done || err != nil {
		t.Errorf("Done = %t, %v, want false", done, err)
	}
	must(d.DestroyEvent(e))
	must(d.DestroyStream(s))
	must(d.UnloadModule(m))
	must(d.Sync())
	must(d.Close())
}

// launches adds numbers on a stream of its own.
func launches(t *testing.T, d Device, f Function, v uint32) {
	s, err1 := d.NewStream()
	p, err2 := d.Alloc(16)
	b, err3 := d.AllocHost(4)
	err := errors.Join(err1, err2, err3, d.Set32(p, v, 1, s))
	g := Geometry{Grid: Dim3{2, 3, 4}, Block: Dim3{5, 6, 7}, Shared: 8}
	for range 10 {
		err = errors.Join(err, d.Launch(f, g, s, []uint64{uint64(p), 1<<40 + 3}))
	}
	err = errors.Join(err, d.Download(b, p, s), d.SyncStream(s))
	if want := byte(30 + v); err == nil && b[0] != want {
		t.Errorf("%d, want %d", b[0], want)
	}
	if err = errors.Join(err, d.FreeHost(b), d.Free(p), d.DestroyStream(s)); err != nil {
		t.Error(err)
	}
}

// captures adds numbers by a graph, which is then made to add others.
func captures(t *testing.T, d Device, f Function) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // the driver of tests captures what the thread does
	defer runtime.UnlockOSThread()
	s, err := d.NewStream()
	must(err)
	p, err := d.Alloc(4)
	must(err)
	must(d.Set32(p, 0, 1, s))
	g := Geometry{Grid: Dim3{2, 3, 4}, Block: Dim3{5, 6, 7}, Shared: 8}
	capture := func(values ...uint64) Graph {
		t.Helper()
		must(d.BeginCapture(s))
		for _, v := range values {
			must(d.Launch(f, g, s, []uint64{uint64(p), v}))
		}
		graph, err := d.EndCapture(s)
		must(err)
		return graph
	}
	first, second, other := capture(1, 2), capture(10, 20), capture(5)
	if n, err := d.Nodes(first); n != 2 || err != nil {
		t.Errorf("Nodes = %d, %v, want 2", n, err)
	}
	x, err := d.Instantiate(first)
	must(err)
	must(d.LaunchGraph(x, s))
	if done, err := d.UpdateGraph(x, other); done || err != nil {
		t.Errorf("UpdateGraph with other nodes = %t, %v, want false", done, err)
	}
	if done, err := d.UpdateGraph(x, second); !done || err != nil {
		t.Errorf("UpdateGraph = %t, %v, want true", done, err)
	}
	must(d.LaunchGraph(x, s))
	b := make([]byte, 4)
	must(errors.Join(d.Download(b, p, s), d.SyncStream(s)))
	if b[0] != 33 {
		t.Errorf("%d after two launches, want 33", b[0])
	}
	must(d.BeginCapture(s))
	if on, err := d.Capturing(s); !on || err != nil {
		t.Errorf("Capturing = %t, %v, want true", on, err)
	}
	empty, err := d.EndCapture(s)
	must(errors.Join(err, d.DestroyGraph(empty)))
	if on, err := d.Capturing(s); on || err != nil {
		t.Errorf("Capturing after EndCapture = %t, %v, want false", on, err)
	}
	if _, err := d.EndCapture(s); !hasCode(err, IllegalState) {
		t.Errorf("EndCapture without a capture = %v, want error %d", err, IllegalState)
	}
	must(errors.Join(d.DestroyGraph(first), d.DestroyGraph(second), d.DestroyGraph(other), d.DestroyExecutable(x), d.Free(p), d.DestroyStream(s)))
}

// keepOut makes calls that take memory or load code while an exchange is being queued: they wait for its end.
func keepOut(t *testing.T, d Device, f Function) {
	waits := func(call string, do func() error) {
		t.Helper()
		done := make(chan error, 1)
		exchanging.Lock()
		go func() { done <- do() }()
		select {
		case err := <-done:
			exchanging.Unlock()
			t.Errorf("%s comes between the launches of an exchange (%v)", call, err)
		case <-time.After(5 * time.Millisecond):
			exchanging.Unlock()
			if err := <-done; err != nil {
				t.Errorf("%s after an exchange: %v", call, err)
			}
		}
	}
	var (
		mem      Ptr
		locked   []byte
		m        Module
		x        Executable
		products Products
	)
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	waits("Alloc", func() (err error) { mem, err = d.Alloc(4096); return err })
	waits("AllocHost", func() (err error) { locked, err = d.AllocHost(8); return err })
	waits("LoadModule", func() (err error) { m, err = d.LoadModule(".version 8.0"); return err })
	waits("Function", func() error { _, err := d.Function(m, "add"); return err })
	g := captured(t, d, f, s, mem)
	waits("Instantiate", func() (err error) { x, err = d.Instantiate(g); return err })
	waits("UpdateGraph", func() error { _, err := d.UpdateGraph(x, g); return err })
	waits("LaunchGraph", func() error { return d.LaunchGraph(x, s) })
	waits("DestroyExecutable", func() error { return d.DestroyExecutable(x) })
	waits("NewProducts", func() (err error) { products, err = d.(Multiplier).NewProducts(); return err })
	waits("Use", func() error { return products.Use(s, mem+1024, 2048) })
	waits("Gemm", func() error {
		return products.Gemm(&Product{M: 1, N: 1, K: 1, A: mem, B: mem, C: mem, LDA: 1, LDB: 1, LDC: 1})
	})
	waits("Close of products", func() error { return products.Close() })
	waits("UnloadModule", func() error { return d.UnloadModule(m) })
	waits("FreeHost", func() error { return d.FreeHost(locked) })
	waits("Free", func() error { return d.Free(mem) })
	if err := errors.Join(d.DestroyGraph(g), d.DestroyStream(s)); err != nil {
		t.Error(err)
	}
}

// captured returns a graph of one launch.
func captured(t *testing.T, d Device, f Function, s Stream, to Ptr) Graph {
	t.Helper()
	runtime.LockOSThread() // the driver of tests captures what the thread does
	defer runtime.UnlockOSThread()
	geometry := Geometry{Grid: Dim3{2, 3, 4}, Block: Dim3{5, 6, 7}, Shared: 8}
	err := errors.Join(d.BeginCapture(s), d.Launch(f, geometry, s, []uint64{uint64(to), 1}))
	g, err2 := d.EndCapture(s)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return g
}

// multiplies tries the library of dense products: transposed, padded, as bfloat16.
func multiplies(t *testing.T, d Device) {
	p, err := d.(Multiplier).NewProducts()
	if err != nil {
		t.Fatal(err)
	}
	if p.Library() != "libcublas.so.12 12.4.5" {
		t.Errorf("Library() = %q", p.Library())
	}
	s, err1 := d.NewStream()
	mem, err2 := d.Alloc(4096)
	if err := errors.Join(err1, err2, p.Use(s, mem+1024, 2048)); err != nil {
		t.Fatal(err)
	}
	// a is 2x3 in columns of 4, b is 3x2 given as its transpose in columns of 2.
	a, b := []float32{1, 2, 0, 0, 3, 4, 0, 0, 5, 6, 0, 0}, []float32{1, 10, 2, 20, 3, 30}
	var brain []byte
	for _, v := range append(append([]float32{}, a...), b...) {
		brain = binary.LittleEndian.AppendUint16(brain, uint16(math.Float32bits(v)>>16))
	}
	var single []byte
	for _, v := range append(append([]float32{}, a...), b...) {
		single = binary.LittleEndian.AppendUint32(single, math.Float32bits(v))
	}
	out := make([]byte, 16)
	for _, c := range []struct {
		elements Element
		bytes    []byte
		size     Ptr
	}{{SingleElement, single, 4}, {TensorElement, single, 4}, {BrainElement, brain, 2}} {
		g := &Product{TransB: true, Elements: c.elements, M: 2, N: 2, K: 3, Alpha: 2, Beta: 0, A: mem, B: mem + 12*c.size, C: mem + 512, LDA: 4, LDB: 2, LDC: 2}
		if err := errors.Join(d.Upload(mem, c.bytes, s), p.Gemm(g), d.Download(out, mem+512, s), d.SyncStream(s)); err != nil {
			t.Fatal(err)
		}
		for i, want := range []float32{44, 56, 440, 560} {
			if got := math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:])); got != want {
				t.Errorf("elements %d: c[%d] = %g, want %g", c.elements, i, got, want)
			}
		}
	}
	if err := p.Gemm(&Product{M: 2, N: 2, K: 3, A: mem, B: mem, C: mem, LDA: 1, LDB: 3, LDC: 2}); err == nil ||
		!strings.Contains(err.Error(), "cublasGemmEx: the library does not like an argument (status 7)") {
		t.Errorf("Gemm with a wrong leading dimension = %v", err)
	}
	g := &Product{M: 1, N: 1, K: 1, A: mem, B: mem, C: mem, LDA: 1, LDB: 1, LDC: 1}
	if n := testing.AllocsPerRun(10, func() { _ = p.Gemm(g) }); n > 0 {
		t.Errorf("Gemm allocates %g objects", n)
	}
	if err := errors.Join(p.Close(), d.Free(mem), d.DestroyStream(s)); err != nil {
		t.Error(err)
	}
}

// exchanges tries the library of sums over devices; the one of tests takes a device twice.
func exchanges(t *testing.T, d Device) {
	c, err := d.(Joiner).Join([]Device{d, d})
	if err != nil {
		t.Fatal(err)
	}
	if c.Library() != "libnccl.so.2 2.19.3" {
		t.Errorf("Library() = %q", c.Library())
	}
	s, err1 := d.NewStream()
	mem, err2 := d.Alloc(64)
	host := make([]byte, 16)
	for i := range 4 {
		binary.LittleEndian.PutUint32(host[4*i:], math.Float32bits(float32(i+1)))
	}
	at, streams := [][]Ptr{{mem, mem + 4}, {mem + 8, mem + 12}}, []Stream{s, s}
	want := func(what string, values ...float32) {
		t.Helper()
		if err := errors.Join(d.Download(host, mem, s), d.SyncStream(s)); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if got := math.Float32frombits(binary.LittleEndian.Uint32(host[4*i:])); got != v {
				t.Errorf("%s: element %d = %g, want %g", what, i, got, v)
			}
		}
	}
	if err := errors.Join(err1, err2, d.Upload(mem, host, s), c.Reduce(at, []int{1, 1}, streams), c.Failed()); err != nil {
		t.Fatal(err)
	}
	want("Reduce", 4, 6, 3, 4)
	if err := c.Broadcast(at, []int{1, 1}, streams); err != nil {
		t.Fatal(err)
	}
	want("Broadcast", 4, 6, 4, 6)
	if err := c.Reduce(at, []int{1, 1}, []Stream{0, 0}); err == nil || !strings.Contains(err.Error(), "ncclReduce: the library is used wrongly (result 5)") {
		t.Errorf("Reduce without streams = %v", err)
	}
	if err := errors.Join(c.Reduce([][]Ptr{nil, nil}, nil, streams), c.Close(), d.Free(mem), d.DestroyStream(s)); err != nil {
		t.Error(err)
	}
	if again, err := d.(Joiner).Join([]Device{d}); err != nil || again.Abort() != nil {
		t.Errorf("Join, Abort = %v", err)
	}
}
