package tensortest

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// huge is more rows than any device has bytes.
const huge = 1 << 50

// runEmpty calls operations on nothing: sums are 0 and nothing is touched.
func runEmpty(e *env) {
	empty := e.f32(shape{0, 3, false}, nil)
	class := e.i32(shape{0, 1, false}, nil)
	weight := e.f32(shape{0, 1, false}, nil)
	loss := e.undefined(shape{1, 1, false})
	e.q.SoftmaxXent(empty.Tensor, class.Tensor, weight.Tensor, loss.Tensor, tensor.Tensor{})
	loss.equals("softmax loss of no rows", []float64{0}, 0)
	e.q.SigmoidXent(empty.Tensor, class.Tensor, weight.Tensor, loss.Tensor, tensor.Tensor{})
	loss.equals("sigmoid loss of no rows", []float64{0}, 0)
	e.q.SumSquares(empty.Tensor, loss.Tensor)
	loss.equals("sum of no squares", []float64{0}, 0)
}

// runNotFinite checks that NaN and infinity show in results rather than vanish.
func runNotFinite(e *env) {
	one := shape{1, 1, false}
	nan := func(name string, o *operand) {
		e.Helper()
		if got := o.get(); !math.IsNaN(got[0]) {
			e.Errorf("%s of NaN = %g, want NaN", name, got[0])
		}
	}
	x := e.undefined(one) // NaN
	y := e.normal(one)
	weight, class := e.f32(one, func(int) float64 { return 1 }), e.i32(one, func(int) float64 { return 0 })
	two := e.f32(shape{1, 2, false}, func(i int) float64 { return []float64{1, math.NaN()}[i] })
	for _, act := range []tensor.Act{tensor.Identity, tensor.ReLU, tensor.LeakyReLU} {
		e.q.BiasActNorm(act, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{}, x.Tensor, tensor.Drop{}, y.Tensor, tensor.Tensor{}, tensor.Tensor{})
		nan("BiasActNorm", y)
		e.q.BiasActNormBackward(act, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{},
			weight.Tensor, x.Tensor, tensor.Drop{}, y.Tensor, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{})
		nan("BiasActNormBackward", y)
	}
	e.q.Dropout(0, tensor.RandKey{}, x.Tensor, y.Tensor)
	nan("Dropout", y)
	e.q.Axpby(0, x.Tensor, 1, y.Tensor)
	nan("Axpby", y)
	e.q.Gemm(false, false, 1, x.Tensor, weight.Tensor, 0, y.Tensor)
	nan("Gemm", y)
	norm := e.normal(one)
	e.q.NormalizeRows(x.Tensor, y.Tensor, norm.Tensor)
	nan("NormalizeRows", y)
	e.q.SoftmaxXent(two.Tensor, class.Tensor, weight.Tensor, y.Tensor, tensor.Tensor{})
	nan("SoftmaxXent", y)
	e.q.SigmoidXent(two.Tensor, class.Tensor, weight.Tensor, y.Tensor, tensor.Tensor{})
	nan("SigmoidXent", y)
	sum := e.f32(one, func(int) float64 { return 0 })
	e.q.SumSquares(x.Tensor, sum.Tensor)
	nan("SumSquares", sum)
	m, v, value := e.normal(one), e.normal(one), e.normal(one)
	h := tensor.AdamStep{LR: 1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Corr1: 0.1, Corr2: 0.1, ClipNorm: 1, ClipValue: 1}
	e.q.Adam(h, sum.Tensor, weight.Tensor, m.Tensor, v.Tensor, value.Tensor)
	nan("Adam", value)
	inf := e.f32(one, func(int) float64 { return math.Inf(-1) })
	e.q.BiasActNorm(tensor.ReLU, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{}, inf.Tensor, tensor.Drop{}, y.Tensor, tensor.Tensor{}, tensor.Tensor{})
	y.equals("ReLU of -Inf", []float64{0}, 0)
}

