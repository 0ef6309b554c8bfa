package cpu

import (
	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

var _ tensor.HeadNorms = (*Queue)(nil)

// headNormJob is normJob for rows of several heads.
type headNormJob struct {
	affine     []rows.Affine // of each head
	width      int
	x, y       matrix[float32]
	mean, rstd matrix[float32]
	drop       dropper
	tmp        rowScratch
}

// headAffine fills in the operands of each head, in the memory of the earlier ones.
func (q *Queue) headAffine(list []rows.Affine, heads int, scale, offset tensor.Tensor) []rows.Affine {
	width := scale.Cols / heads
	zeros := q.zeroRow(width)
	s, o := view[float32](scale).s, view[float32](offset).s
	list = list[:0]
	for lo := 0; lo < scale.Cols; lo += width {
		a := rows.Affine{Bias: zeros, Scale: s[lo : lo+width]}
		if o != nil {
			a.Offset = o[lo : lo+width]
		}
		list = append(list, a)
	}
	return list
}

// RunTask computes a block of rows.
func (j *headNormJob) RunTask(worker, task int) {
	n, w := headRows(j.x.cols), j.width
	around := j.tmp.of(worker, 0, w)
	hi := min((task+1)*n, j.x.rows)
	for i := task * n; i < hi; i++ {
		x, y, mean, rstd := j.x.row(i), j.y.row(i), j.mean.row(i), j.rstd.row(i)
		soon := min(i+1, hi-1)
		nextX, nextY := j.x.row(soon), j.y.row(soon)
		for k := range j.affine {
			lo, end := k*w, (k+1)*w
			next := rows.Next{X: nextX[lo:end], Out: nextY[lo:end]}
			mean[k], rstd[k] = j.affine[k].Norm(x[lo:end], y[lo:end], around, normEps, next)
		}
		if j.drop.on {
			j.drop.row(i, 0, y, y)
		}
	}
}

// HeadNorm is described at tensor.HeadNorms.
func (q *Queue) HeadNorm(scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	const op = "HeadNorm"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	want(op, "scale", scale, tensor.F32, 1, x.Cols)
	want(op, "offset", offset, tensor.F32, 1, x.Cols)
	width := headsOf(op, x, x.Cols, mean)
	want(op, "rstd", rstd, tensor.F32, x.Rows, mean.Cols)
	drops := dropOf(op, drop, y)
	q.remember(drop.Key, &drops, y.Rows, y.Cols)
	if !q.ready(scale, offset, x, y, mean, rstd) || x.Cols == 0 {
		return
	}
	j := &q.heads.norm
	j.affine, j.width = q.headAffine(j.affine, mean.Cols, scale, offset), width
	j.x, j.y, j.mean, j.rstd = view[float32](x), view[float32](y), view[float32](mean), view[float32](rstd)
	j.drop, j.tmp = drops, q.rowScratch(width)
	q.group.Do(tasks(x.Rows, headRows(x.Cols)), j)
	j.drop.drawn()
}

// headNormBackJob is normBackJob for rows of several heads.
type headNormBackJob struct {
	affine     []rows.Affine
	width      int
	mean, rstd matrix[float32]
	x          source
	dy, dx     matrix[float32]
	drop       dropper
	tmp        rowScratch
	part       []float32 // for each task: sums without use, dscale, doffset
}

// RunTask computes a block of rows and its sums.
func (j *headNormBackJob) RunTask(worker, task int) {
	cols, w := j.x.cols, j.width
	p := j.part[task*3*cols:][:3*cols]
	clear(p)
	around, dropped, made := j.tmp.of(worker, 0, w), j.tmp.of(worker, 1, cols), j.tmp.of(worker, 2, cols)
	hi := min((task+1)*rowBlock, j.x.rows)
	for i := task * rowBlock; i < hi; i++ {
		x, dy, dx := j.x.at(i, made), j.dy.row(i), j.dx.row(i)
		mean, rstd := j.mean.row(i), j.rstd.row(i)
		soon := min(i+1, hi-1)
		nextX, nextDY, nextDX := j.x.soon(soon), j.dy.row(soon), j.dx.row(soon)
		if j.drop.on {
			j.drop.row(i, 0, dy, dropped)
			dy = dropped
		}
		for k := range j.affine {
			lo, end := k*w, (k+1)*w
			sums := rows.Sums{Bias: p[lo:end], Scale: p[cols+lo : cols+end], Offset: p[2*cols+lo : 2*cols+end]}
			next := rows.Next{DY: nextDY[lo:end], Out: nextDX[lo:end]}
			if nextX != nil {
				next.X = nextX[lo:end]
			}
			j.affine[k].Back(x[lo:end], mean[k], rstd[k], dy[lo:end], dx[lo:end], &sums, around, next)
		}
	}
}

// HeadNormBackward is described at tensor.HeadNorms.
func (q *Queue) HeadNormBackward(scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dscale, doffset tensor.Tensor) {
	const op = "HeadNormBackward"
	matrixOf(op, "x", x)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	want(op, "scale", scale, tensor.F32, 1, x.Cols)
	want(op, "dscale", dscale, tensor.F32, 1, x.Cols)
	want(op, "doffset", doffset, tensor.F32, 1, x.Cols)
	width := headsOf(op, x, x.Cols, mean)
	want(op, "rstd", rstd, tensor.F32, x.Rows, mean.Cols)
	drops := dropOf(op, drop, dy)
	q.remember(drop.Key, &drops, dy.Rows, dy.Cols)
	if !q.ready(scale, mean, rstd, solid(x), dy, dx, dscale, doffset) || x.Cols == 0 {
		return
	}
	j := &q.heads.normBack
	j.affine, j.width = q.headAffine(j.affine, mean.Cols, scale, tensor.Tensor{}), width
	j.mean, j.rstd = view[float32](mean), view[float32](rstd)
	j.x, j.dy, j.dx = sourceOf(x), view[float32](dy), view[float32](dx)
	j.drop, j.tmp = drops, q.rowScratch(x.Cols)
	n := tasks(x.Rows, rowBlock)
	j.part = q.scratch(n * 3 * x.Cols)
	q.group.Do(n, j)
	j.drop.drawn()
	q.addColumns(j.part, n, x.Cols, nil, view[float32](dscale).s, view[float32](doffset).s)
}
