package cuda

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

// hardwareEnv has these tests run: "gpu" on GPU 0 (a machine without one fails them), "fake" on the
// driver of tests, to try the tests themselves.
const hardwareEnv = "SAINT_TEST_GPU"

// hardware opens the GPU, or skips the test.
func hardware(t testing.TB, o tensor.Options) *Backend {
	t.Helper()
	switch os.Getenv(hardwareEnv) {
	case "":
		t.Skip("set " + hardwareEnv + "=gpu to run on a GPU: see make test-cuda")
	case "fake":
		b, err := openOn(fakeGPUs(o.Threads), o.Device)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 20
		return b
	}
	drv, err := driver.Open()
	if err != nil {
		t.Fatalf("no GPU: %v", err)
	}
	contexts.Do(func() { _, _ = drv.Open(0) }) // what is wrong with it openOn tells
	b, err := openOn(drv, o.Device)
	if err != nil {
		t.Fatalf("no GPU: %v", err)
	}
	return b
}

// contexts keeps GPU 0's context from being destroyed, and made anew, between tests.
var contexts sync.Once

// fakeGPUs is the driver of tests with everything that machines may have, one for each number of
// workers.
func fakeGPUs(workers int) *fake.Driver {
	drv, _ := fakeDrivers.LoadOrStore(workers, fake.New(fake.Options{Workers: workers, Devices: 2, Library: true, Collective: true}))
	return drv.(*fake.Driver)
}

var fakeDrivers sync.Map

// withLibrary opens GPU 0 with cuBLAS, or skips the test.
func withLibrary(t testing.TB, o tensor.Options, mode tensor.Matmul) *Backend {
	t.Helper()
	b := hardware(t, o)
	b.useLibrary(mode)
	text, missing := b.Matmul()
	if missing != nil {
		b.Close()
		t.Skipf("no cuBLAS: %v", missing)
	}
	t.Log(text)
	return b
}

// small reports whether operations are interpreted.
func small() bool { return os.Getenv(hardwareEnv) == "fake" }