// shapeError reports whether f panics with a *tensor.ShapeError.
func shapeError(f func()) (ok bool) {
	defer func() {
		err, isErr := recover().(error)
		var shape *tensor.ShapeError
		ok = isErr && errors.As(err, &shape)
	}()
	f()
	return false
}

// runShapeErrors gives every operation an operand of a wrong shape or type.
func runShapeErrors(e *env) {
	a := e.normal(shape{3, 4, false}).Tensor
	b := e.normal(shape{4, 5, false}).Tensor
	row := e.normal(shape{1, 4, false}).Tensor
	col := e.normal(shape{3, 1, false}).Tensor
	one := e.normal(shape{1, 1, false}).Tensor
	idx := e.i32(shape{3, 1, false}, func(int) float64 { return 0 }).Tensor
	u8 := e.u8(shape{3, 4, false}, func(int) float64 { return 0 }).Tensor
	var none tensor.Tensor
	csr, _ := e.csr(3, 4, 2)
	q := e.q
	for _, c := range []struct {
		name string
		call func()
	}{
		{"Gemm inner", func() { q.Gemm(false, false, 1, a, a, 0, a) }},
		{"Gemm result", func() { q.Gemm(false, false, 1, a, b, 0, a) }},
		{"Gemm type", func() { q.Gemm(false, false, 1, u8, b, 0, a) }},
		{"Gemm absent", func() { q.Gemm(false, false, 1, none, b, 0, a) }},
		{"SpMM source", func() { q.SpMM(1, csr, a, 0, a) }},
		{"SpMM result", func() { q.SpMM(1, csr, b, 0, a) }},
		{"GatherRows columns", func() { q.GatherRows(b, idx, tensor.Drop{}, a) }},
		{"GatherRows index type", func() { q.GatherRows(a, col, tensor.Drop{}, a) }},
		{"GatherRows type", func() { q.GatherRows(u8, idx, tensor.Drop{}, a) }},
		{"GatherRows absent", func() { q.GatherRows(a, idx, tensor.Drop{}, none) }},
		{"Fill absent", func() { q.Fill(0, none) }},
		{"Axpby", func() { q.Axpby(1, b, 1, a) }},
		{"Dropout", func() { q.Dropout(0.5, tensor.RandKey{}, b, a) }},
		{"Dropout rate", func() { q.Dropout(1.5, tensor.RandKey{}, a, a) }},
		{"BiasActNorm y", func() { q.BiasActNorm(tensor.ReLU, none, none, none, a, tensor.Drop{}, b, none, none) }},
		{"BiasActNorm drop", func() { q.BiasActNorm(tensor.ReLU, none, none, none, a, tensor.Drop{P: 0.5, Width: 1}, a, none, none) }},
		{"BiasActNorm drop rate", func() { q.BiasActNorm(tensor.ReLU, none, none, none, a, tensor.Drop{P: 1.5, Width: 99}, a, none, none) }},
		{"GatherRows drop type", func() { q.GatherRows(u8, idx, tensor.Drop{P: 0.5, Width: 99}, u8) }},
		{"BiasActNorm bias", func() { q.BiasActNorm(tensor.ReLU, col, none, none, a, tensor.Drop{}, a, none, none) }},
		{"BiasActNorm no mean", func() { q.BiasActNorm(tensor.ReLU, none, row, row, a, tensor.Drop{}, a, none, none) }},
		{"BiasActNorm no offset", func() { q.BiasActNorm(tensor.ReLU, none, row, none, a, tensor.Drop{}, a, col, col) }},
		{"BiasActNormBackward", func() {
			q.BiasActNormBackward(tensor.ReLU, row, none, none, none, a, a, tensor.Drop{}, a, none, none, none)
		}},
		{"BatchNorm", func() { q.BatchNorm(1e-5, 0.1, row, row, a, a, col, row, none, none) }},
		{"BatchNorm running", func() { q.BatchNorm(1e-5, 0.1, row, row, a, a, row, row, row, none) }},
		{"BatchNormInfer", func() { q.BatchNormInfer(1e-5, row, row, row, col, a, a) }},
		{"BatchNormBackward", func() { q.BatchNormBackward(row, row, row, a, b, a, row, row) }},
		{"NormalizeRows", func() { q.NormalizeRows(a, a, row) }},
		{"NormalizeRowsBackward", func() { q.NormalizeRowsBackward(a, b, col, a) }},
		{"SoftmaxXent class", func() { q.SoftmaxXent(a, col, col, one, none) }},
		{"SoftmaxXent weight", func() { q.SoftmaxXent(a, idx, row, one, none) }},
		{"SoftmaxXent loss", func() { q.SoftmaxXent(a, idx, col, col, none) }},
		{"SigmoidXent target", func() { q.SigmoidXent(b, u8, col, one, none) }},
		{"SigmoidXent target type", func() { q.SigmoidXent(a, a, col, one, none) }},
		{"SumSquares", func() { q.SumSquares(a, col) }},
		{"Adam", func() { q.Adam(tensor.AdamStep{}, none, a, a, b, a) }},
		{"Adam no norm", func() { q.Adam(tensor.AdamStep{ClipNorm: 1}, none, a, a, a, a) }},
		{"Upload size", func() { q.Upload(make([]byte, 3), a) }},
		{"Upload strided", func() { q.Upload(make([]byte, 24), a.ColRange(0, 2)) }},
		{"Download size", func() { q.Download(a, make([]byte, 3)) }},
	} {
		if !shapeError(c.call) {
			e.Errorf("%s: no panic with a *tensor.ShapeError", c.name)
		}
	}
	e.sync()
}

