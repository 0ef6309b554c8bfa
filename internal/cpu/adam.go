package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

type squaresJob struct {
	grid
	x    matrix[float32]
	sums []float64
}

// RunTask adds up one block.
func (j *squaresJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	total := 0.0
	for i := r0; i < r1; i++ {
		total += f32.SumSquares(j.x.row(i)[c0:c1])
	}
	j.sums[task] = total
}

// SumSquares computes out += sum of x².
func (q *Queue) SumSquares(x, out tensor.Tensor) {
	matrixOf("SumSquares", "x", x)
	want("SumSquares", "out", out, tensor.F32, 1, 1)
	if !q.ready(x, out) {
		return
	}
	j := &q.squares
	j.x = view[float32](x).flat()
	j.grid = newGrid(j.x.rows, j.x.cols)
	n := j.tasks()
	j.sums = q.lossScratch(n)
	q.group.Do(n, j)
	o := view[float32](out).s
	o[0] = float32(float64(o[0]) + inOrder(j.sums))
}

type adamJob struct {
	grid
	step              rows.AdamStep
	grad, m, v, value matrix[float32]
}

// RunTask updates one block.
func (j *adamJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		rows.Adam(&j.step, j.grad.row(i)[c0:c1], j.m.row(i)[c0:c1], j.v.row(i)[c0:c1], j.value.row(i)[c0:c1])
	}
}

// Adam does one update of value, m and v and sets grad to 0.
func (q *Queue) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	const op = "Adam"
	matrixOf(op, "value", value)
	want(op, "grad", grad, tensor.F32, value.Rows, value.Cols)
	want(op, "m", m, tensor.F32, value.Rows, value.Cols)
	want(op, "v", v, tensor.F32, value.Rows, value.Cols)
	if h.ClipNorm > 0 || sumsq.Present() {
		want(op, "sumsq", sumsq, tensor.F32, 1, 1)
	}
	if !q.ready(sumsq, grad, m, v, value) {
		return
	}
	j := &q.adam
	j.step = rows.AdamStep{
		Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Eps,
		Corr2: float32(1 / math.Sqrt(float64(h.Corr2))), Rate: float32(float64(h.LR) / float64(h.Corr1)),
	}
	j.step.Factor, j.step.Bound = clipping(h.ClipNorm, h.ClipValue, sumsq)
	j.grad, j.m, j.v, j.value = view[float32](grad), view[float32](m), view[float32](v), view[float32](value)
	if grad.Stride == grad.Cols && m.Stride == m.Cols && v.Stride == v.Cols && value.Stride == value.Cols {
		j.grad, j.m, j.v, j.value = j.grad.flat(), j.m.flat(), j.v.flat(), j.value.flat()
	}
	j.grid = newGrid(j.value.rows, j.value.cols)
	q.group.Do(j.tasks(), j)
}
