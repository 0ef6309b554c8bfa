package cpu64

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f64"
	"github.com/saint-gnn/saint/internal/kernels/pairs"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// edgePass says what a headEdgesJob computes.
type edgePass uint8

const (
	edgesForward edgePass = iota // y and mean, from rows of A
	edgesSelf                    // gradient of the destinations' scores, from rows of A
	edgesSource                  // gradient of the sources, from rows of the transpose
)

// headEdgesJob aggregates sources with a weight for each edge and head, or does one of the
// backward passes. src and its gradient hold features and, behind them, scores.
type headEdgesJob struct {
	pass            edgePass
	score           tensor.HeadScore
	col             matrix[int32]
	val             matrix[float64]
	s               matrix[float64]
	top, sum, dot   matrix[float64]
	src, dy         matrix[float64]
	out, mean       matrix[float64]
	clear           bool
	n, heads, width int // columns of the features, their heads
	drop            pairs.Drop
}

func (j *headEdgesJob) row(i int, from, to int32) {
	out := j.out.row(i)
	if j.clear {
		clear(out)
		clear(j.mean.row(i))
	}
	for e := from; e < to; e++ {
		c, val := int(*j.col.at(int(e))), *j.val.at(int(e))
		for k := range j.heads {
			switch j.pass {
			case edgesForward:
				x := head(j.src.row(c), k, j.width)
				w, _, _ := j.weight(i, c, k, val)
				f64.Axpy(w*j.drop.Mask(int32(i), int32(c), k), x, head(out, k, j.width))
				if j.mean.s != nil {
					f64.Axpy(val, x, head(j.mean.row(i), k, j.width))
				}
			case edgesSelf:
				_, ds, _ := j.weight(i, c, k, val)
				out[k] += j.change(i, c, k) * ds
			case edgesSource:
				w, _, dt := j.weight(c, i, k, val)
				f64.Axpy(w*j.drop.Mask(int32(c), int32(i), k), head(j.dy.row(c), k, j.width), head(out, k, j.width))
				out[j.n+k] += j.change(c, i, k) * dt
			}
		}
	}
}

// weight returns the weight of the edge u<-v in head k and its derivatives with respect to the
// scores of u and v; those of HeadSoftmax are for a change of the weight less dot.
func (j *headEdgesJob) weight(u, v, k int, val float64) (w, ds, dt float64) {
	z := j.s.row(u)[k] + j.src.row(v)[j.n+k]
	switch j.score {
	case tensor.HeadSum:
		return z * val, val, val
	case tensor.HeadReLU:
		if z > 0 {
			return z * val, val, val
		}
		return 0 * z, 0, 0
	case tensor.HeadSoftmax:
	}
	d := slope(tensor.LeakyReLU, z)
	if z == 0 {
		d = 1
	}
	w = math.Exp(activate(tensor.LeakyReLU, z)-j.top.row(u)[k]) / j.sum.row(u)[k]
	return w, w * d, w * d
}

// change returns the gradient of the weight of u<-v in head k.
func (j *headEdgesJob) change(u, v, k int) float64 {
	dw := dot(head(j.src.row(v), k, j.width), head(j.dy.row(u), k, j.width))
	if j.score == tensor.HeadSoftmax {
		dw = j.drop.Mask(int32(u), int32(v), k)*dw - j.dot.row(u)[k]
	}
	return dw
}

// wantHeads checks the operands of an aggregation, of whose u×v matrix a is u long.
func wantHeads(op string, self tensor.HeadSelf, us, vs int, src, y tensor.Tensor) (width int) {
	wantNumbers(op, "y", y, us, y.Cols)
	width = headsOf(op, y, y.Cols, self.S)
	wantNumbers(op, "src", src, vs, y.Cols+self.S.Cols)
	if self.Score == tensor.HeadSoftmax {
		wantNumbers(op, "top", self.Top, us, self.S.Cols)
		wantNumbers(op, "sum", self.Sum, us, self.S.Cols)
	}
	return width
}

