package tensortest

import (
	"math"
	"unsafe"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// guard is what surrounds a strided operand; no operation may change it.
const (
	guard    = 77
	guardLo  = 3 // columns before the view
	guardAll = 8 // columns more than the view has
)

// operand is a tensor together with what the test put there, in float64.
type operand struct {
	tensor.Tensor
	e    *env
	wide tensor.Tensor
	lo   int
	ref  []float64 // Rows*Cols
}

// number is an element type.
type number interface {
	float32 | float64 | int32 | uint8 | uint16
}

func bytesOf[T number](s []T) []byte {
	var e T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(e)))
}

// make1 uploads elements gen(i) for i in row-major order. The reference holds what arrived
// after rounding to T.
func make1[T number](e *env, dt tensor.DType, s shape, gen func(i int) float64) *operand {
	e.Helper()
	o := &operand{e: e, ref: make([]float64, s.rows*s.cols)}
	width := s.cols
	if s.strided {
		o.lo, width = guardLo, s.cols+guardAll
	}
	host := make([]T, s.rows*width)
	for i := range host {
		host[i] = guard
	}
	for i := range o.ref {
		v := T(gen(i))
		o.ref[i] = float64(v)
		host[i/s.cols*width+o.lo+i%s.cols] = v
	}
	o.wide = e.a.Alloc(dt, s.rows, width)
	o.Tensor = o.wide.ColRange(o.lo, o.lo+s.cols)
	e.q.Upload(bytesOf(host), o.wide)
	e.sync()
	return o
}

// f32 is an operand of the backend's numbers.
func (e *env) f32(s shape, gen func(i int) float64) *operand {
	e.Helper()
	if e.double() {
		return make1[float64](e, tensor.F32, s, gen)
	}
	return make1[float32](e, tensor.F32, s, gen)
}

// normal is an F32 operand of standard normal values, none within 1e-3 of 0, where
// activations have a kink.
func (e *env) normal(s shape) *operand {
	e.Helper()
	return e.f32(s, func(int) float64 {
		v := e.rnd.NormFloat64()
		return v + math.Copysign(1e-3, v)
	})
}

// undefined is an F32 operand of NaN: a destination that must not be read.
func (e *env) undefined(s shape) *operand {
	e.Helper()
	return e.f32(s, func(int) float64 { return math.NaN() })
}

func (e *env) i32(s shape, gen func(i int) float64) *operand {
	e.Helper()
	return make1[int32](e, tensor.I32, s, gen)
}

func (e *env) u8(s shape, gen func(i int) float64) *operand {
	e.Helper()
	return make1[uint8](e, tensor.U8, s, gen)
}

// row is the shape of a vector over columns, column that of a vector over rows.
func (s shape) row() shape    { return shape{1, s.cols, s.strided} }
func (s shape) column() shape { return shape{s.rows, 1, s.strided} }

// at returns reference element (i,j).
func (o *operand) at(i, j int) float64 { return o.ref[i*o.Cols+j] }

// raw downloads the operand.
func (o *operand) raw() []byte {
	b := make([]byte, o.Bytes())
	o.e.q.Download(o.Tensor, b)
	o.e.sync()
	return b
}

// double reports whether the backend computes in double precision.
func (e *env) double() bool { return e.float == tensor.F64 }

// sharp is what tolerances are multiplied by where a backend computes in double precision.
const sharp = 1e-6

// download returns the elements of an operand of numbers or of what it is a view of.
func (e *env) download(t tensor.Tensor) []float64 {
	e.Helper()
	got := make([]float64, t.Rows*t.Cols)
	if e.double() {
		e.q.Download(t, bytesOf(got))
		e.sync()
		return got
	}
	single := make([]float32, len(got))
	e.q.Download(t, bytesOf(single))
	e.sync()
	for i, v := range single {
		got[i] = float64(v)
	}
	return got
}

// get downloads an operand of numbers and checks the columns around it.
func (o *operand) get() []float64 {
	o.e.Helper()
	got := o.e.download(o.Tensor)
	for i, v := range o.e.download(o.wide) {
		if j := i%o.wide.Cols - o.lo; (j < 0 || j >= o.Cols) && v != guard {
			o.e.Fatalf("element %d of row %d beside a view of %d columns = %g, want it untouched", j, i/o.wide.Cols, o.Cols, v)
		}
	}
	return got
}

// is checks an operand against want(i,j), each element to tol(i,j) in single precision and to
// that times sharp in double.
func (o *operand) is(name string, want, tol func(i, j int) float64) {
	o.e.Helper()
	for k, g := range o.get() {
		i, j := k/o.Cols, k%o.Cols
		w := want(i, j)
		t := tol(i, j)
		if o.e.double() {
			t *= sharp
		}
		if !near(g, w, t) {
			o.e.Fatalf("%s[%d,%d] = %g, want %g within %g", name, i, j, g, w, t)
		}
	}
}

// equals checks an operand against numbers, to tolerance rel relative to each and to the
// largest: rounding in a sum grows with its terms and not with its result.
func (o *operand) equals(name string, want []float64, rel float64) {
	o.e.Helper()
	top := 0.0
	for _, v := range want {
		if a := math.Abs(v); a > top && !math.IsInf(a, 0) {
			top = a
		}
	}
	o.is(name, func(i, j int) float64 { return want[i*o.Cols+j] }, func(int, int) float64 { return rel * top })
}

// unchanged checks that an input still holds what was put there.
func (o *operand) unchanged(name string) {
	o.e.Helper()
	o.equals(name, o.ref, 0)
}

// bytes returns the size of all operands.
func size(os ...*operand) (n int64) {
	for _, o := range os {
		if o != nil {
			n += o.Bytes()
		}
	}
	return n
}

// tensorOf returns the tensor of an operand that may be nil.
func tensorOf(o *operand) tensor.Tensor {
	if o == nil {
		return tensor.Tensor{}
	}
	return o.Tensor
}
