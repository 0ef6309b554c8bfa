package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// rig is a queue and an arena of some backend.
type rig struct {
	t testing.TB
	b tensor.Backend
	q tensor.Queue
	a tensor.Arena
}

func newRig(t testing.TB, b tensor.Backend) *rig {
	t.Helper()
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range []error{q.Close(), a.Close(), b.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return &rig{t, b, q, a}
}

func fakeRig(t testing.TB, o fake.Options) *rig {
	t.Helper()
	b, err := openOn(fake.New(o), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 20
	return newRig(t, b)
}

func raw[T float32 | int32 | uint8](s []T) []byte {
	var e T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(e)))
}

// put uploads elements, as columns 1 to cols+1 of a wider tensor where cols is odd.
func put[T float32 | int32 | uint8](r *rig, dt tensor.DType, rows, cols int, s []T) tensor.Tensor {
	wide := r.a.Alloc(dt, rows, cols+2*(cols&1))
	host := make([]T, rows*wide.Cols)
	for i := range rows {
		copy(host[i*wide.Cols+cols&1:], s[i*cols:(i+1)*cols])
	}
	r.q.Upload(raw(host), wide)
	if err := r.q.Sync(); err != nil {
		r.t.Fatal(err)
	}
	return wide.ColRange(cols&1, cols&1+cols)
}

func f32s(r *rig, t tensor.Tensor) []float32 {
	got := make([]float32, t.Rows*t.Cols)
	r.q.Download(t, raw(got))
	if err := r.q.Sync(); err != nil {
		r.t.Fatal(err)
	}
	return got
}

func normals(rnd *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rnd.NormFloat64())
	}
	return s
}

// ops are operations whose results on the CPU are compared with those of the kernels. Each gets
// matrices of the same values on both and returns what it wrote.
var ops = []struct {
	name string
	call func(r *rig, rnd *rand.Rand, rows, cols int) []tensor.Tensor
}{
	{"Scale", func(r *rig, rnd *rand.Rand, rows, cols int) []tensor.Tensor {
		x := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols))
		r.q.Scale(-1.5, x)
		return []tensor.Tensor{x}
	}},
	{"SGD", func(r *rig, rnd *rand.Rand, rows, cols int) (out []tensor.Tensor) {
		for _, h := range []tensor.SGDStep{{LR: 0.1}, {LR: 0.1, Momentum: 0.9, ClipValue: 0.5}, {LR: 0.1, Momentum: 0.9, Nesterov: true, ClipNorm: 2}} {
			g, m, v := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, rows, cols, normals(rnd, rows*cols))
			r.q.SGD(h, put(r, tensor.F32, 1, 1, []float32{30}), g, m, v)
			out = append(out, g, m, v)
		}
		return out
	}},
	{"RMSProp", func(r *rig, rnd *rand.Rand, rows, cols int) (out []tensor.Tensor) {
		for _, h := range []tensor.RMSPropStep{{LR: 0.1, Alpha: 0.9, Eps: 1e-3}, {LR: 0.1, Alpha: 0.9, Eps: 1e-3, Momentum: 0.9, ClipNorm: 2}} {
			g, m, v := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, rows, cols, normals(rnd, rows*cols))
			s := put(r, tensor.F32, rows, cols, make([]float32, rows*cols))
			r.q.RMSProp(h, put(r, tensor.F32, 1, 1, []float32{30}), g, s, m, v)
			out = append(out, g, s, m, v)
		}
		return out
	}},
	{"SmoothSoftmaxXent", func(r *rig, rnd *rand.Rand, rows, cols int) []tensor.Tensor {
		class, weight, share := make([]int32, rows), make([]float32, rows), make([]float32, cols)
		for i := range class {
			class[i], weight[i] = int32(rnd.IntN(cols)), float32(i%3)
		}
		for i := range share {
			share[i] = rnd.Float32()
		}
		logits, d := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, rows, cols, make([]float32, rows*cols))
		loss := put(r, tensor.F32, 1, 1, []float32{7})
		r.q.SmoothSoftmaxXent(0.1, put(r, tensor.F32, 1, cols, share), logits, put(r, tensor.I32, rows, 1, class), put(r, tensor.F32, rows, 1, weight), loss, d)
		return []tensor.Tensor{loss, d}
	}},
	{"SmoothSigmoidXent", func(r *rig, rnd *rand.Rand, rows, cols int) []tensor.Tensor {
		target, weight, share := make([]uint8, rows*cols), make([]float32, rows), make([]float32, cols)
		for i := range target {
			target[i] = uint8(rnd.IntN(2))
		}
		for i := range weight {
			weight[i] = float32(i % 3)
		}
		for i := range share {
			share[i] = rnd.Float32()
		}
		logits, d := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, rows, cols, make([]float32, rows*cols))
		loss := put(r, tensor.F32, 1, 1, []float32{7})
		r.q.SmoothSigmoidXent(0.1, put(r, tensor.F32, 1, cols, share), logits, put(r, tensor.U8, rows, cols, target), put(r, tensor.F32, rows, 1, weight), loss, d)
		return []tensor.Tensor{loss, d}
	}},
	{"hubs", func(r *rig, rnd *rand.Rand, rows, cols int) (out []tensor.Tensor) {
		// Rows of 0, 1, 1024, 1025 and 3001 entries.
		indptr, sources := []int32{0}, 50
		for _, n := range []int32{0, 1, 1024, 1025, 0, 3001, 2} {
			indptr = append(indptr, indptr[len(indptr)-1]+n)
		}
		n := int(indptr[len(indptr)-1])
		col := make([]int32, n)
		for i := range col {
			col[i] = int32(rnd.IntN(sources))
		}
		m := &tensor.CSR{Rows: len(indptr) - 1, Cols: sources}
		upload := func(dt tensor.DType, n int, b []byte) tensor.Tensor {
			t := r.a.Alloc(dt, n, 1)
			r.q.Upload(b, t)
			return t
		}
		values := normals(rnd, n)
		m.Indptr, m.Indices, m.Values = upload(tensor.I32, len(indptr), raw(indptr)), upload(tensor.I32, n, raw(col)), upload(tensor.F32, n, raw(values))
		x := put(r, tensor.F32, sources, cols, normals(rnd, sources*cols))
		for _, beta := range []float32{0, 1} {
			y := put(r, tensor.F32, m.Rows, cols, normals(rnd, m.Rows*cols))
			r.q.SpMM(0.5, m, x, beta, y)
			out = append(out, y)
		}
		return out
	}},
}

