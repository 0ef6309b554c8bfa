package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// normEps is added to the variance of a row.
const normEps = 1e-9

type normJob struct {
	rows.Affine
	x           source
	y           matrix[float32]
	norm        bool
	mean, rstd  matrix[float32]
	drop        dropper
	tmp         rowScratch
	rowsPerTask int
}

// rowScratch is memory for rows of each worker.
type rowScratch struct {
	s     []float32
	width int
}

// of returns row i of a worker, of n elements.
func (r *rowScratch) of(worker, i, n int) []float32 {
	return r.s[(worker*scratchRows+i)*r.width:][:n]
}

// scratchRows is how many rows each worker has, and scratchPad what keeps those of neighbours
// off the same cache line.
const (
	scratchRows = 3
	scratchPad  = 16
)

// rowScratch returns rows of n elements for all workers.
func (q *Queue) rowScratch(n int) rowScratch {
	width := (n+scratchPad-1)/scratchPad*scratchPad + scratchPad
	if need := q.group.Threads() * scratchRows * width; len(q.around) < need {
		q.around = make([]float32, need)
	}
	return rowScratch{q.around, width}
}

// RunTask computes a block of rows.
func (j *normJob) RunTask(worker, task int) {
	lo := task * j.rowsPerTask
	j.block(worker, lo, min(lo+j.rowsPerTask, j.x.rows))
}

// block computes rows [lo,hi).
func (j *normJob) block(worker, lo, hi int) {
	around, made := j.tmp.of(worker, 0, j.x.cols), j.tmp.of(worker, 2, j.x.cols)
	for i := lo; i < hi; i++ {
		x, y := j.x.at(i, made), j.y.row(i)
		var next rows.Next
		if i+1 < hi {
			next = rows.Next{X: j.x.soon(i + 1), Out: j.y.row(i + 1)}
		}
		if j.norm {
			j.mean.s[i*j.mean.stride], j.rstd.s[i*j.rstd.stride] = j.Norm(x, y, around, normEps, next)
		} else {
			rows.Fetch(next.X)
			rows.Fetch(next.Out)
			rows.BiasAct(j.Act, x, j.Bias, y)
		}
		if j.drop.on {
			j.drop.row(i, 0, y, y)
		}
	}
}

// kernelAct returns the kernels' name of an activation.
func kernelAct(op string, a tensor.Act) rows.Act {
	switch a {
	case tensor.Identity:
		return rows.Identity
	case tensor.ReLU:
		return rows.ReLU
	case tensor.LeakyReLU:
		return rows.Leaky
	}
	panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("activation %d", a), Want: "one of package tensor"})
}

// BiasActNorm computes a = act(x + bias); y = drop((a-mean)*rstd*scale + offset).
func (q *Queue) BiasActNorm(act tensor.Act, bias, scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	const op = "BiasActNorm"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	checkBiasNorm(op, x.Rows, x.Cols, bias, scale, mean, rstd)
	option(op, "offset", offset, 1, x.Cols)
	together(op, "scale, offset", scale, offset)
	drops := dropOf(op, drop, y)
	q.remember(drop.Key, &drops, y.Rows, y.Cols)
	if !q.usable(bias, scale, offset, solid(x), y, mean, rstd) || x.Cols == 0 {
		return
	}
	j := &q.norm
	joins := madeOf(x) == nil && q.joins(x, false, []tensor.Tensor{bias, scale, offset}, []tensor.Tensor{y, mean, rstd})
	if joins {
		j = q.put.norms.next()
	} else {
		q.flush()
	}
	j.norm, j.drop, j.tmp = scale.Present(), drops, q.rowScratch(x.Cols)
	j.Affine = affineOf(kernelAct(op, act), bias, scale, offset)
	if j.Bias == nil {
		j.Bias = q.zeroRow(x.Cols)
	}
	j.x, j.y = sourceOf(x), view[float32](y)
	j.mean, j.rstd = view[float32](mean), view[float32](rstd)
	if joins {
		q.follow(j)
		return
	}
	j.alone(q)
	j.done(q)
}

// alone does all rows.
func (j *normJob) alone(q *Queue) {
	j.rowsPerTask = max(1, flatBlock/j.x.cols)
	q.group.Do(tasks(j.x.rows, j.rowsPerTask), j)
}

func (j *normJob) done(*Queue) { j.drop.drawn() }

// affineOf returns the kernels' form of the operands of a norm.
func affineOf(act rows.Act, bias, scale, offset tensor.Tensor) rows.Affine {
	return rows.Affine{Act: act, Bias: view[float32](bias).s, Scale: view[float32](scale).s, Offset: view[float32](offset).s}
}

// checkBiasNorm checks what BiasActNorm and its backward pass have in common.
func checkBiasNorm(op string, rows, cols int, bias, scale, mean, rstd tensor.Tensor) {
	option(op, "bias", bias, 1, cols)
	option(op, "scale", scale, 1, cols)
	option(op, "mean", mean, rows, 1)
	option(op, "rstd", rstd, rows, 1)
	together(op, "scale, mean, rstd", scale, mean, rstd)
}

