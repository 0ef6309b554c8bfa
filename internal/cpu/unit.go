package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// leastNorm is what shorter rows are divided by.
const leastNorm = 1e-12

// unitJob scales rows to length one, or does the backward pass of that.
type unitJob struct {
	back        bool
	x, out      matrix[float32] // x is dy in the backward pass
	y           source
	norm        matrix[float32]
	tmp         rowScratch
	rowsPerTask int
}

// RunTask computes a block of rows.
func (j *unitJob) RunTask(worker, task int) {
	lo := task * j.rowsPerTask
	j.block(worker, lo, min(lo+j.rowsPerTask, j.out.rows))
}

// block computes rows [lo,hi).
func (j *unitJob) block(worker, lo, hi int) {
	var made []float32
	if j.y.made != nil {
		made = j.tmp.of(worker, 2, j.out.cols)
	}
	for i := lo; i < hi; i++ {
		norm := &j.norm.s[i*j.norm.stride]
		x := j.x.row(i)
		if j.back {
			y := j.y.at(i, made)
			unitGrad(x, y, f32.Dot(x, y), 1 / *norm, j.out.row(i))
			continue
		}
		*norm = float32(max(math.Sqrt(f32.SumSquares(x)), leastNorm))
		axpby(1 / *norm, x, 0, j.out.row(i))
	}
}

// unitGrad: dx = (dy - y*s)*f.
func unitGrad(dy, y []float32, s, f float32, dx []float32) {
	axpby(f, dy, 0, dx)
	f32.Axpy(-s*f, y, dx)
}

// NormalizeRows computes y = x/max(|x|, 1e-12) per row; norm = max(|x|, 1e-12).
func (q *Queue) NormalizeRows(x, y, norm tensor.Tensor) {
	const op = "NormalizeRows"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	want(op, "norm", norm, tensor.F32, x.Rows, 1)
	if !q.usable(x, y, norm) {
		return
	}
	q.runUnit(q.joins(x, false, nil, []tensor.Tensor{y, norm}), unitJob{x: view[float32](x), out: view[float32](y), norm: view[float32](norm)})
}

// runUnit does j, or lets it follow what is put off.
func (q *Queue) runUnit(joins bool, j unitJob) {
	if joins {
		f := q.put.units.next()
		*f = j
		q.follow(f)
		return
	}
	q.flush()
	q.unit = j
	q.unit.alone(q)
}

// alone does all rows.
func (j *unitJob) alone(q *Queue) {
	j.rowsPerTask = max(1, flatBlock/max(1, j.out.cols))
	q.group.Do(tasks(j.out.rows, j.rowsPerTask), j)
}

func (j *unitJob) done(*Queue) {}

// NormalizeRowsBackward computes dx = (dy - y <y,dy>)/norm.
func (q *Queue) NormalizeRowsBackward(dy, y, norm, dx tensor.Tensor) {
	const op = "NormalizeRowsBackward"
	matrixOf(op, "dy", dy)
	want(op, "y", y, tensor.F32, dy.Rows, dy.Cols)
	want(op, "norm", norm, tensor.F32, dy.Rows, 1)
	want(op, "dx", dx, tensor.F32, dy.Rows, dy.Cols)
	if !q.usable(dy, solid(y), norm, dx) {
		return
	}
	of := operandsOf(y)
	joins := q.joins(dy, false, []tensor.Tensor{norm, of[0], of[1], of[2], of[3]}, []tensor.Tensor{dx})
	q.runUnit(joins, unitJob{
		back: true, x: view[float32](dy), y: sourceOf(y), out: view[float32](dx), norm: view[float32](norm), tmp: q.rowScratch(dy.Cols),
	})
}
