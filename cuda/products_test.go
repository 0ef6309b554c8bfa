package cuda

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

// libraryBackend is a backend on a driver with the library of dense products.
func libraryBackend(t testing.TB, drv *fake.Driver, mode tensor.Matmul) *Backend {
	t.Helper()
	b, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 16
	b.useLibrary(mode)
	return b
}

// factors are matrices of a product on a rig, as views of wider ones where their columns are odd.
func factors(r *rig, rnd *rand.Rand, transA, transB bool, m, n, k int) (a, b, c tensor.Tensor) {
	matrix := func(rows, cols int) tensor.Tensor { return put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)) }
	turned := func(transposed bool, rows, cols int) tensor.Tensor {
		if transposed {
			rows, cols = cols, rows
		}
		return matrix(rows, cols)
	}
	return turned(transA, m, k), turned(transB, k, n), matrix(m, n)
}

// Products of the library are those of the CPU, to the precision of their factors.
func TestLibraryProducts(t *testing.T) {
	for mode, eps := range map[tensor.Matmul]float64{tensor.MatmulFP32: 1e-6, tensor.MatmulTF32: 1.0 / (1 << 10), tensor.MatmulBF16: 1.0 / (1 << 7)} {
		t.Run(mode.String(), func(t *testing.T) {
			r := newRig(t, libraryBackend(t, fake.New(fake.Options{Library: true}), mode))
			host := newRig(t, cpuRigBackend(t))
			for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {1, 9, 4}, {16, 1, 33}, {33, 17, 8}, {64, 24, 41}} {
				for v := range 8 {
					transA, transB, beta := v&1 != 0, v&2 != 0, float32(v>>2)/2
					m, n, k := s[0], s[1], s[2]
					a, b, c := factors(r, rand.New(rand.NewPCG(1, uint64(v))), transA, transB, m, n, k)
					ha, hb, hc := factors(host, rand.New(rand.NewPCG(1, uint64(v))), transA, transB, m, n, k)
					r.q.Gemm(transA, transB, 0.5, a, b, beta, c)
					host.q.Gemm(transA, transB, 0.5, ha, hb, beta, hc)
					got, want := f32s(r, c), f32s(host, hc)
					for i := range got {
						// Each of k products is off by at most twice the rounding of a factor.
						if d := math.Abs(float64(got[i] - want[i])); d > 16*eps*math.Sqrt(float64(k)) {
							t.Fatalf("%dx%dx%d, transposed %t, %t, beta %g: element %d = %g, want %g", m, n, k, transA, transB, beta, i, got[i], want[i])
						}
					}
				}
			}
		})
	}
}

func cpuRigBackend(t testing.TB) tensor.Backend {
	b, err := tensor.Open("cpu", tensor.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The contract of backends, as far as it is about products, holds with the library, too.
func TestLibraryConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted, which takes long under the race detector")
	}
	t.Parallel()
	open := func(o tensor.Options) (tensor.Backend, error) {
		return libraryBackend(t, fake.New(fake.Options{Library: true, Workers: o.Threads}), tensor.MatmulFP32), nil
	}
	tensortest.RunOps(t, open, "Gemm") // the others are those of the backend without the library
}

// Rounding to bfloat16 is to the nearest, ties to even, with NaN and infinities kept.
func TestToBrain(t *testing.T) {
	r := newRig(t, libraryBackend(t, fake.New(fake.Options{Library: true}), tensor.MatmulBF16))
	bits := []uint32{
		0, 0x80000000, 0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f800000, 0xff800000,
		0x7f7fffff, 0x7f800001, 0xffc00000, 1, 0x00008000, 0x00018000,
	}
	one := put(r, tensor.F32, 1, 1, []float32{1})
	for _, u := range bits {
		x := put(r, tensor.F32, 1, 1, []float32{math.Float32frombits(u)})
		y := r.a.Alloc(tensor.F32, 1, 1)
		r.q.Gemm(false, false, 1, x, one, 0, y)
		got := math.Float32bits(f32s(r, y)[0])
		want := (u + 0x7fff + u>>16&1) &^ 0xffff
		if v := math.Float32frombits(u); v != v {
			if g := math.Float32frombits(got); g == g {
				t.Errorf("%#08x becomes %#08x, want a NaN", u, got)
			}
			continue
		}
		if want == 0x80000000 {
			want = 0 // 0 + -0 in the sum
		}
		if got != want {
			t.Errorf("%#08x becomes %#08x, want %#08x", u, got, want)
		}
	}
}

// Without the library the kernels that ship multiply, and the backend says why.
func TestNoLibrary(t *testing.T) {
	b := libraryBackend(t, fake.New(fake.Options{}), tensor.MatmulTF32)
	defer b.Close()
	text, missing := b.Matmul()
	if text != "own kernels, fp32" || !errors.Is(missing, driver.ErrNoLibrary) {
		t.Errorf("Matmul() = %q, %v", text, missing)
	}
	if mode, err := possible(driver.Properties{Major: 7, Minor: 5}, tensor.MatmulBF16); mode != tensor.MatmulFP32 || err == nil {
		t.Errorf("a GPU without bfloat16 multiplies in %s, %v", mode, err)
	}
	with := libraryBackend(t, fake.New(fake.Options{Library: true}), tensor.MatmulTF32)
	defer with.Close()
	if text, missing := with.Matmul(); text != "libcublas.so.12 12.0.0, tf32" || missing != nil {
		t.Errorf("Matmul() = %q, %v", text, missing)
	}
}

