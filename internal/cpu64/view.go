package cpu64

import (
	"fmt"
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// element is what tensors are made of.
type element interface{ float64 | int32 | uint8 }

// matrix is a view ready for loops. s is nil if there are no elements or the tensor is absent.
type matrix[T element] struct {
	s                  []T
	rows, cols, stride int
}

// view returns the matrix of a tensor that is ready.
func view[T element](t tensor.Tensor) matrix[T] {
	if !t.Present() {
		return matrix[T]{}
	}
	var (
		s []T
		e T
	)
	if b, err := cpu.Raw(t); err == nil && len(b) > 0 {
		s = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(e)))
	}
	return matrix[T]{s, t.Rows, t.Cols, t.Stride}
}

// numbers is view for what most tensors hold.
func numbers(t tensor.Tensor) matrix[float64] { return view[float64](t) }

// row returns row i; nil if there are no elements.
func (m *matrix[T]) row(i int) []T {
	if m.s == nil {
		return nil
	}
	o := i * m.stride
	return m.s[o : o+m.cols : o+m.cols]
}

// at returns the first element of row i.
func (m *matrix[T]) at(i int) *T { return &m.s[i*m.stride] }

func describe(t tensor.Tensor) string {
	if t.Present() && t.Stride != t.Cols {
		return fmt.Sprintf("%s with stride %d", t, t.Stride)
	}
	return t.String()
}

// want panics unless t has the type and shape; op and name say what t is.
func want(op, name string, t tensor.Tensor, dt tensor.DType, rows, cols int) {
	if !t.Present() || t.Type != dt || t.Rows != rows || t.Cols != cols || t.Rows > 1 && t.Stride < t.Cols {
		w := tensor.Tensor{Type: dt, Rows: rows, Cols: cols}
		panic(&tensor.ShapeError{Op: op, Got: name + " " + describe(t), Want: w.String()})
	}
}

// wantNumbers panics unless t is an F64 matrix of that shape.
func wantNumbers(op, name string, t tensor.Tensor, rows, cols int) {
	want(op, name, t, tensor.F64, rows, cols)
}

// option is wantNumbers for a tensor that may be absent.
func option(op, name string, t tensor.Tensor, rows, cols int) {
	if t.Present() {
		wantNumbers(op, name, t, rows, cols)
	}
}

// together panics unless the tensors are all present or all absent.
func together(op, names string, first tensor.Tensor, others ...tensor.Tensor) {
	for _, t := range others {
		if t.Present() != first.Present() {
			panic(&tensor.ShapeError{Op: op, Got: "some of " + names, Want: "all of them or none"})
		}
	}
}

// matrixOf panics unless t is an F64 matrix.
func matrixOf(op, name string, t tensor.Tensor) { wantNumbers(op, name, t, t.Rows, t.Cols) }

// wantCSR checks the parts of a matrix.
func wantCSR(op string, a *tensor.CSR) {
	want(op, "indptr", a.Indptr, tensor.I32, a.Rows+1, 1)
	want(op, "indices", a.Indices, tensor.I32, a.Indices.Rows, 1)
	wantNumbers(op, "values", a.Values, a.Indices.Rows, 1)
}