// runFailure checks that the first failure stays and stops everything after it. What fails
// is an operation on a tensor for which there was no memory.
func runFailure(e *env) {
	t := e.normal(shape{3, 4, false})
	before := t.raw()
	if err := e.q.Err(); err != nil {
		e.Fatalf("Err = %v before a failure, want nil", err)
	}
	lost := e.a.Alloc(tensor.F32, huge, 1)
	if e.a.Err() == nil {
		e.Fatalf("arena Err = nil after an allocation of %s", lost)
	}
	e.q.Fill(1, lost)
	e.q.Fill(2, t.Tensor)
	first := e.q.Sync()
	if first == nil {
		e.Fatal("Sync = nil after an operation on unallocated memory")
	}
	e.q.Fill(3, lost)
	if err := e.q.Sync(); err == nil || err.Error() != first.Error() {
		e.Errorf("second Sync = %v, want the first failure %v", err, first)
	}
	if err := e.q.Err(); err == nil || err.Error() != first.Error() {
		e.Errorf("Err = %v, want the first failure %v", err, first)
	}
	q, err := e.backend.NewQueue()
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { q.Close() }) //nolint:errcheck // the test is about the other queue
	got := make([]byte, len(before))
	q.Download(t.Tensor, got)
	if err := q.Sync(); err != nil {
		e.Fatalf("Sync of another queue = %v, want nil", err)
	}
	if !bytes.Equal(got, before) {
		e.Fatalf("%s changed in an operation that followed a failure", t)
	}
}

// runTransfers uploads and downloads every type, also from views.
func runTransfers(e *env) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.I32, tensor.U8} {
		t := e.a.Alloc(dt, 6, 5)
		src := make([]byte, t.Bytes())
		for i := range src {
			src[i] = byte(i)
		}
		e.q.Upload(src, t)
		dt = t.Type
		got := make([]byte, len(src))
		e.q.Download(t, got)
		e.sync()
		if !bytes.Equal(got, src) {
			e.Errorf("%s: Download = %v, want %v", t, got, src)
		}
		v := t.ColRange(1, 3).RowRange(2, 5)
		var want []byte
		for i := 2; i < 5; i++ {
			w := int(dt.Size())
			want = append(want, src[(i*5+1)*w:(i*5+3)*w]...)
		}
		got = make([]byte, v.Bytes())
		e.q.Download(v, got)
		e.sync()
		if !bytes.Equal(got, want) {
			e.Errorf("%s: Download of a view = %v, want %v", t, got, want)
		}
	}
	if e.double() {
		runConversions(e)
	}
}

