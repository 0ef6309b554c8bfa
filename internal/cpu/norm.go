package cpu

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// normEps is added to the variance of a row.
const normEps = 1e-9

type normJob struct {
	act                 rows.Act
	bias, scale, offset []float32
	x, y                matrix[float32]
	norm                bool
	mean, rstd          matrix[float32]
	drop                dropper
	rowsPerTask         int
}

// RunTask computes a block of rows.
func (j *normJob) RunTask(_, task int) {
	lo := task * j.rowsPerTask
	end := min(lo+j.rowsPerTask, j.x.rows)
	for i := lo; i < end; i++ {
		if i+1 < end {
			rows.Fetch(j.x.row(i + 1))
			rows.Fetch(j.y.row(i + 1))
		}
		y := j.y.row(i)
		sum := rows.BiasAct(j.act, j.x.row(i), j.bias, y)
		if j.norm {
			j.standardize(i, sum, y)
		}
		if j.drop.on {
			j.drop.row(i, 0, y, y)
		}
	}
}

// standardize does the norm of row i, whose sum is known.
func (j *normJob) standardize(i int, sum float32, y []float32) {
	n := float32(len(y))
	mean := sum / n
	rstd := float32(1 / math.Sqrt(float64(rows.SquaresAround(y, mean)/n)+normEps))
	j.mean.s[i*j.mean.stride], j.rstd.s[i*j.rstd.stride] = mean, rstd
	rows.Standardize(y, mean, rstd, j.scale, j.offset)
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
	if !q.ready(bias, scale, offset, x, y, mean, rstd) || x.Cols == 0 {
		return
	}
	j := &q.norm
	j.act, j.norm, j.drop = kernelAct(op, act), scale.Present(), drops
	j.bias = view[float32](bias).s
	if j.bias == nil {
		j.bias = q.zeroRow(x.Cols)
	}
	j.scale, j.offset = view[float32](scale).s, view[float32](offset).s
	j.x, j.y = view[float32](x), view[float32](y)
	j.mean, j.rstd = view[float32](mean), view[float32](rstd)
	j.rowsPerTask = max(1, flatBlock/x.Cols)
	q.group.Do(tasks(x.Rows, j.rowsPerTask), j)
	j.drop.drawn()
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
	act         rows.Act
	bias, scale []float32
	mean, rstd  matrix[float32]
	x, dy, dx   matrix[float32]
	drop        dropper
	part        []float32 // for each task: dbias, dscale, doffset
}

// RunTask computes a block of rows and its sums.
func (j *normBackJob) RunTask(_, task int) {
	cols := j.x.cols
	p := j.part[task*3*cols:][:3*cols]
	clear(p)
	sums := rows.Sums{Bias: p[:cols], Scale: p[cols : 2*cols], Offset: p[2*cols:]}
	end := min((task+1)*rowBlock, j.x.rows)
	for i := task * rowBlock; i < end; i++ {
		if i+1 < end {
			rows.Fetch(j.dy.row(i + 1))
			rows.Fetch(j.x.row(i + 1))
			rows.Fetch(j.dx.row(i + 1))
		}
		x, dy, dx := j.x.row(i), j.dy.row(i), j.dx.row(i)
		if j.drop.on {
			j.drop.row(i, 0, dy, dx)
			dy = dx
		}
		if j.scale == nil {
			rows.ActBack(j.act, x, j.bias, dy, dx, sums.Bias)
			continue
		}
		rows.NormBack(j.act, x, j.bias, j.scale, j.mean.s[i*j.mean.stride], j.rstd.s[i*j.rstd.stride], dy, dx, &sums)
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
	if !q.ready(bias, scale, mean, rstd, x, dy, dx, dbias, dscale, doffset) || x.Cols == 0 {
		return
	}
	j := &q.normBack
	j.act, j.drop = kernelAct(op, act), drops
	j.bias, j.scale = view[float32](bias).s, view[float32](scale).s
	if j.bias == nil {
		j.bias = q.zeroRow(x.Cols)
	}
	j.mean, j.rstd = view[float32](mean), view[float32](rstd)
	j.x, j.dy, j.dx = view[float32](x), view[float32](dy), view[float32](dx)
	n := tasks(x.Rows, rowBlock)
	j.part = q.scratch(n * 3 * x.Cols)
	q.group.Do(n, j)
	j.drop.drawn()
	q.addColumns(j.part, n, x.Cols, view[float32](dbias).s, view[float32](dscale).s, view[float32](doffset).s)
}