func TestAgainstCPU(t *testing.T) {
	for _, o := range []fake.Options{{}, {Eager: true, Reverse: true}} {
		shapes := [][2]int{{7, 5}, {1, 1}, {40, 12}, {3, 130}}
		if testing.Short() {
			shapes = shapes[:1]
		}
		for _, shape := range shapes {
			for _, op := range ops {
				t.Run(fmt.Sprintf("%s/%dx%d/reverse=%t", op.name, shape[0], shape[1], o.Reverse), func(t *testing.T) {
					host, gpu := newRig(t, cpu.Open(tensor.Options{Threads: 1})), fakeRig(t, o)
					want := op.call(host, rand.New(rand.NewPCG(1, 2)), shape[0], shape[1])
					for i, got := range op.call(gpu, rand.New(rand.NewPCG(1, 2)), shape[0], shape[1]) {
						compare(t, i, f32s(gpu, got), f32s(host, want[i]))
					}
				})
			}
		}
	}
}

// compare allows for sums of thousands of terms in another order.
func compare(t *testing.T, output int, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= 2e-5*max(1, math.Abs(float64(w)))) {
			t.Fatalf("output %d, element %d: %g, want %g", output, i, got[i], w)
		}
	}
}

func TestFillTypes(t *testing.T) {
	r := fakeRig(t, fake.Options{})
	n, b := put(r, tensor.I32, 3, 5, make([]int32, 15)), put(r, tensor.U8, 3, 5, make([]uint8, 15))
	r.q.Fill(-7, n)
	r.q.Fill(200, b)
	words, bytes := make([]int32, 15), make([]uint8, 15)
	r.q.Download(n, raw(words))
	r.q.Download(b, bytes)
	if err := r.q.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := range words {
		if words[i] != -7 || bytes[i] != 200 {
			t.Fatalf("element %d: %d and %d, want -7 and 200", i, words[i], bytes[i])
		}
	}
}

func TestBadData(t *testing.T) {
	tests := []struct {
		name string
		call func(r *rig)
		want string
	}{
		{"gather", func(r *rig) {
			x, idx := put(r, tensor.F32, 3, 4, make([]float32, 12)), put(r, tensor.I32, 2, 1, []int32{1, 3})
			r.q.GatherRows(x, idx, tensor.Drop{}, r.a.Alloc(tensor.F32, 2, 4))
		}, "GatherRows: index 3 of row 1"},
		{"gather bytes", func(r *rig) {
			x, idx := put(r, tensor.U8, 3, 4, make([]uint8, 12)), put(r, tensor.I32, 2, 1, []int32{-1, 2})
			r.q.GatherRows(x, idx, tensor.Drop{}, r.a.Alloc(tensor.U8, 2, 4))
		}, "GatherRows: index -1 of row 0"},
		{"class", func(r *rig) {
			x, class := put(r, tensor.F32, 2, 4, make([]float32, 8)), put(r, tensor.I32, 2, 1, []int32{0, 4})
			weight := put(r, tensor.F32, 2, 1, []float32{1, 1})
			r.q.SoftmaxXent(x, class, weight, r.a.Alloc(tensor.F32, 1, 1), tensor.Tensor{})
		}, "SoftmaxXent: class 4 of row 1"},
		{"class of weight 0", func(r *rig) {
			x, class := put(r, tensor.F32, 2, 4, make([]float32, 8)), put(r, tensor.I32, 2, 1, []int32{0, 4})
			weight := put(r, tensor.F32, 2, 1, []float32{1, 0})
			r.q.SigmoidXent(x, class, weight, r.a.Alloc(tensor.F32, 1, 1), r.a.Alloc(tensor.F32, 2, 4))
		}, ""},
		{"source outside", func(r *rig) {
			x := put(r, tensor.F32, 2, 4, make([]float32, 8))
			m := &tensor.CSR{Rows: 1, Cols: 2, Indptr: put(r, tensor.I32, 2, 1, []int32{0, 1}), Indices: put(r, tensor.I32, 1, 1, []int32{1 << 20}), Values: put(r, tensor.F32, 1, 1, []float32{1})}
			m.Indptr = r.a.Alloc(tensor.I32, 2, 1)
			r.q.Upload(raw([]int32{0, 1}), m.Indptr)
			r.q.SpMM(1, m, x, 0, r.a.Alloc(tensor.F32, 1, 4))
		}, "cuda:0 is lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := openOn(fake.New(fake.Options{}), 0)
			if err != nil {
				t.Fatal(err)
			}
			b.part = 1 << 20
			q, _ := b.NewQueue()
			a, _ := b.NewArena()
			tt.call(&rig{t, b, q, a})
			err = q.Sync()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Sync = %v, want %q", err, tt.want)
			}
			q.Close()
			a.Close()
			b.Close()
		})
	}
}