// runHeads runs a pass; y is what was aggregated to, or its gradient.
func (q *Queue) runHeads(pass edgePass, self tensor.HeadSelf, a *tensor.CSR, src, y tensor.Tensor, beta float32, out, mean tensor.Tensor, width int) {
	if !q.ready(self.S, self.Top, self.Sum, self.Dot, a.Indptr, a.Indices, a.Values, src, y, out, mean) {
		return
	}
	q.heads = headEdgesJob{
		pass: pass, score: self.Score, col: view[int32](a.Indices), val: numbers(a.Values),
		s: numbers(self.S), top: numbers(self.Top), sum: numbers(self.Sum), dot: numbers(self.Dot),
		src: numbers(src), dy: numbers(y), out: numbers(out), mean: numbers(mean), clear: beta == 0,
		n: y.Cols, heads: self.S.Cols, width: width,
		drop: edgeDrop(self.Drop),
	}
	q.overEdges(a, 2*y.Cols, &q.heads)
}

// HeadAggregate computes y = beta y + the weighted sums of the sources' heads.
func (q *Queue) HeadAggregate(self tensor.HeadSelf, a *tensor.CSR, src tensor.Tensor, beta float32, y, mean tensor.Tensor) {
	const op = "HeadAggregate"
	wantCSR(op, a)
	width := wantHeads(op, self, a.Rows, a.Cols, src, y)
	if self.Score != tensor.HeadSum {
		mean = tensor.Tensor{}
	}
	option(op, "mean", mean, y.Rows, y.Cols)
	q.runHeads(edgesForward, self, a, src, y, beta, y, mean, width)
}

// HeadAggregateSelf computes ds = beta ds + the gradient of the destinations' scores.
func (q *Queue) HeadAggregateSelf(self tensor.HeadSelf, a *tensor.CSR, src, dy tensor.Tensor, beta float32, ds tensor.Tensor) {
	const op = "HeadAggregateSelf"
	wantCSR(op, a)
	width := wantHeads(op, self, a.Rows, a.Cols, src, dy)
	wantNumbers(op, "ds", ds, dy.Rows, self.S.Cols)
	if self.Score == tensor.HeadSum {
		panic(&tensor.ShapeError{Op: op, Got: "sums of scores", Want: "another kind"})
	}
	q.runHeads(edgesSelf, self, a, src, dy, beta, ds, tensor.Tensor{}, width)
}

// HeadAggregateBack computes dsrc = beta dsrc + the gradient of the sources.
func (q *Queue) HeadAggregateBack(self tensor.HeadSelf, at *tensor.CSR, src, dy tensor.Tensor, beta float32, dsrc tensor.Tensor) {
	const op = "HeadAggregateBack"
	wantCSR(op, at)
	width := wantHeads(op, self, at.Cols, at.Rows, src, dy)
	wantNumbers(op, "dsrc", dsrc, at.Rows, dy.Cols+self.S.Cols)
	q.runHeads(edgesSource, self, at, src, dy, beta, dsrc, tensor.Tensor{}, width)
}

// headSumsJob keeps, of the scores of a row's edges, the largest and the sum of exponentials
// relative to it.
type headSumsJob struct {
	col            matrix[int32]
	s, t, top, sum matrix[float64]
	first          bool
}

func (j *headSumsJob) row(i int, from, to int32) {
	top, sum := j.top.row(i), j.sum.row(i)
	if j.first {
		clear(top)
		clear(sum)
	}
	for e := from; e < to; e++ {
		t := j.t.row(int(*j.col.at(int(e))))
		for k, s := range j.s.row(i) {
			switch z := activate(tensor.LeakyReLU, s+t[k]); {
			case sum[k] == 0:
				top[k], sum[k] = z, 1
			case z > top[k]:
				top[k], sum[k] = z, sum[k]*math.Exp(top[k]-z)+1
			default:
				sum[k] += math.Exp(z - top[k])
			}
		}
	}
}