func TestHardwareConformance(t *testing.T) {
	if err := hardware(t, tensor.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	run := tensortest.Run
	if small() {
		run = tensortest.RunSlow
	}
	t.Run("own", func(t *testing.T) {
		run(t, func(o tensor.Options) (tensor.Backend, error) { return hardware(t, o), nil })
	})
	t.Run("cublas", func(t *testing.T) {
		withLibrary(t, tensor.Options{}, tensor.MatmulFP32).Close()
		run(t, func(o tensor.Options) (tensor.Backend, error) { return withLibrary(t, o, tensor.MatmulFP32), nil })
	})
}

// TestHardwareProducts compares products of cuBLAS with the CPU's, in every precision and layout, twice.
func TestHardwareProducts(t *testing.T) {
	for mode, eps := range map[tensor.Matmul]float64{tensor.MatmulFP32: 1e-6, tensor.MatmulTF32: 1.0 / (1 << 10), tensor.MatmulBF16: 1.0 / (1 << 7)} {
		t.Run(mode.String(), func(t *testing.T) {
			b := withLibrary(t, tensor.Options{}, mode)
			text, _ := b.Matmul()
			fmt.Println("NOTE Dense products: " + text + ".")
			r := newRig(t, b)
			host := newRig(t, cpuRigBackend(t))
			shapes := [][3]int{{1, 1, 1}, {3, 5, 7}, {33, 17, 8}, {64, 24, 41}}
			if !small() {
				shapes = append(shapes, [][3]int{{1000, 256, 500}, {500, 256, 8000}, {8000, 7, 256}, {4097, 129, 1025}}...)
			}
			for _, s := range shapes {
				for v := range 8 {
					products(t, r, host, s, v, eps)
				}
			}
		})
	}
}

// products compares one product in a layout with the CPU's, and with itself.
func products(t *testing.T, r, host *rig, s [3]int, v int, eps float64) {
	t.Helper()
	transA, transB, beta := v&1 != 0, v&2 != 0, float32(v>>2)/2
	calculate := func(r *rig) []float32 {
		a, b, c := factors(r, rand.New(rand.NewPCG(1, uint64(v))), transA, transB, s[0], s[1], s[2])
		r.q.Gemm(transA, transB, 0.5, a, b, beta, c)
		got := f32s(r, c)
		r.a.Reset()
		return got
	}
	got, again, want := calculate(r), calculate(r), calculate(host)
	if !slices.Equal(got, again) {
		t.Errorf("%v, transposed %t, %t: a second product has other bits", s, transA, transB)
	}
	for i := range got {
		// Each of k products is off by at most twice the rounding of a factor.
		if d := math.Abs(float64(got[i] - want[i])); d > 16*eps*math.Sqrt(float64(s[2])) {
			t.Fatalf("%v, transposed %t, %t, beta %g: element %d = %g, want %g", s, transA, transB, beta, i, got[i], want[i])
		}
	}
}

// TestHardwareTogether trains on two GPUs and on one that accumulates the same subgraphs.
func TestHardwareTogether(t *testing.T) {
	hardware(t, tensor.Options{Device: 1}).Close()
	c := trainings[0]
	d, phases := graph(t, c.multi), "end: 10; sampler: rw; num_root: 8; depth: 2"
	if small() {
		phases = "end: 1; sampler: rw; num_root: 20; depth: 1"
	}
	run := func(devices int) history {
		o := trainer.Options{Data: d, Config: parse(t, c.network, c.params+"; accumulate: 2", phases), Seed: 1, Workers: 1, EvalTrainEvery: 1, Log: slog.New(slog.NewTextHandler(os.Stdout, nil))}
		var h history
		for i := range devices {
			b := hardware(t, tensor.Options{Device: i})
			defer b.Close()
			if i == 0 {
				o.Backend = b
			} else {
				o.Others = append(o.Others, b)
			}
		}
		o.OnStep = func(s trainer.StepReport) { h.losses = append(h.losses, s.Loss) }
		o.OnEpoch = func(e trainer.Epoch) error { h.epochs = append(h.epochs, e); return nil }
		var err error
		if h.result, err = trainer.Train(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		return h
	}
	one, two, again := run(1), run(2), run(2)
	two.compare(t, one)
	if !slices.Equal(two.losses, again.losses) {
		t.Errorf("losses of a second run differ: %v, %v", two.losses, again.losses)
	}
}

// TestHardwareTraining trains every kind of network on the GPU and on the CPU.
func TestHardwareTraining(t *testing.T) {
	t.Run("own", func(t *testing.T) { trainAll(t, hardware(t, tensor.Options{})) })
	t.Run("cublas", func(t *testing.T) { trainAll(t, withLibrary(t, tensor.Options{}, tensor.MatmulFP32)) })
}

func trainAll(t *testing.T, b *Backend) {
	defer b.Close()
	t.Log(b.Device())
	for _, c := range trainings {
		t.Run(c.name, func(t *testing.T) {
			d, phases := graph(t, c.multi), "end: 15; sampler: rw; num_root: 8; depth: 2 | end: 20; sampler: full_batch"
			switch {
			case small():
				phases = "end: 1; sampler: rw; num_root: 20; depth: 1"
			case testing.Short(): // beside a tool that checks every access
				phases = "end: 2; sampler: rw; num_root: 8; depth: 2 | end: 4; sampler: full_batch"
			}
			want := train(t, cpuBackend(t), d, parse(t, c.network, c.params, phases))
			got := train(t, b, d, parse(t, c.network, c.params, phases))
			got.compare(t, want)
			again := train(t, b, d, parse(t, c.network, c.params, phases))
			if !slices.Equal(again.losses, got.losses) {
				t.Errorf("losses of a second run differ: %v, %v", again.losses, got.losses)
			}
		})
	}
}

// TestHardwareSpeed prints what share of the GPU's bandwidth operations reach, as lines of a table.
func TestHardwareSpeed(t *testing.T) {
	b := hardware(t, tensor.Options{})
	r := newRig(t, b)
	rows, cols, degree, times := 400_000, 256, 15, 20
	if small() {
		rows, cols, times = 40, 16, 1
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	x, y, z, w := r.a.Alloc(tensor.F32, rows, cols), r.a.Alloc(tensor.F32, rows, cols), r.a.Alloc(tensor.F32, rows, cols), r.a.Alloc(tensor.F32, rows, cols)
	row := r.a.Alloc(tensor.F32, 1, cols)
	mean, rstd := r.a.Alloc(tensor.F32, rows, 1), r.a.Alloc(tensor.F32, rows, 1)
	weight, norm := r.a.Alloc(tensor.F32, cols, cols), r.a.Alloc(tensor.F32, 1, 1)
	for _, m := range []tensor.Tensor{x, y, z, w, row, weight, norm} {
		r.q.Fill(0.5, m)
	}
	indptr, indices := make([]int32, rows+1), make([]int32, rows*degree)
	for i := range rows {
		indptr[i+1] = int32((i + 1) * degree)
	}
	for i := range indices {
		indices[i] = int32(rnd.IntN(rows))
	}
	csr := &tensor.CSR{
		Rows: rows, Cols: rows, Indptr: r.a.Alloc(tensor.I32, rows+1, 1),
		Indices: r.a.Alloc(tensor.I32, len(indices), 1), Values: r.a.Alloc(tensor.F32, len(indices), 1),
	}
	r.q.Upload(raw(indptr), csr.Indptr)
	r.q.Upload(raw(indices), csr.Indices)
	r.q.Fill(1, csr.Values)
	matrix := float64(4 * rows * cols)
	peak := bandwidth()
	for _, c := range []struct {
		name         string
		bytes, flops float64
		call         func()
	}{
		{"Axpby", 3 * matrix, 0, func() { r.q.Axpby(0.5, x, 0.5, y) }},
		{"Dropout", 2 * matrix, 0, func() { r.q.Dropout(0.1, tensor.RandKey{Seed: 1}, x, y) }},
		{"BiasActNorm", 2 * matrix, 0, func() { r.q.BiasActNorm(tensor.ReLU, row, row, row, x, tensor.Drop{}, y, mean, rstd) }},
		{"Adam", 7 * matrix, 0, func() {
			r.q.Adam(tensor.AdamStep{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Corr1: 0.1, Corr2: 0.001}, norm, x, y, z, w)
		}},
		{"SpMM, 15 random neighbours", matrix * float64(degree+1), 0, func() { r.q.SpMM(1, csr, x, 0, y) }},
		{"Gemm, 256 by 256", 2 * matrix, 2 * float64(rows) * float64(cols) * float64(cols), func() { r.q.Gemm(false, false, 1, x, weight, 0, y) }},
	} {
		c.call()
		if err := r.q.Sync(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		begin := time.Now()
		for range times {
			c.call()
		}
		if err := r.q.Sync(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		each := time.Since(begin).Seconds() / float64(times)
		line := fmt.Sprintf("| %s | %.3f | %.0f |", c.name, each*1e3, c.bytes/each/1e9)
		if peak > 0 {
			line += fmt.Sprintf(" %.0f %% |", 100*c.bytes/each/peak)
		} else {
			line += " |"
		}
		if c.flops > 0 {
			line += fmt.Sprintf(" %.0f |", c.flops/each/1e9)
		} else {
			line += " |"
		}
		fmt.Println("TABLE " + line)
	}
}

// bandwidth returns what the driver says of GPU 0's memory, in bytes a second; 0 where it says nothing.
func bandwidth() float64 {
	m, err := Devices()
	if err != nil || len(m.GPUs) == 0 {
		return 0
	}
	return m.GPUs[0].Bandwidth
}
