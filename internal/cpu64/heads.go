package cpu64

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f64"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// headsOf returns the width of a head of a matrix x of cols columns of heads, of which s has a
// column for each.
func headsOf(op string, x tensor.Tensor, cols int, s tensor.Tensor) (width int) {
	wantNumbers(op, "head columns", s, x.Rows, s.Cols)
	if s.Cols == 0 || cols%s.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns for %d heads", cols, s.Cols), Want: "a multiple"})
	}
	return cols / s.Cols
}

// head returns the columns of head k.
func head(x []float64, k, width int) []float64 { return x[k*width : (k+1)*width] }

// headDotsJob is HeadDots, or its backward pass.
type headDotsJob struct {
	back        bool
	act         tensor.Act
	x, a, s     matrix[float64]
	bias        []float64
	ds, dx      matrix[float64]
	beta        float64
	heads, wide int
}

func (j *headDotsJob) do(lo, hi int, part []float64) {
	for i := lo; i < hi; i++ {
		a := j.a.row(min(i, j.a.rows-1))
		for k := range j.heads {
			if j.back {
				j.backward(i, k, a, part)
			} else {
				v := j.bias[k] + dot(head(j.x.row(i), k, j.wide), head(a, k, j.wide))
				j.s.row(i)[k] = activate(j.act, v)
			}
		}
	}
}

// backward does head k of row i; part holds da and dbias.
func (j *headDotsJob) backward(i, k int, a, part []float64) {
	g := j.ds.row(i)[k] * slope(j.act, j.s.row(i)[k])
	part[j.x.cols+k] += g
	f64.Axpy(g, head(j.x.row(i), k, j.wide), head(part, k, j.wide))
	if j.dx.s != nil {
		axpby(g, head(a, k, j.wide), j.beta, head(j.dx.row(i), k, j.wide))
	}
}

// HeadDots computes s = act(dots of the heads of x and a, plus bias).
func (q *Queue) HeadDots(act tensor.Act, x, a, bias, s tensor.Tensor) {
	const op = "HeadDots"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, s)
	checkAct(op, act)
	if a.Rows != 1 {
		wantNumbers(op, "a", a, x.Rows, x.Cols)
	}
	wantNumbers(op, "a", a, a.Rows, x.Cols)
	option(op, "bias", bias, 1, s.Cols)
	if !q.ready(x, a, bias, s) {
		return
	}
	q.dots = headDotsJob{
		act: act, x: numbers(x), a: numbers(a), s: numbers(s), bias: q.biasOf(bias, s.Cols), heads: s.Cols, wide: width,
	}
	q.overRows(x.Rows, x.Cols, &q.dots)
}

// HeadDotsBackward computes dx = beta dx + gradient; da, dbias += theirs.
func (q *Queue) HeadDotsBackward(act tensor.Act, x, a, s, ds tensor.Tensor, beta float32, dx, da, dbias tensor.Tensor) {
	const op = "HeadDotsBackward"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, s)
	checkAct(op, act)
	wantNumbers(op, "a", a, 1, x.Cols)
	wantNumbers(op, "ds", ds, x.Rows, s.Cols)
	wantNumbers(op, "da", da, 1, x.Cols)
	option(op, "dx", dx, x.Rows, x.Cols)
	option(op, "dbias", dbias, 1, s.Cols)
	if !q.ready(x, a, s, ds, dx, da, dbias) {
		return
	}
	q.dots = headDotsJob{
		back: true, act: act, x: numbers(x), a: numbers(a), s: numbers(s), ds: numbers(ds), dx: numbers(dx),
		beta: float64(beta), heads: s.Cols, wide: width,
	}
	sums := q.sumRows(x.Rows, x.Cols+s.Cols, &q.dots)
	addTo(numbers(da), sums)
	addTo(numbers(dbias), sums[x.Cols:])
}

// headScaleJob multiplies heads by gates, or does the backward pass of that, where y is dy.
type headScaleJob struct {
	sigmoid, back    bool
	g, x, y, dx, dg  matrix[float64]
	heads, headWidth int
}

func (j *headScaleJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		for k := range j.heads {
			f, slope := j.g.row(i)[k], 1.0
			if j.sigmoid {
				f = 1 / (1 + math.Exp(-f))
				slope = f * (1 - f)
			}
			x, y := head(j.x.row(i), k, j.headWidth), head(j.y.row(i), k, j.headWidth)
			if !j.back {
				axpby(f, x, 0, y)
				continue
			}
			j.dg.row(i)[k] = slope * dot(x, y)
			axpby(f, y, 0, head(j.dx.row(i), k, j.headWidth))
		}
	}
}

// HeadScale computes y = x f(g).
func (q *Queue) HeadScale(sigmoid bool, g, x, y tensor.Tensor) {
	const op = "HeadScale"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, g)
	wantNumbers(op, "y", y, x.Rows, x.Cols)
	if !q.ready(g, x, y) {
		return
	}
	q.scale = headScaleJob{sigmoid: sigmoid, g: numbers(g), x: numbers(x), y: numbers(y), heads: g.Cols, headWidth: width}
	q.overRows(x.Rows, x.Cols, &q.scale)
}

// HeadScaleBackward computes the gradients of HeadScale.
func (q *Queue) HeadScaleBackward(sigmoid bool, g, x, dy, dx, dg tensor.Tensor) {
	const op = "HeadScaleBackward"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, g)
	wantNumbers(op, "dy", dy, x.Rows, x.Cols)
	wantNumbers(op, "dx", dx, x.Rows, x.Cols)
	wantNumbers(op, "dg", dg, x.Rows, g.Cols)
	if !q.ready(g, x, dy, dx, dg) {
		return
	}
	q.scale = headScaleJob{
		sigmoid: sigmoid, back: true, g: numbers(g), x: numbers(x), y: numbers(dy), dx: numbers(dx), dg: numbers(dg),
		heads: g.Cols, headWidth: width,
	}
	q.overRows(x.Rows, x.Cols, &q.scale)
}

// groupMaxJob finds the largest of groups of columns, or gives gradients back to them.
type groupMaxJob struct {
	back bool
	x, y matrix[float64]
	arg  matrix[int32]
}

func (j *groupMaxJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		x, y, arg := j.x.row(i), j.y.row(i), j.arg.row(i)
		if j.back {
			clear(x)
			for c, v := range y {
				x[int(arg[c])*len(y)+c] = v
			}
			continue
		}
		for c := range y {
			y[c], arg[c] = x[c], 0
			for k := 1; k*len(y) < len(x); k++ {
				if v := x[k*len(y)+c]; v > y[c] {
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
	wantNumbers(op, "y", y, x.Rows, y.Cols)
	want(op, "arg", arg, tensor.I32, x.Rows, y.Cols)
	if y.Cols == 0 && x.Cols > 0 || y.Cols > 0 && x.Cols%y.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns in groups of %d", x.Cols, y.Cols), Want: "a multiple"})
	}
	if !q.ready(x, y, arg) || y.Cols == 0 || x.Cols == 0 {
		return
	}
	q.groups = groupMaxJob{back: back, x: numbers(x), y: numbers(y), arg: view[int32](arg)}
	q.overRows(x.Rows, x.Cols, &q.groups)
}