// HeadSoftmaxSums adds the entries of a to the largest scores and the sums of exponentials.
func (q *Queue) HeadSoftmaxSums(a *tensor.CSR, s, t tensor.Tensor, first bool, top, sum tensor.Tensor) {
	const op = "HeadSoftmaxSums"
	wantCSR(op, a)
	wantNumbers(op, "s", s, a.Rows, s.Cols)
	wantNumbers(op, "t", t, a.Cols, s.Cols)
	wantNumbers(op, "top", top, a.Rows, s.Cols)
	wantNumbers(op, "sum", sum, a.Rows, s.Cols)
	if !q.ready(a.Indptr, a.Indices, a.Values, s, t, top, sum) {
		return
	}
	q.softmax = headSumsJob{
		col: view[int32](a.Indices), s: numbers(s), t: numbers(t), top: numbers(top), sum: numbers(sum), first: first,
	}
	q.overEdges(a, 16*s.Cols, &q.softmax)
}

// neighborMaxJob finds the largest neighbours, or gives gradients back to them.
type neighborMaxJob struct {
	back  bool
	col   matrix[int32]
	x, y  matrix[float64] // x is dy and y is dx in the backward pass
	arg   matrix[int32]
	base  int32
	first bool
}

func (j *neighborMaxJob) row(i int, from, to int32) {
	y := j.y.row(i)
	if j.first {
		clear(y)
	}
	if j.back {
		j.gradient(j.base+int32(i), from, to, y)
		return
	}
	arg := j.arg.row(i)
	if j.first {
		fill(arg, -1)
	}
	for e := from; e < to; e++ {
		c := *j.col.at(int(e))
		for k, v := range j.x.row(int(c)) {
			if arg[k] < 0 || v > y[k] {
				y[k], arg[k] = v, j.base+c
			}
		}
	}
}

func (j *neighborMaxJob) gradient(own, from, to int32, dx []float64) {
	last := int32(-1)
	for e := from; e < to; e++ {
		c := *j.col.at(int(e))
		if c == last {
			continue // a second entry of the same two nodes
		}
		last = c
		dy := j.x.row(int(c))
		for k, a := range j.arg.row(int(c)) {
			if a == own {
				dx[k] += dy[k]
			}
		}
	}
}

// NeighborMax computes the largest of the entries' rows, column by column, and where it is.
func (q *Queue) NeighborMax(a *tensor.CSR, x tensor.Tensor, base int32, first bool, y, arg tensor.Tensor) {
	const op = "NeighborMax"
	wantCSR(op, a)
	wantNumbers(op, "x", x, a.Cols, x.Cols)
	wantNumbers(op, "y", y, a.Rows, x.Cols)
	want(op, "arg", arg, tensor.I32, a.Rows, x.Cols)
	if !q.ready(a.Indptr, a.Indices, a.Values, x, y, arg) {
		return
	}
	q.most = neighborMaxJob{
		col: view[int32](a.Indices), x: numbers(x), y: numbers(y), arg: view[int32](arg), base: base, first: first,
	}
	q.overEdges(a, x.Cols, &q.most)
}

// NeighborMaxBackward computes dx = beta dx + the gradients that NeighborMax took from there.
func (q *Queue) NeighborMaxBackward(at *tensor.CSR, arg, dy tensor.Tensor, base int32, beta float32, dx tensor.Tensor) {
	const op = "NeighborMaxBackward"
	wantCSR(op, at)
	wantNumbers(op, "dy", dy, at.Cols, dy.Cols)
	want(op, "arg", arg, tensor.I32, at.Cols, dy.Cols)
	wantNumbers(op, "dx", dx, at.Rows, dy.Cols)
	if !q.ready(at.Indptr, at.Indices, at.Values, arg, dy, dx) {
		return
	}
	q.most = neighborMaxJob{
		back: true, col: view[int32](at.Indices), x: numbers(dy), y: numbers(dx), arg: view[int32](arg), base: base, first: beta == 0,
	}
	q.overEdges(at, dy.Cols, &q.most)
}
