package cpu

import (
	"github.com/saint-gnn/saint/internal/kernels/heads"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// headSumJob aggregates with weights (s+t) A: y = s (A x) + A (t x).
type headSumJob struct {
	pair    heads.Pair
	parts   int
	s       matrix[float32]
	y, mean matrix[float32]
	add     bool
	sums    []float32 // scratch of a worker: two rows
}

// RunTask computes a part of the rows.
func (j *headSumJob) RunTask(worker, task int) {
	lo, hi := partOf(j.pair.Indptr, j.parts, task)
	n := j.y.cols
	sum, dot := j.sums[2*worker*n:][:n], j.sums[(2*worker+1)*n:][:n]
	for i := lo; i < hi; i++ {
		y := j.y.row(i)
		if j.add {
			j.pair.Row(i, sum, dot)
			heads.AddOuter(j.pair.Width, j.s.row(i), sum, y)
			add(dot, y)
			if j.mean.s != nil {
				add(sum, j.mean.row(i))
			}
			continue
		}
		m := sum
		if j.mean.s != nil {
			m = j.mean.row(i)
		}
		j.pair.Row(i, m, y)
		heads.AddOuter(j.pair.Width, j.s.row(i), m, y)
	}
}

// add computes y += x.
func add(x, y []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}

// HeadAggregate computes y = beta y + the weighted sums of the sources' heads.
func (q *Queue) HeadAggregate(self tensor.HeadSelf, a *tensor.CSR, src tensor.Tensor, beta float32, y, mean tensor.Tensor) {
	const op = "HeadAggregate"
	width := checkHeads(op, self, a, src, y)
	option(op, "mean", mean, y.Rows, y.Cols)
	if !q.ready(self.S, self.Top, self.Sum, a.Indptr, a.Indices, a.Values, src, y, mean) || y.Rows == 0 {
		return
	}
	if self.Score != tensor.HeadSum {
		q.runEdges(edgesForward, self, a, src, tensor.Tensor{}, beta, y, width)
		return
	}
	j := &q.heads.sum
	x := view[float32](src)
	setPair(&j.pair, a, x, tail(x.s, y.Cols), x.ld(), self.S.Cols, width)
	j.s, j.y, j.mean, j.add = view[float32](self.S), view[float32](y), view[float32](mean), beta != 0
	j.parts = headParts(j.pair.Indptr, 2*y.Cols)
	j.sums = q.scratch(2 * y.Cols * q.group.Threads())
	q.group.Do(j.parts, j)
	j.pair.Forget()
}

// setPair makes p the sums of a's rows over those of x, with the numbers r of heads.
func setPair(p *heads.Pair, a *tensor.CSR, x matrix[float32], r []float32, ldr, k, width int) {
	p.Indptr, p.Col, p.Val = I32(a.Indptr), I32(a.Indices), F32(a.Values)
	p.X, p.LDX, p.R, p.LDR, p.Heads, p.Width = x.s, x.ld(), r, ldr, k, width
	p.Prepare()
}

// tail returns what comes from element n on.
func tail(x []float32, n int) []float32 { return x[min(n, len(x)):] }

// checkHeads checks the operands of an aggregation and returns the width of a head.
func checkHeads(op string, self tensor.HeadSelf, a *tensor.CSR, src, y tensor.Tensor) (width int) {
	checkCSR(op, a)
	matrixOf(op, "y", y)
	want(op, "y", y, tensor.F32, a.Rows, y.Cols)
	width = headsOf(op, y, y.Cols, self.S)
	want(op, "src", src, tensor.F32, a.Cols, y.Cols+self.S.Cols)
	if self.Score == tensor.HeadSoftmax {
		want(op, "top", self.Top, tensor.F32, y.Rows, self.S.Cols)
		want(op, "sum", self.Sum, tensor.F32, y.Rows, self.S.Cols)
	}
	return width
}

// headSumBackJob is the backward pass to the sources: with q = Aᵀ dy and p = Aᵀ (s dy),
// dx = p + t q and dt = q x.
type headSumBackJob struct {
	pair  heads.Pair // of the transpose, with dy and s
	parts int
	src   matrix[float32]
	dsrc  matrix[float32]
	add   bool
	sums  []float32
}

// RunTask computes a part of the rows.
func (j *headSumBackJob) RunTask(worker, task int) {
	lo, hi := partOf(j.pair.Indptr, j.parts, task)
	n, k := j.pair.Heads*j.pair.Width, j.pair.Heads
	own := j.sums[worker*(2*n+k):][:2*n+k]
	sum, dot, d := own[:n], own[n:2*n], own[2*n:]
	for i := lo; i < hi; i++ {
		src, dsrc := j.src.row(i), j.dsrc.row(i)
		x, t := src[:n], src[n:]
		dx, dt := dsrc[:n], dsrc[n:]
		if !j.add {
			j.pair.Row(i, sum, dx)
			heads.AddOuter(j.pair.Width, t, sum, dx)
			heads.Dots(j.pair.Width, sum, x, dt)
			continue
		}
		j.pair.Row(i, sum, dot)
		heads.AddOuter(j.pair.Width, t, sum, dot)
		add(dot, dx)
		heads.Dots(j.pair.Width, sum, x, d)
		add(d, dt)
	}
}

// HeadAggregateBack computes dsrc = beta dsrc + the gradient of the sources.
func (q *Queue) HeadAggregateBack(self tensor.HeadSelf, at *tensor.CSR, src, dy tensor.Tensor, beta float32, dsrc tensor.Tensor) {
	const op = "HeadAggregateBack"
	checkCSR(op, at)
	matrixOf(op, "dy", dy)
	want(op, "dy", dy, tensor.F32, at.Cols, dy.Cols)
	width := headsOf(op, dy, dy.Cols, self.S)
	want(op, "src", src, tensor.F32, at.Rows, dy.Cols+self.S.Cols)
	want(op, "dsrc", dsrc, tensor.F32, at.Rows, dy.Cols+self.S.Cols)
	if !q.ready(self.S, self.Top, self.Sum, self.Dot, at.Indptr, at.Indices, at.Values, src, dy, dsrc) || dsrc.Rows == 0 {
		return
	}
	if self.Score != tensor.HeadSum {
		q.runEdges(edgesSource, self, at, src, dy, beta, dsrc, width)
		return
	}
	j := &q.heads.sumBack
	d, s := view[float32](dy), view[float32](self.S)
	setPair(&j.pair, at, d, s.s, s.ld(), self.S.Cols, width)
	j.src, j.dsrc, j.add = view[float32](src), view[float32](dsrc), beta != 0
	j.parts = headParts(j.pair.Indptr, 2*dy.Cols)
	j.sums = q.scratch((2*dy.Cols + self.S.Cols) * q.group.Threads())
	q.group.Do(j.parts, j)
	j.pair.Forget()
}
