package cpu64

import (
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// batchPass says what a batchJob does.
type batchPass uint8

const (
	batchSum     batchPass = iota // sums of x
	batchSquares                  // sums of (x-mean)²
	batchApply                    // y = (x-mean)*rstd*scale + offset
	batchSums                     // sums of dy and dy*(x-mean)*rstd
	batchGrad                     // y = scale*rstd*(dy - a - (x-mean)*rstd*b)
)

// batchJob is a pass of batch normalization.
type batchJob struct {
	pass                      batchPass
	x, y, dy                  matrix[float64]
	mean, rstd, scale, offset []float64
	a, b                      []float64 // means over the rows of what batchSums adds up
}

func (j *batchJob) do(lo, hi int, part []float64) {
	for i := lo; i < hi; i++ {
		switch x := j.x.row(i); j.pass {
		case batchSum:
			add(part, x)
		case batchSquares:
			for k, v := range x {
				part[k] += (v - j.mean[k]) * (v - j.mean[k])
			}
		case batchApply:
			y := j.y.row(i)
			for k, v := range x {
				y[k] = (v-j.mean[k])*j.rstd[k]*j.scale[k] + j.offset[k]
			}
		case batchSums:
			for k, d := range j.dy.row(i) {
				part[k] += d
				part[len(x)+k] += d * (x[k] - j.mean[k]) * j.rstd[k]
			}
		case batchGrad:
			dy, dx := j.dy.row(i), j.y.row(i)
			for k, v := range x {
				dx[k] = j.scale[k] * j.rstd[k] * (dy[k] - j.a[k] - (v-j.mean[k])*j.rstd[k]*j.b[k])
			}
		}
	}
}

// wantRows is wantNumbers for 1×cols tensors.
func wantRows(op string, cols int, names []string, ts ...tensor.Tensor) {
	for i, t := range ts {
		wantNumbers(op, names[i], t, 1, cols)
	}
}

// BatchNorm computes y = (x-mean)/sqrt(var+eps)*scale + offset over the rows of each column. An x
// without rows changes nothing.
func (q *Queue) BatchNorm(eps, momentum float32, scale, offset, x, y, mean, rstd, runMean, runVar tensor.Tensor) {
	const op = "BatchNorm"
	matrixOf(op, "x", x)
	wantNumbers(op, "y", y, x.Rows, x.Cols)
	wantRows(op, x.Cols, []string{"scale", "offset", "mean", "rstd"}, scale, offset, mean, rstd)
	option(op, "runMean", runMean, 1, x.Cols)
	option(op, "runVar", runVar, 1, x.Cols)
	together(op, "runMean, runVar", runMean, runVar)
	if !q.ready(scale, offset, x, y, mean, rstd, runMean, runVar) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	n := float64(x.Rows)
	j := &q.batch
	*j = batchJob{
		pass: batchSum, x: numbers(x), y: numbers(y), mean: numbers(mean).s, rstd: numbers(rstd).s,
		scale: numbers(scale).s, offset: numbers(offset).s,
	}
	for k, s := range q.sumRows(x.Rows, x.Cols, j) {
		j.mean[k] = s / n
	}
	j.pass = batchSquares
	squares := q.sumRows(x.Rows, x.Cols, j)
	for k, s := range squares {
		j.rstd[k] = 1 / math.Sqrt(s/n+float64(eps))
	}
	if runMean.Present() {
		f, m, v := float64(momentum), numbers(runMean).s, numbers(runVar).s
		for k, s := range squares {
			m[k] = (1-f)*m[k] + f*j.mean[k]
			v[k] = (1-f)*v[k] + f*s/max(n-1, 1)
		}
	}
	j.pass = batchApply
	q.overRows(x.Rows, x.Cols, j)
}

// BatchNormInfer computes y = (x-mean)/sqrt(var+eps)*scale + offset with given statistics.
func (q *Queue) BatchNormInfer(eps float32, scale, offset, mean, variance, x, y tensor.Tensor) {
	const op = "BatchNormInfer"
	matrixOf(op, "x", x)
	wantNumbers(op, "y", y, x.Rows, x.Cols)
	wantRows(op, x.Cols, []string{"scale", "offset", "mean", "variance"}, scale, offset, mean, variance)
	if !q.ready(scale, offset, mean, variance, x, y) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	rstd := q.scratch(x.Cols)
	for k, v := range numbers(variance).s {
		rstd[k] = 1 / math.Sqrt(v+float64(eps))
	}
	q.batch = batchJob{
		pass: batchApply, x: numbers(x), y: numbers(y), mean: numbers(mean).s, rstd: rstd,
		scale: numbers(scale).s, offset: numbers(offset).s,
	}
	q.overRows(x.Rows, x.Cols, &q.batch)
}

// BatchNormBackward computes dx = gradient, dscale, doffset += theirs.
func (q *Queue) BatchNormBackward(scale, mean, rstd, x, dy, dx, dscale, doffset tensor.Tensor) {
	const op = "BatchNormBackward"
	matrixOf(op, "x", x)
	wantNumbers(op, "dy", dy, x.Rows, x.Cols)
	wantNumbers(op, "dx", dx, x.Rows, x.Cols)
	wantRows(op, x.Cols, []string{"scale", "mean", "rstd", "dscale", "doffset"}, scale, mean, rstd, dscale, doffset)
	if !q.ready(scale, mean, rstd, x, dy, dx, dscale, doffset) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	j := &q.batch
	*j = batchJob{
		pass: batchSums, x: numbers(x), dy: numbers(dy), y: numbers(dx),
		mean: numbers(mean).s, rstd: numbers(rstd).s, scale: numbers(scale).s,
	}
	sums := q.sumRows(x.Rows, 2*x.Cols, j)
	addTo(numbers(doffset), sums)
	addTo(numbers(dscale), sums[x.Cols:])
	for k := range sums {
		sums[k] /= float64(x.Rows)
	}
	j.pass, j.a, j.b = batchGrad, sums[:x.Cols], sums[x.Cols:]
	q.overRows(x.Rows, x.Cols, j)
}
