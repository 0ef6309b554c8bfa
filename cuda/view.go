package cuda

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

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

// wantRows is want for 1×cols tensors.
func wantRows(op string, cols int, ts ...tensor.Tensor) {
	for _, t := range ts {
		want(op, "a row", t, tensor.F32, 1, cols)
	}
}

// address returns where t begins, 0 if it is absent or has no memory.
func address(t tensor.Tensor) driver.Ptr {
	m, ok := t.Mem.(*memory)
	if !ok || !t.Present() || m == noMemory {
		return 0
	}
	return m.base + driver.Ptr(t.Off*t.Type.Size())
}

// aligned reports whether the rows of all tensors begin at multiples of 16 bytes.
func aligned(ts ...tensor.Tensor) bool {
	for _, t := range ts {
		if address(t)%16 != 0 || t.Rows > 1 && t.Stride%4 != 0 {
			return false
		}
	}
	return true
}

// contiguous reports whether t's elements follow one another.
func contiguous(t tensor.Tensor) bool { return t.Rows <= 1 || t.Stride == t.Cols }

// dropout is tensor.Drop as kernels take it.
type dropout struct {
	key, threshold uint64
	scale          float32
	col, width     int
}

func newDropout(p float32, key tensor.RandKey, col, width int) dropout {
	d := dropout{
		key: philox.Key(key.Seed, key.Step, key.Layer, key.Slot), threshold: philox.Threshold(p), scale: 1,
		col: col, width: width,
	}
	if p < 1 {
		d.scale = float32(1 / (1 - float64(p)))
	}
	return d
}

// dropOf checks the dropout of an operation on t; a threshold of 0 keeps everything.
func dropOf(op string, d tensor.Drop, t tensor.Tensor) dropout {
	switch {
	case d == tensor.Drop{}:
		return dropout{}
	case !(d.P >= 0 && d.P < 1) || d.Col < 0 || d.Col+t.Cols > d.Width:
		panic(&tensor.ShapeError{
			Op: op, Got: fmt.Sprintf("dropout of rate %g from column %d of %d for %s", d.P, d.Col, d.Width, t), Want: "a rate from 0 to below 1 and all columns",
		})
	case d.P == 0:
		return dropout{}
	}
	return newDropout(d.P, d.Key, d.Col, d.Width)
}

// actOf checks an activation; kernels use the numbers of package tensor.
func actOf(op string, a tensor.Act) int {
	if a > tensor.LeakyReLU {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("activation %d", a), Want: "one of package tensor"})
	}
	return int(a)
}

// tooLarge reports shapes that kernels, which count rows and columns in 32 bits, cannot take.
func tooLarge(t tensor.Tensor) bool { return t.Rows > math.MaxInt32 || t.Cols > math.MaxInt32 }
