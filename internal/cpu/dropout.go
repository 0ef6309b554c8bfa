package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// chunk is the number of elements for which intermediate results are kept on the stack.
const chunk = 512

// dropper drops elements out; the zero dropper keeps all of them.
type dropper struct {
	on         bool
	key        uint64
	threshold  uint64 // a word below it drops the element
	scale      float32
	col, width uint64
}

func newDropper(p float32, key tensor.RandKey, col, width int) dropper {
	d := dropper{
		on: true, key: philox.Key(key.Seed, key.Step, key.Layer, key.Slot), threshold: philox.Threshold(p),
		col: uint64(col), width: uint64(width),
	}
	if p < 1 {
		d.scale = float32(1 / (1 - float64(p)))
	}
	return d
}

// row computes y = drop(x) for elements of row i from column c on.
func (d *dropper) row(i, c int, x, y []float32) {
	philox.Drop(d.key, uint64(i)*d.width+d.col+uint64(c), d.threshold, d.scale, x, y)
}

// dropOf returns the dropper of an operation on t.
func dropOf(op string, d tensor.Drop, t tensor.Tensor) dropper {
	switch {
	case d == tensor.Drop{}:
		return dropper{}
	case !(d.P >= 0 && d.P < 1) || d.Col < 0 || d.Col+t.Cols > d.Width:
		panic(&tensor.ShapeError{
			Op: op, Got: fmt.Sprintf("dropout of rate %g from column %d of %d for %s", d.P, d.Col, d.Width, t), Want: "a rate from 0 to below 1 and all columns",
		})
	case d.P == 0:
		return dropper{}
	}
	return newDropper(d.P, d.Key, d.Col, d.Width)
}

type dropoutJob struct {
	grid
	drop dropper
	x, y matrix[float32]
}

// RunTask computes one block.
func (j *dropoutJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		j.drop.row(i, c0, j.x.row(i)[c0:c1], j.y.row(i)[c0:c1])
	}
}

// Dropout computes y = x/(1-p) where kept, else 0.
func (q *Queue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	matrixOf("Dropout", "x", x)
	want("Dropout", "y", y, tensor.F32, x.Rows, x.Cols)
	if !(p >= 0 && p <= 1) {
		panic(&tensor.ShapeError{Op: "Dropout", Got: fmt.Sprintf("rate %g", p), Want: "0 to 1"})
	}
	if !q.ready(x, y) {
		return
	}
	j := &q.dropout
	j.x, j.y = view[float32](x), view[float32](y)
	if x.Stride == x.Cols && y.Stride == y.Cols {
		j.x, j.y = j.x.flat(), j.y.flat()
	}
	j.drop = newDropper(p, key, 0, j.x.cols)
	j.grid = newGrid(j.x.rows, j.x.cols)
	q.group.Do(j.tasks(), j)
}
