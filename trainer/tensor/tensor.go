package tensor

import "fmt"

// DType is an element type.
type DType uint8

// Element types. F64 is what a backend of double precision computes in: its arenas return F64
// tensors where F32 ones are asked for, so that nothing above the seam chooses a precision, and
// its operations take F64 where the comments of Queue say F32.
const (
	F32 DType = iota + 1
	I32
	U8
	F64
	// F16 is half precision, in which features may be stored: HalfRows widens them.
	F16
)

// Size returns the bytes of one element.
func (d DType) Size() int64 {
	switch d {
	case F32, I32:
		return 4
	case U8:
		return 1
	case F16:
		return 2
	case F64:
		return 8
	}
	panic(fmt.Sprintf("tensor: unknown dtype %d", d))
}

// Mem is device memory, opaque above the seam.
type Mem any

// Tensor is a row-major Rows×Cols view. The zero Tensor means "absent".
// Rank stops at two: this trainer has node rows and feature columns; heads and hops are
// column ranges. Vectors over columns are 1×Cols, vectors over rows are Rows×1.
type Tensor struct {
	Mem        Mem
	Off        int64 // elements from the start of Mem to the view's first element
	Rows, Cols int
	Stride     int // elements from row to row; > Cols for a column range
	Type       DType
	ID         uint64 // identity of the allocation, never reused; views share it
}

// Present reports whether t is not the absent tensor.
func (t Tensor) Present() bool { return t.Type != 0 }

// Bytes returns the size of the view's elements.
func (t Tensor) Bytes() int64 { return int64(t.Rows) * int64(t.Cols) * t.Type.Size() }

// ColRange is the view of columns [lo,hi). Writing hops or heads into ranges of one
// output replaces every concatenation copy.
func (t Tensor) ColRange(lo, hi int) Tensor {
	t.Off += int64(lo)
	t.Cols = hi - lo
	return t
}

// RowRange is the view of rows [lo,hi).
func (t Tensor) RowRange(lo, hi int) Tensor {
	t.Off += int64(lo) * int64(t.Stride)
	t.Rows = hi - lo
	return t
}

// String describes the shape, for example "8643x602 f32".
func (t Tensor) String() string {
	if !t.Present() {
		return "absent"
	}
	return fmt.Sprintf("%dx%d %s", t.Rows, t.Cols, [...]string{"?", "f32", "i32", "u8", "f64", "f16"}[t.Type])
}

// CSR is a sparse matrix on a device. Rows of a larger one are a CSR whose Indptr is a range of that
// one's and need not begin with 0, on a backend that is a Copier; Indices and Values are those of
// the larger one. Trans is its transpose, used by backward passes:
// stored rather than scattered so that results do not depend on scheduling. It is nil
// where no backward pass runs.
type CSR struct {
	Rows, Cols              int
	Indptr, Indices, Values Tensor // (Rows+1)×1 I32, m×1 I32, m×1 F32
	Trans                   *CSR
}

// RandKey names a random stream: the same key gives the same bits on every backend
// (Philox4x32-10; element i of an operation's output uses word i%4 of counter i/4). The
// generator's 64-bit key is what Key of internal/philox folds the fields into.
type RandKey struct {
	Seed, Step  uint64
	Layer, Slot uint32
}

// Drop is dropout within another operation, which spares a pass over memory: the values v of a
// matrix count as v/(1-P) where kept, else 0. Element (i,j) is kept if the key's word number
// i*Width+Col+j is at least P*2^32: the matrix is the columns from Col on of one that is Width
// wide, so that column ranges written one by one get the mask that Queue.Dropout would give
// the whole. The zero Drop keeps everything as it is.
type Drop struct {
	P          float32 // at least 0 and below 1
	Key        RandKey
	Col, Width int
}

// At returns the dropout of the columns from col on of what d drops from.
func (d Drop) At(col int) Drop {
	d.Col += col
	return d
}

// Act is an elementwise activation function.
type Act uint8

// Activation functions.
const (
	Identity  Act = iota
	ReLU          // max(x, 0)
	LeakyReLU     // x if x > 0, else 0.2 x (TensorFlow's default slope, as in the reference)
)

// ShapeError reports an operation called with shapes that do not fit: a bug in a layer,
// so operations panic with it.
type ShapeError struct{ Op, Got, Want string }

// Error returns the operation and both shapes.
func (e *ShapeError) Error() string {
	return "tensor: " + e.Op + ": got " + e.Got + ", want " + e.Want
}