// runConversions checks that a device of double precision takes and gives float32.
func runConversions(e *env) {
	t := e.a.Alloc(tensor.F32, 3, 2)
	e.q.Upload(bytesOf([]float32{0.1, -2, 3, 4, 5, 6}), t)
	for i, v := range e.download(t) {
		if want := []float64{float64(float32(0.1)), -2, 3, 4, 5, 6}[i]; v != want {
			e.Errorf("element %d = %v after an upload of float32, want %v", i, v, want)
		}
	}
	e.q.Upload(bytesOf([]float64{0.1, -2, 1e300, 4, 1.0 / 3, 6}), t)
	got := make([]float32, 3)
	e.q.Download(t.ColRange(0, 1), bytesOf(got))
	e.sync()
	for i, want := range []float32{0.1, float32(math.Inf(1)), 1.0 / 3} {
		if got[i] != want {
			e.Errorf("row %d = %v as float32, want %v", i, got[i], want)
		}
	}
}

// runImport checks host memory as a tensor, where the device can do that.
func runImport(e *env) {
	src := []float32{1, 2, 3, 4, 5, 6}
	var t tensor.Tensor
	err := e.backend.Import(&t, tensor.F32, 2, 3, bytesOf(src))
	if !e.backend.Caps().SharedMemory {
		if err == nil {
			e.Error("Import = nil error without shared memory")
		}
		return
	}
	if err != nil {
		e.Fatal(err)
	}
	if t.Rows != 2 || t.Cols != 3 || t.Stride != 3 || e.a.Owns(t) {
		e.Errorf("Import = %+v, want a contiguous 2x3 tensor of no arena", t)
	}
	src[4] = 50
	got := make([]float32, 6)
	e.q.Download(t, bytesOf(got))
	e.sync()
	if got[4] != 50 {
		e.Errorf("element 4 = %g after a write to the imported memory, want 50", got[4])
	}
	again := []float32{7, 8}
	if err := e.backend.Import(&t, tensor.F32, 1, 2, bytesOf(again)); err != nil {
		e.Fatal(err)
	}
	e.q.Download(t, bytesOf(got[:2]))
	e.sync()
	if got[0] != 7 || got[1] != 8 {
		e.Errorf("second Import holds %v, want [7 8]", got[:2])
	}
	owned := e.a.Alloc(tensor.F32, 1, 2)
	t = owned
	if err := e.backend.Import(&t, tensor.F32, 1, 2, bytesOf(again)); err != nil {
		e.Fatal(err)
	}
	e.q.Fill(0, owned)
	e.sync()
	if again[0] != 7 {
		e.Error("Import over an arena's tensor redirected the arena")
	}
	for _, shape := range [][2]int{{2, 2}, {3, 3}, {-2, -3}} {
		if err := e.backend.Import(new(tensor.Tensor), tensor.F32, shape[0], shape[1], bytesOf(src)); err == nil {
			e.Errorf("Import of 24 bytes as %dx%d = nil error", shape[0], shape[1])
		}
	}
}

// runArena checks the contract of arenas.
func runArena(t *testing.T, open tensor.Opener) {
	t.Run("Counts", func(t *testing.T) { arenaCounts(newEnv(t, open, tensor.Options{})) })
	t.Run("Disjoint", func(t *testing.T) { arenaDisjoint(newEnv(t, open, tensor.Options{})) })
	t.Run("OutOfMemory", func(t *testing.T) { arenaOutOfMemory(newEnv(t, open, tensor.Options{})) })
	t.Run("Foreign", func(t *testing.T) { arenaForeign(newEnv(t, open, tensor.Options{})) })
	if invariants.Enabled {
		t.Run("DoubleRelease", func(t *testing.T) { arenaDoubleRelease(newEnv(t, open, tensor.Options{})) })
	}
}
