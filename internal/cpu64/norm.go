package cpu64

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

const (
	normEps   = 1e-9  // added to the variance of a row
	leastNorm = 1e-12 // what shorter rows are divided by
)

// checkAct panics unless a is an activation of package tensor.
func checkAct(op string, a tensor.Act) {
	if a > tensor.LeakyReLU {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("activation %d", a), Want: "one of package tensor"})
	}
}

// activate returns act(v); a NaN stays one.
func activate(act tensor.Act, v float64) float64 {
	switch {
	case act == tensor.Identity || v > 0 || v != v:
		return v
	case act == tensor.LeakyReLU:
		return 0.2 * v
	}
	return 0
}

// slope returns the derivative of act at v, which may be before or after the activation.
func slope(act tensor.Act, v float64) float64 {
	switch {
	case act == tensor.Identity || v > 0:
		return 1
	case act == tensor.LeakyReLU:
		return 0.2
	}
	return 0
}

// normJob is BiasActNorm, or its backward pass. Of an absent norm scale is empty.
type normJob struct {
	back                bool
	act                 tensor.Act
	bias, scale, offset []float64
	x, y                matrix[float64] // y is dx in the backward pass
	mean, rstd, dy      matrix[float64]
	drop                dropper
}

func (j *normJob) do(lo, hi int, part []float64) {
	for i := lo; i < hi; i++ {
		if j.back {
			j.backward(i, part)
		} else {
			j.forward(i)
		}
	}
}

func (j *normJob) forward(i int) {
	x, y := j.x.row(i), j.y.row(i)
	sum := 0.0
	for k, v := range x {
		y[k] = activate(j.act, v+j.bias[k])
		sum += y[k]
	}
	if len(j.scale) > 0 {
		n := float64(len(y))
		mean, squares := sum/n, 0.0
		for _, v := range y {
			squares += (v - mean) * (v - mean)
		}
		rstd := 1 / math.Sqrt(squares/n+normEps)
		*j.mean.at(i), *j.rstd.at(i) = mean, rstd
		for k, v := range y {
			y[k] = (v-mean)*rstd*j.scale[k] + j.offset[k]
		}
	}
	if j.drop.on {
		j.drop.row(i, y, y)
	}
}

// backward computes a row of dx and adds to part, which holds dbias, dscale and doffset.
func (j *normJob) backward(i int, part []float64) {
	x, dy, dx := j.x.row(i), j.dy.row(i), j.y.row(i)
	n := len(x)
	dbias, dscale, doffset := part[:n], part[n:2*n], part[2*n:3*n]
	if j.drop.on {
		j.drop.row(i, dy, dx)
		dy = dx
	}
	if len(j.scale) == 0 {
		for k, v := range x {
			dx[k] = dy[k] * slope(j.act, v+j.bias[k])
			dbias[k] += dx[k]
		}
		return
	}
	mean, rstd := *j.mean.at(i), *j.rstd.at(i)
	var g, gx float64
	for k, v := range x {
		hat := (activate(j.act, v+j.bias[k]) - mean) * rstd
		d := dy[k]
		g += d * j.scale[k]
		gx += d * j.scale[k] * hat
		dscale[k] += d * hat
		doffset[k] += d
	}
	g, gx = g/float64(n), gx/float64(n)
	for k, v := range x {
		v += j.bias[k]
		hat := (activate(j.act, v) - mean) * rstd
		dx[k] = rstd * (dy[k]*j.scale[k] - g - hat*gx) * slope(j.act, v)
		dbias[k] += dx[k]
	}
}

// biasOf returns the elements of a bias, zeros if it is absent.
func (q *Queue) biasOf(bias tensor.Tensor, cols int) []float64 {
	if !bias.Present() {
		return q.zeroRow(cols)
	}
	return numbers(bias).s
}

// BiasActNorm computes a = act(x + bias); y = drop((a-mean)*rstd*scale + offset).
func (q *Queue) BiasActNorm(act tensor.Act, bias, scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	const op = "BiasActNorm"
	matrixOf(op, "x", x)
	wantNumbers(op, "y", y, x.Rows, x.Cols)
	checkBiasNorm(op, act, x.Rows, x.Cols, bias, scale, mean, rstd)
	option(op, "offset", offset, 1, x.Cols)
	together(op, "scale, offset", scale, offset)
	drops := dropOf(op, drop, y)
	if !q.ready(bias, scale, offset, x, y, mean, rstd) || x.Cols == 0 {
		return
	}
	q.norm = normJob{
		act: act, bias: q.biasOf(bias, x.Cols), scale: numbers(scale).s, offset: numbers(offset).s,
		x: numbers(x), y: numbers(y), mean: numbers(mean), rstd: numbers(rstd), drop: drops,
	}
	q.overRows(x.Rows, x.Cols, &q.norm)
}

