package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// groupMaxJob finds the largest of groups of columns, or gives gradients back to them.
type groupMaxJob struct {
	back bool
	x, y matrix[float32]
	arg  matrix[int32]
}

// RunTask computes a block of rows.
func (j *groupMaxJob) RunTask(_, task int) {
	n := headRows(j.x.cols)
	for i := task * n; i < min((task+1)*n, j.x.rows); i++ {
		x, y, arg := j.x.row(i), j.y.row(i), j.arg.row(i)
		if j.back {
			clear(x)
			for c, v := range y {
				x[int(arg[c])*len(y)+c] = v
			}
			continue
		}
		copy(y, x)
		clear(arg)
		for k := 1; k*len(y) < len(x); k++ {
			for c, v := range x[k*len(y) : (k+1)*len(y)] {
				if v > y[c] {
					y[c], arg[c] = v, int32(k)
				}
			}
		}
	}
}

// GroupMax computes the largest of the groups of x's columns and which it is.
func (q *Queue) GroupMax(x, y, arg tensor.Tensor) { q.groupMax("GroupMax", false, x, y, arg) }

// GroupMaxBackward computes the gradient of GroupMax's x.
func (q *Queue) GroupMaxBackward(arg, dy, dx tensor.Tensor) {
	q.groupMax("GroupMaxBackward", true, dx, dy, arg)
}

func (q *Queue) groupMax(op string, back bool, x, y, arg tensor.Tensor) {
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, y.Cols)
	want(op, "arg", arg, tensor.I32, x.Rows, y.Cols)
	if y.Cols == 0 && x.Cols > 0 || y.Cols > 0 && x.Cols%y.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns in groups of %d", x.Cols, y.Cols), Want: "a multiple"})
	}
	if !q.ready(x, y, arg) || y.Cols == 0 || x.Cols == 0 {
		return
	}
	q.heads.groups = groupMaxJob{back: back, x: view[float32](x), y: view[float32](y), arg: view[int32](arg)}
	q.group.Do(tasks(x.Rows, headRows(x.Cols)), &q.heads.groups)
}
