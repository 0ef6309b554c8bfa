package cpu

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/internal/kernels/heads"
	"github.com/saint-gnn/saint/internal/kernels/pairs"
	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/internal/workers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// headJobs are the kept jobs of attention layers.
type headJobs struct {
	dots     headDotsJob
	dotsBack headDotsBackJob
	scale    headScaleJob
	sum      headSumJob
	sumBack  headSumBackJob
	edges    headEdgesJob
	max      headMaxJob
	groups   groupMaxJob
	pairs    pairs.Job[float32]
	norm     headNormJob
	normBack headNormBackJob
}

// headsOf returns the number of heads and their width from a matrix of all heads' columns and
// one of a column for each.
func headsOf(op string, x tensor.Tensor, cols int, s tensor.Tensor) (width int) {
	want(op, "head columns", s, tensor.F32, x.Rows, s.Cols)
	if s.Cols == 0 || cols%s.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns for %d heads", cols, s.Cols), Want: "a multiple"})
	}
	return cols / s.Cols
}

// headRows is the number of rows of a task.
func headRows(cols int) int { return max(1, flatBlock/max(1, cols)) }

type headDotsJob struct {
	act     rows.Act
	x, a, s matrix[float32]
	bias    []float32
	width   int
	same    bool // one row of a for all
}

// RunTask computes a block of rows.
func (j *headDotsJob) RunTask(_, task int) {
	n := headRows(j.x.cols)
	for i := task * n; i < min((task+1)*n, j.x.rows); i++ {
		r := i
		if j.same {
			r = 0
		}
		s := j.s.row(i)
		heads.Dots(j.width, j.x.row(i), j.a.row(r), s)
		if j.bias != nil || j.act != rows.Identity {
			headAct(j.act, j.bias, s)
		}
	}
}

// headAct computes s = act(s + bias) for the few scores of a row.
func headAct(act rows.Act, bias, s []float32) {
	for k, v := range s {
		if bias != nil {
			v += bias[k]
		}
		s[k] = actOf(act, v)
	}
}

func actOf(act rows.Act, v float32) float32 {
	switch {
	case act == rows.Identity || v > 0 || v != v:
		return v
	case act == rows.Leaky:
		return 0.2 * v
	}
	return 0
}

// slopeOf is the derivative where the activated value is v.
func slopeOf(act rows.Act, v float32) float32 {
	switch {
	case act == rows.Identity || v > 0:
		return 1
	case act == rows.Leaky:
		return 0.2
	}
	return 0
}

// HeadDots computes s = act(dots of the heads of x and a, plus bias).
func (q *Queue) HeadDots(act tensor.Act, x, a, bias, s tensor.Tensor) {
	const op = "HeadDots"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, s)
	if a.Rows != 1 {
		want(op, "a", a, tensor.F32, x.Rows, x.Cols)
	}
	want(op, "a", a, tensor.F32, a.Rows, x.Cols)
	option(op, "bias", bias, 1, s.Cols)
	if !q.ready(x, a, bias, s) {
		return
	}
	j := &q.heads.dots
	j.act, j.x, j.a, j.s = kernelAct(op, act), view[float32](x), view[float32](a), view[float32](s)
	j.bias, j.width, j.same = view[float32](bias).s, width, a.Rows == 1
	q.group.Do(tasks(x.Rows, headRows(x.Cols)), j)
}

type headDotsBackJob struct {
	act            rows.Act
	x, a, s, ds    matrix[float32]
	dx             matrix[float32]
	clear          bool
	width          int
	part, biasPart []float32
	grads          []float32 // of a worker: those of a row's scores
}

// RunTask computes a block of rows and its sums.
func (j *headDotsBackJob) RunTask(worker, task int) {
	k := j.s.cols
	da, db := j.part[task*j.x.cols:][:j.x.cols], j.biasPart[task*k:][:k]
	clear(da)
	clear(db)
	g := j.grads[worker*k:][:k]
	for i := task * rowBlock; i < min((task+1)*rowBlock, j.x.rows); i++ {
		for h, v := range j.s.row(i) {
			g[h] = j.ds.s[i*j.ds.stride+h] * slopeOf(j.act, v)
			db[h] += g[h]
		}
		heads.AddOuter(j.width, g, j.x.row(i), da)
		if j.dx.s == nil {
			continue
		}
		dx := j.dx.row(i)
		if j.clear {
			heads.Scale(j.width, g, j.a.s, dx)
		} else {
			heads.AddOuter(j.width, g, j.a.s, dx)
		}
	}
}

