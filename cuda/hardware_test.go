package cuda

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/fake"
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
		b, err := openOn(fake.New(fake.Options{Workers: o.Threads}), 0)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 20
		return b
	}
	b, err := Open(tensor.Options{})
	if err != nil {
		t.Fatalf("no GPU: %v", err)
	}
	return b.(*Backend)
}

// small reports whether operations are interpreted.
func small() bool { return os.Getenv(hardwareEnv) == "fake" }

func TestHardwareConformance(t *testing.T) {
	if err := hardware(t, tensor.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	open := func(o tensor.Options) (tensor.Backend, error) { return hardware(t, o), nil }
	if small() {
		tensortest.RunSlow(t, open)
		return
	}
	tensortest.Run(t, open)
}

// TestHardwareTraining trains every kind of network on the GPU and on the CPU.
func TestHardwareTraining(t *testing.T) {
	b := hardware(t, tensor.Options{})
	defer b.Close()
	t.Log(b.Device())
	for _, c := range trainings {
		t.Run(c.name, func(t *testing.T) {
			d, phases := graph(t, c.multi), "end: 15; sampler: rw; num_root: 8; depth: 2 | end: 20; sampler: full_batch"
			if small() {
				phases = "end: 1; sampler: rw; num_root: 20; depth: 1"
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
