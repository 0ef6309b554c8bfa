package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// batchJob is the passes of batch normalization, forward and backward.
type batchJob struct {
	pass      batchPass
	x, dy, y  matrix[float32] // y is dx in the backward pass
	part      []float32       // for each task: rows of sums
	mul, add  []float32       // apply: y = x*mul + add
	mean      []float32
	rstd, dys []float32 // gradient: dys is the factor of dy
}

type batchPass uint8

const (
	batchMoments batchPass = iota // mean of each block, sums and squares around it
	batchApply                    // y = (x-mean)*mul + add
	batchSums                     // sums of dy and dy*(x-mean)*rstd
	batchGrad                     // dx = dy*dys - (x-mean)*mul - add
)

// RunTask does one block of rows of the pass.
func (j *batchJob) RunTask(_, task int) {
	cols := j.x.cols
	lo, hi := task*rowBlock, min((task+1)*rowBlock, j.x.rows)
	switch j.pass {
	case batchMoments:
		p := j.part[task*3*cols:][:3*cols]
		clear(p)
		j.moments(lo, hi, p[:cols], p[cols:2*cols], p[2*cols:])
	case batchApply:
		for i := lo; i < hi; i++ {
			affine(j.x.row(i), j.mean, j.mul, j.add, j.y.row(i))
		}
	case batchSums:
		p := j.part[task*2*cols:][:2*cols]
		clear(p)
		for i := lo; i < hi; i++ {
			gradSums(j.x.row(i), j.mean, j.rstd, j.dy.row(i), p[:cols], p[cols:])
		}
	case batchGrad:
		for i := lo; i < hi; i++ {
			batchGradRow(j.x.row(i), j.mean, j.mul, j.add, j.dys, j.dy.row(i), j.y.row(i))
		}
	}
}

// moments sets mean to about the column means of rows [lo,hi), and s1 and s2 to the sums of
// differences to it and of their squares: two short passes over rows in cache instead of two
// long ones over memory. s1 is what rounding left in mean.
func (j *batchJob) moments(lo, hi int, mean, s1, s2 []float32) {
	for i := lo; i < hi; i++ {
		f32.Add(j.x.row(i), mean)
	}
	f := 1 / float32(hi-lo)
	for i := range mean {
		mean[i] *= f
	}
	for i := lo; i < hi; i++ {
		x := j.x.row(i)
		m, s1, s2 := mean[:len(x)], s1[:len(x)], s2[:len(x)]
		for k, v := range x {
			d := v - m[k]
			s1[k] += d
			s2[k] += d * d
		}
	}
}

// affine: y = (x-mean)*mul + add.
func affine(x, mean, mul, add, y []float32) {
	mean, mul, add, y = mean[:len(x)], mul[:len(x)], add[:len(x)], y[:len(x)]
	for i, v := range x {
		y[i] = (v-mean[i])*mul[i] + add[i]
	}
}

// gradSums adds dy to s and dy*(x-mean)*rstd to sx.
func gradSums(x, mean, rstd, dy, s, sx []float32) {
	mean, rstd, dy, s, sx = mean[:len(x)], rstd[:len(x)], dy[:len(x)], s[:len(x)], sx[:len(x)]
	for i, v := range x {
		d := dy[i]
		s[i] += d
		sx[i] += d * ((v - mean[i]) * rstd[i])
	}
}

func batchGradRow(x, mean, mul, add, dys, dy, dx []float32) {
	mean, mul, add = mean[:len(x)], mul[:len(x)], add[:len(x)]
	dys, dy, dx = dys[:len(x)], dy[:len(x)], dx[:len(x)]
	for i, v := range x {
		dx[i] = dy[i]*dys[i] - (v-mean[i])*mul[i] - add[i]
	}
}

// combine merges the moments of the blocks (Chan, Golub and LeVeque 1983) into column means
// and population variances.
func combine(part []float32, rows, cols int, mean, variance []float64) {
	clear(mean)
	clear(variance)
	for t := range tasks(rows, rowBlock) {
		n := float64(min(rowBlock, rows-t*rowBlock))
		p := part[t*3*cols:][:3*cols]
		for c := range mean {
			mean[c] += n*float64(p[c]) + float64(p[cols+c])
		}
	}
	for c := range mean {
		mean[c] /= float64(rows)
	}
	for t := range tasks(rows, rowBlock) {
		n := float64(min(rowBlock, rows-t*rowBlock))
		p := part[t*3*cols:][:3*cols]
		for c := range variance {
			// The squares are around p[c]; moving them to mean adds the cross term.
			d, s1 := float64(p[c])-mean[c], float64(p[cols+c])
			variance[c] += float64(p[2*cols+c]) + 2*d*s1 + n*d*d
		}
	}
	for c := range variance {
		variance[c] = max(variance[c]/float64(rows), 0)
	}
}