type normBackJob struct {
	rows.Affine
	mean, rstd matrix[float32]
	x          source
	dy, dx     matrix[float32]
	drop       dropper
	tmp        rowScratch
	part       []float32 // for each sumRows rows: dbias, dscale, doffset
	sumRows    int
	out        [3]matrix[float32]
}

// RunTask computes a block of rows and its sums.
func (j *normBackJob) RunTask(worker, task int) {
	j.block(worker, task*j.sumRows, min((task+1)*j.sumRows, j.x.rows))
}

// block computes rows [lo,hi), which begin at a multiple of sumRows.
func (j *normBackJob) block(worker, lo, hi int) {
	for ; lo < hi; lo += j.sumRows {
		j.sum(worker, lo, min(lo+j.sumRows, hi))
	}
}

// sum computes rows [lo,hi) and their sums.
func (j *normBackJob) sum(worker, lo, hi int) {
	cols := j.x.cols
	p := j.part[lo/j.sumRows*3*cols:][:3*cols]
	clear(p)
	sums := rows.Sums{Bias: p[:cols], Scale: p[cols : 2*cols], Offset: p[2*cols:]}
	around, dropped, made := j.tmp.of(worker, 0, cols), j.tmp.of(worker, 1, cols), j.tmp.of(worker, 2, cols)
	for i := lo; i < hi; i++ {
		x, dy, dx := j.x.at(i, made), j.dy.row(i), j.dx.row(i)
		var next rows.Next
		if i+1 < hi {
			next = rows.Next{X: j.x.soon(i + 1), DY: j.dy.row(i + 1), Out: j.dx.row(i + 1)}
		}
		if j.drop.on {
			j.drop.row(i, 0, dy, dropped)
			dy = dropped
		}
		if j.Scale == nil {
			rows.Fetch(next.X)
			rows.Fetch(next.DY)
			rows.Fetch(next.Out)
			rows.ActBack(j.Act, x, j.Bias, dy, dx, sums.Bias)
			continue
		}
		j.Back(x, j.mean.s[i*j.mean.stride], j.rstd.s[i*j.rstd.stride], dy, dx, &sums, around, next)
	}
}

// BiasActNormBackward computes dx = gradient with respect to x; dbias, dscale, doffset += theirs.
func (q *Queue) BiasActNormBackward(act tensor.Act, bias, scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dbias, dscale, doffset tensor.Tensor) {
	const op = "BiasActNormBackward"
	matrixOf(op, "x", x)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	checkBiasNorm(op, x.Rows, x.Cols, bias, scale, mean, rstd)
	option(op, "dbias", dbias, 1, x.Cols)
	option(op, "dscale", dscale, 1, x.Cols)
	option(op, "doffset", doffset, 1, x.Cols)
	together(op, "bias, dbias", bias, dbias)
	together(op, "scale, dscale, doffset", scale, dscale, doffset)
	drops := dropOf(op, drop, dy)
	q.remember(drop.Key, &drops, dy.Rows, dy.Cols)
	if !q.usable(bias, scale, mean, rstd, solid(x), dy, dx, dbias, dscale, doffset) || x.Cols == 0 {
		return
	}
	j := &q.normBack
	of := operandsOf(x)
	joins := q.joins(dy, true, []tensor.Tensor{bias, scale, mean, rstd, of[0], of[1], of[2], of[3]}, []tensor.Tensor{dx, dbias, dscale, doffset})
	if joins {
		j = q.put.backs.next()
	} else {
		q.flush()
	}
	j.Affine, j.drop, j.tmp = affineOf(kernelAct(op, act), bias, scale, tensor.Tensor{}), drops, q.rowScratch(x.Cols)
	if j.Bias == nil {
		j.Bias = q.zeroRow(x.Cols)
	}
	j.mean, j.rstd = view[float32](mean), view[float32](rstd)
	j.x, j.dy, j.dx = sourceOf(x), view[float32](dy), view[float32](dx)
	j.out = [3]matrix[float32]{view[float32](dbias), view[float32](dscale), view[float32](doffset)}
	j.sumRows = q.sumRows()
	if n := tasks(x.Rows, j.sumRows) * 3 * x.Cols; len(j.part) < n {
		j.part = make([]float32, n+n/8)
	}
	if joins {
		q.follow(j)
		return
	}
	j.alone(q)
	j.done(q)
}

// alone does all rows.
func (j *normBackJob) alone(q *Queue) { q.group.Do(tasks(j.x.rows, j.sumRows), j) }

// done adds up the sums.
func (j *normBackJob) done(q *Queue) {
	j.drop.drawn()
	q.addColumns(j.part, tasks(j.x.rows, j.sumRows), j.x.cols, j.out[0].s, j.out[1].s, j.out[2].s)
}