// HeadDotsBackward computes dx = beta dx + gradient; da, dbias += theirs.
func (q *Queue) HeadDotsBackward(act tensor.Act, x, a, s, ds tensor.Tensor, beta float32, dx, da, dbias tensor.Tensor) {
	const op = "HeadDotsBackward"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, s)
	want(op, "a", a, tensor.F32, 1, x.Cols)
	want(op, "ds", ds, tensor.F32, x.Rows, s.Cols)
	want(op, "da", da, tensor.F32, 1, x.Cols)
	option(op, "dx", dx, x.Rows, x.Cols)
	option(op, "dbias", dbias, 1, s.Cols)
	if !q.ready(x, a, s, ds, dx, da, dbias) {
		return
	}
	j := &q.heads.dotsBack
	j.act, j.x, j.a, j.s = kernelAct(op, act), view[float32](x), view[float32](a), view[float32](s)
	j.ds, j.dx, j.clear, j.width = view[float32](ds), view[float32](dx), beta == 0, width
	n := tasks(x.Rows, rowBlock)
	all := q.scratch(n*(x.Cols+s.Cols) + q.group.Threads()*s.Cols)
	j.part, all = all[:n*x.Cols], all[n*x.Cols:]
	j.biasPart, j.grads = all[:n*s.Cols], all[n*s.Cols:]
	q.group.Do(n, j)
	q.addRows(j.part, n, view[float32](da).s)
	q.addRows(j.biasPart, n, view[float32](dbias).s)
}

// addRows adds n rows of sums to out, unless it is nil.
func (q *Queue) addRows(part []float32, n int, out []float32) {
	for t := range n {
		p := part[t*len(out):][:len(out)]
		for i, v := range p {
			out[i] += v
		}
	}
}

// headScaleJob multiplies heads by gates, or does the backward pass of that.
type headScaleJob struct {
	sigmoid, back bool
	g, x, y       matrix[float32]
	dx, dg        matrix[float32]
	width         int
}

// RunTask computes a block of rows.
func (j *headScaleJob) RunTask(_, task int) {
	n := headRows(j.x.cols)
	for i := task * n; i < min((task+1)*n, j.x.rows); i++ {
		g := j.g.row(i)
		if !j.back {
			j.gated(g, j.x.row(i), j.y.row(i))
			continue
		}
		dg, dy := j.dg.row(i), j.y.row(i)
		heads.Dots(j.width, j.x.row(i), dy, dg)
		j.gated(g, dy, j.dx.row(i))
		if j.sigmoid {
			for k, v := range g {
				f := logistic(v)
				dg[k] *= f * (1 - f)
			}
		}
	}
}

// gated computes y = x f(g).
func (j *headScaleJob) gated(g, x, y []float32) {
	if !j.sigmoid {
		heads.Scale(j.width, g, x, y)
		return
	}
	for k, v := range g {
		f := [1]float32{logistic(v)}
		heads.Scale(j.width, f[:], x[k*j.width:], y[k*j.width:])
	}
}

func logistic(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }

// HeadScale computes y = x f(g).
func (q *Queue) HeadScale(sigmoid bool, g, x, y tensor.Tensor) {
	const op = "HeadScale"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, g)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	if !q.ready(g, x, y) {
		return
	}
	q.heads.scale = headScaleJob{sigmoid: sigmoid, g: view[float32](g), x: view[float32](x), y: view[float32](y), width: width}
	q.group.Do(tasks(x.Rows, headRows(x.Cols)), &q.heads.scale)
}

// HeadScaleBackward computes the gradients of HeadScale.
func (q *Queue) HeadScaleBackward(sigmoid bool, g, x, dy, dx, dg tensor.Tensor) {
	const op = "HeadScaleBackward"
	matrixOf(op, "x", x)
	width := headsOf(op, x, x.Cols, g)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	want(op, "dg", dg, tensor.F32, x.Rows, g.Cols)
	if !q.ready(g, x, dy, dx, dg) {
		return
	}
	q.heads.scale = headScaleJob{
		sigmoid: sigmoid, back: true, g: view[float32](g), x: view[float32](x), y: view[float32](dy),
		dx: view[float32](dx), dg: view[float32](dg), width: width,
	}
	q.group.Do(tasks(x.Rows, headRows(x.Cols)), &q.heads.scale)
}

// headParts cuts the rows of a CSR matrix into parts of about equal work.
func headParts(indptr []int32, cols int) int {
	rows := len(indptr) - 1
	work := (int64(indptr[rows]-indptr[0]) + int64(rows)) * int64(cols)
	return int(max(1, min(int64(rows), work>>17)))
}

// checkCSR checks the parts of a matrix.
func checkCSR(op string, a *tensor.CSR) {
	want(op, "indptr", a.Indptr, tensor.I32, a.Rows+1, 1)
	want(op, "indices", a.Indices, tensor.I32, a.Indices.Rows, 1)
	want(op, "values", a.Values, tensor.F32, a.Indices.Rows, 1)
}

// partOf returns the rows of a task.
func partOf(indptr []int32, parts, task int) (lo, hi int) {
	return workers.RowsByNNZ(indptr, parts, task)
}
