package cpu

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// errNoMemory is the failure of an operation on a tensor whose allocation failed.
var errNoMemory = errors.New("cpu: operation on a tensor that could not be allocated")

// memory is this backend's tensor.Mem.
type memory struct {
	b       []byte
	waiting *deferred // a product that was put off here, by a queue of the arena's goroutine
}

// noMemory is the memory of tensors that could not be allocated.
var noMemory = &memory{}

// element is what tensors are made of.
type element interface {
	float32 | int32 | uint8 | uint16
}

// span returns the elements from the first to the last of the view t.
func span[T element](t tensor.Tensor) []T {
	n := int64(t.Rows-1)*int64(t.Stride) + int64(t.Cols)
	if t.Rows <= 0 || t.Cols <= 0 {
		return nil
	}
	var e T
	size := int64(unsafe.Sizeof(e))
	b := t.Mem.(*memory).b
	b = b[t.Off*size : (t.Off+n)*size]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// host returns the elements of a contiguous tensor.
func host[T element](t tensor.Tensor, dt tensor.DType) []T {
	m, ok := t.Mem.(*memory)
	switch {
	case !ok:
		panic(fmt.Sprintf("cpu: %s is not a tensor of this backend", t))
	case t.Type != dt || t.Rows > 1 && t.Stride != t.Cols:
		panic(&tensor.ShapeError{Op: "host view", Got: describe(t), Want: "contiguous"})
	case m == noMemory:
		return nil
	}
	return span[T](t)
}

// F32 returns the elements of a contiguous F32 tensor of this backend, row by row. The slice
// is the tensor's own memory and dies with it.
func F32(t tensor.Tensor) []float32 { return host[float32](t, tensor.F32) }

// I32 is F32 for I32 tensors.
func I32(t tensor.Tensor) []int32 { return host[int32](t, tensor.I32) }

// U8 is F32 for U8 tensors.
func U8(t tensor.Tensor) []uint8 { return host[uint8](t, tensor.U8) }

// matrix is a view ready for loops. s is nil if there are no elements or the tensor is absent.
type matrix[T element] struct {
	s                  []T
	rows, cols, stride int
}

func view[T element](t tensor.Tensor) matrix[T] {
	if !t.Present() {
		return matrix[T]{}
	}
	return matrix[T]{span[T](t), t.Rows, t.Cols, t.Stride}
}

// row returns row i.
func (m *matrix[T]) row(i int) []T {
	if m.cols == 0 {
		return nil
	}
	o := i * m.stride
	return m.s[o : o+m.cols : o+m.cols]
}

// flat returns the matrix as one row if it is contiguous, so that elementwise work is cut
// evenly whatever its shape.
func (m matrix[T]) flat() matrix[T] {
	if m.rows > 0 && m.stride == m.cols {
		m.rows, m.cols = 1, m.rows*m.cols
		m.stride = m.cols
	}
	return m
}

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

// option is want for an F32 tensor that may be absent.
func option(op, name string, t tensor.Tensor, rows, cols int) {
	if t.Present() {
		want(op, name, t, tensor.F32, rows, cols)
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

// matrixOf panics unless t is an F32 matrix.
func matrixOf(op, name string, t tensor.Tensor) { want(op, name, t, tensor.F32, t.Rows, t.Cols) }