// productSession multiplies on two queues in turn, in every way, and closes what it opened.
func productSession(drv *fake.Driver) (err, closing error) {
	b, err := openOn(drv, 0)
	if err != nil {
		return err, nil
	}
	defer func() { closing = errors.Join(closing, b.Close()) }()
	b.part = 1 << 12
	b.useLibrary(tensor.MatmulBF16)
	if _, missing := b.Matmul(); missing != nil {
		return missing, nil
	}
	a, err := b.NewArena()
	if err != nil {
		return err, nil
	}
	defer func() { closing = errors.Join(closing, a.Close()) }()
	for range 2 {
		q, err := b.NewQueue()
		if err != nil {
			return err, closing
		}
		x, y := a.Alloc(tensor.F32, 9, 7), a.Alloc(tensor.F32, 7, 7)
		q.Fill(1, x)
		q.Gemm(true, false, 1, x, x, 0, y)
		out := make([]float32, 49)
		q.Download(y, raw(out))
		err = errors.Join(a.Err(), q.Sync())
		if err == nil && out[48] != 9 {
			err = fmt.Errorf("the product is %g, want 9", out[48])
		}
		closing = errors.Join(closing, q.Close())
		if err != nil {
			return err, closing
		}
	}
	return nil, closing
}

// Every call fails in turn, those of the library as well.
func TestEveryProductCallFails(t *testing.T) {
	drv := fake.New(fake.Options{Library: true})
	if err, closing := productSession(drv); err != nil || closing != nil {
		t.Fatalf("without a failure: %v, %v", err, closing)
	}
	for k := 1; k <= drv.Calls(); k++ {
		d := fake.New(fake.Options{Library: true})
		d.FailCall(k, driver.IllegalAddress)
		err, closing := productSession(d)
		var e *driver.Error
		if all := errors.Join(err, closing); !errors.As(all, &e) || e.Code != driver.IllegalAddress {
			t.Errorf("call %d fails, but the session returned %v", k, all)
		}
	}
}

// Training with every precision of products repeats itself, and ends near the CPU's.
func TestLibraryTraining(t *testing.T) {
	t.Parallel()
	d := graph(t, false)
	phases := "end: 2; sampler: rw; num_root: 8; depth: 2"
	if testing.Short() {
		phases = "end: 1; sampler: full_batch"
	}
	network, params := "dim: 8; arch: '1-1-0'; act: relu; bias: bias; loss: softmax", "lr: 0.01; dropout: 0.2"
	want := train(t, cpuBackend(t), d, parse(t, network, params, phases))
	for mode, most := range map[tensor.Matmul]float64{tensor.MatmulFP32: 1e-4, tensor.MatmulTF32: 5e-3, tensor.MatmulBF16: 4e-2} {
		if testing.Short() && mode != tensor.MatmulBF16 {
			continue
		}
		runs := [2]history{}
		for i := range runs {
			b := libraryBackend(t, fake.New(fake.Options{Workers: 1, Library: true}), mode)
			runs[i] = train(t, b, d, parse(t, network, params, phases))
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(runs[0].losses, runs[1].losses) {
			t.Errorf("%s: losses of a second run differ: %v, %v", mode, runs[0].losses, runs[1].losses)
		}
		for i, l := range runs[0].losses {
			if w := want.losses[i]; math.Abs(l-w) > most*max(1, math.Abs(w)) {
				t.Errorf("%s: loss of step %d = %.7g, the CPU's is %.7g", mode, i, l, w)
			}
		}
	}
}

// What a GPU can do is measured and computed, and nothing is left of it.
func TestLimits(t *testing.T) {
	b := fakeBackend(t, fake.Options{Library: true, Memory: 1 << 24}) // copies take a share of it
	b.useLibrary(tensor.MatmulFP32)
	held := b.held.Load()
	l, err := b.Limits()
	if err != nil || l.CopyBytes <= 0 || b.held.Load() != held {
		t.Errorf("Limits = %+v, %v, with %d bytes held, %d before", l, err, b.held.Load(), held)
	}
	h100 := driver.Properties{Major: 9, SMs: 132, ClockKHz: 1_830_000}
	for m, want := range map[tensor.Matmul]float64{tensor.MatmulFP32: 61.8e12, tensor.MatmulTF32: 494.7e12, tensor.MatmulBF16: 989.4e12} {
		if got := flops(h100, m); math.Abs(got-want) > 0.01*want {
			t.Errorf("%s on 132 multiprocessors of 1.83 GHz: %g, want %g", m, got, want)
		}
	}
	r := newRig(t, libraryBackend(t, fake.New(fake.Options{Library: true}), tensor.MatmulFP32))
	own := r.b.(*Backend)
	x := r.a.Alloc(tensor.F32, 8, 8)
	r.q.Fill(1, x)
	own.StartProfile()
	r.q.Fill(1, x)
	r.q.Gemm(false, true, 1, x, x, 0, r.a.Alloc(tensor.F32, 8, 8))
	p, err := own.EndProfile()
	if err != nil || p.Launches != 2 || p.Seconds <= 0 {
		t.Errorf("profile %+v, %v, want 2 launches", p, err)
	}
}