// BatchNorm computes y = (x-mean)/sqrt(var+eps)*scale + offset over the rows of each column. An x
// without rows changes nothing.
func (q *Queue) BatchNorm(eps, momentum float32, scale, offset, x, y, mean, rstd, runMean, runVar tensor.Tensor) {
	const op = "BatchNorm"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	wantRows(op, x.Cols, []string{"scale", "offset", "mean", "rstd"}, scale, offset, mean, rstd)
	option(op, "runMean", runMean, 1, x.Cols)
	option(op, "runVar", runVar, 1, x.Cols)
	together(op, "runMean, runVar", runMean, runVar)
	if !q.ready(scale, offset, x, y, mean, rstd, runMean, runVar) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	n, cols := tasks(x.Rows, rowBlock), x.Cols
	s := q.scratch((3*n + 1) * cols)
	j := &q.batch
	*j = batchJob{pass: batchMoments, x: view[float32](x), y: view[float32](y), part: s[:3*n*cols]}
	q.group.Do(n, j)

	sums := q.lossScratch(2 * cols)
	means, vars := sums[:cols], sums[cols:]
	combine(j.part, x.Rows, cols, means, vars)
	m, r, sc := view[float32](mean).s, view[float32](rstd).s, view[float32](scale).s
	mul := s[3*n*cols:]
	for c := range m {
		m[c], r[c] = float32(means[c]), float32(1/math.Sqrt(vars[c]+float64(eps)))
		mul[c] = r[c] * sc[c]
	}
	if runMean.Present() {
		running(momentum, x.Rows, means, vars, view[float32](runMean).s, view[float32](runVar).s)
	}
	j.pass, j.mean, j.mul, j.add = batchApply, m, mul, view[float32](offset).s
	q.group.Do(n, j)
}

// running updates the running statistics.
func running(momentum float32, rows int, mean, variance []float64, runMean, runVar []float32) {
	f, unbiased := float64(momentum), 1.0
	if rows > 1 {
		unbiased = float64(rows) / float64(rows-1)
	}
	for c := range runMean {
		runMean[c] = float32((1-f)*float64(runMean[c]) + f*mean[c])
		runVar[c] = float32((1-f)*float64(runVar[c]) + f*variance[c]*unbiased)
	}
}

// wantRows is want for 1×cols tensors.
func wantRows(op string, cols int, names []string, ts ...tensor.Tensor) {
	for i, t := range ts {
		want(op, names[i], t, tensor.F32, 1, cols)
	}
}

// BatchNormInfer computes y = (x-mean)/sqrt(var+eps)*scale + offset with given statistics.
func (q *Queue) BatchNormInfer(eps float32, scale, offset, mean, variance, x, y tensor.Tensor) {
	const op = "BatchNormInfer"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	wantRows(op, x.Cols, []string{"scale", "offset", "mean", "variance"}, scale, offset, mean, variance)
	if !q.ready(scale, offset, mean, variance, x, y) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	mul := q.scratch(x.Cols)
	sc, v := view[float32](scale).s, view[float32](variance).s
	for c := range mul {
		mul[c] = float32(1/math.Sqrt(float64(v[c])+float64(eps))) * sc[c]
	}
	j := &q.batch
	*j = batchJob{
		pass: batchApply, x: view[float32](x), y: view[float32](y),
		mean: view[float32](mean).s, mul: mul, add: view[float32](offset).s,
	}
	q.group.Do(tasks(x.Rows, rowBlock), j)
}

// BatchNormBackward computes dx = gradient, dscale, doffset += theirs.
func (q *Queue) BatchNormBackward(scale, mean, rstd, x, dy, dx, dscale, doffset tensor.Tensor) {
	const op = "BatchNormBackward"
	matrixOf(op, "x", x)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	wantRows(op, x.Cols, []string{"scale", "mean", "rstd", "dscale", "doffset"}, scale, mean, rstd, dscale, doffset)
	if !q.ready(scale, mean, rstd, x, dy, dx, dscale, doffset) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	n, cols := tasks(x.Rows, rowBlock), x.Cols
	s := q.scratch((2*n + 3) * cols)
	j := &q.batch
	*j = batchJob{
		pass: batchSums, x: view[float32](x), dy: view[float32](dy), y: view[float32](dx),
		mean: view[float32](mean).s, rstd: view[float32](rstd).s, part: s[:2*n*cols],
	}
	q.group.Do(n, j)

	f := s[2*n*cols:]
	j.dys, j.mul, j.add = f[:cols], f[cols:2*cols], f[2*cols:]
	sc, ds, do := view[float32](scale).s, view[float32](dscale).s, view[float32](doffset).s
	for c := range cols {
		var sumDY, sumDYX float64
		for t := range n {
			sumDY += float64(j.part[t*2*cols+c])
			sumDYX += float64(j.part[(t*2+1)*cols+c])
		}
		do[c] = float32(float64(do[c]) + sumDY)
		ds[c] = float32(float64(ds[c]) + sumDYX)
		k := float64(sc[c]) * float64(j.rstd[c])
		j.dys[c] = float32(k)
		j.mul[c] = float32(k * float64(j.rstd[c]) * sumDYX / float64(x.Rows))
		j.add[c] = float32(k * sumDY / float64(x.Rows))
	}
	j.pass = batchGrad
	q.group.Do(n, j)
}