// checkBiasNorm checks what BiasActNorm and its backward pass have in common.
func checkBiasNorm(op string, act tensor.Act, rows, cols int, bias, scale, mean, rstd tensor.Tensor) {
	checkAct(op, act)
	option(op, "bias", bias, 1, cols)
	option(op, "scale", scale, 1, cols)
	option(op, "mean", mean, rows, 1)
	option(op, "rstd", rstd, rows, 1)
	together(op, "scale, mean, rstd", scale, mean, rstd)
}

// BiasActNormBackward computes dx = gradient with respect to x; dbias, dscale, doffset += theirs.
func (q *Queue) BiasActNormBackward(act tensor.Act, bias, scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dbias, dscale, doffset tensor.Tensor) {
	const op = "BiasActNormBackward"
	matrixOf(op, "x", x)
	wantNumbers(op, "dy", dy, x.Rows, x.Cols)
	wantNumbers(op, "dx", dx, x.Rows, x.Cols)
	checkBiasNorm(op, act, x.Rows, x.Cols, bias, scale, mean, rstd)
	option(op, "dbias", dbias, 1, x.Cols)
	option(op, "dscale", dscale, 1, x.Cols)
	option(op, "doffset", doffset, 1, x.Cols)
	together(op, "bias, dbias", bias, dbias)
	together(op, "scale, dscale, doffset", scale, dscale, doffset)
	drops := dropOf(op, drop, dy)
	if !q.ready(bias, scale, mean, rstd, x, dy, dx, dbias, dscale, doffset) || x.Cols == 0 {
		return
	}
	q.norm = normJob{
		back: true, act: act, bias: q.biasOf(bias, x.Cols), scale: numbers(scale).s,
		x: numbers(x), y: numbers(dx), dy: numbers(dy), mean: numbers(mean), rstd: numbers(rstd), drop: drops,
	}
	sums := q.sumRows(x.Rows, 3*x.Cols, &q.norm)
	addTo(numbers(dbias), sums)
	addTo(numbers(dscale), sums[x.Cols:])
	addTo(numbers(doffset), sums[2*x.Cols:])
}

// unitJob scales rows to length one, or does the backward pass of that.
type unitJob struct {
	back            bool
	x, y, out, norm matrix[float64] // x is dy in the backward pass
}

func (j *unitJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		x, out, norm := j.x.row(i), j.out.row(i), j.norm.at(i)
		if !j.back {
			*norm = max(math.Sqrt(dot(x, x)), leastNorm)
			for k, v := range x {
				out[k] = v / *norm
			}
			continue
		}
		y := j.y.row(i)
		s := dot(x, y)
		for k, v := range x {
			out[k] = (v - y[k]*s) / *norm
		}
	}
}

func dot(x, y []float64) float64 {
	y = y[:len(x)]
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// NormalizeRows computes y = x/max(|x|, 1e-12) per row; norm = max(|x|, 1e-12).
func (q *Queue) NormalizeRows(x, y, norm tensor.Tensor) {
	const op = "NormalizeRows"
	matrixOf(op, "x", x)
	wantNumbers(op, "y", y, x.Rows, x.Cols)
	wantNumbers(op, "norm", norm, x.Rows, 1)
	if !q.ready(x, y, norm) {
		return
	}
	q.unit = unitJob{x: numbers(x), out: numbers(y), norm: numbers(norm)}
	q.overRows(x.Rows, x.Cols, &q.unit)
}

// NormalizeRowsBackward computes dx = (dy - y <y,dy>)/norm.
func (q *Queue) NormalizeRowsBackward(dy, y, norm, dx tensor.Tensor) {
	const op = "NormalizeRowsBackward"
	matrixOf(op, "dy", dy)
	wantNumbers(op, "y", y, dy.Rows, dy.Cols)
	wantNumbers(op, "norm", norm, dy.Rows, 1)
	wantNumbers(op, "dx", dx, dy.Rows, dy.Cols)
	if !q.ready(dy, y, norm, dx) {
		return
	}
	q.unit = unitJob{back: true, x: numbers(dy), y: numbers(y), out: numbers(dx), norm: numbers(norm)}
	q.overRows(dy.Rows, dy.Cols, &q.unit)
}
