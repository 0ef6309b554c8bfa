package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/heads"
	"github.com/saint-gnn/saint/internal/kernels/pairs"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// edgePass says what a headEdgesJob computes.
type edgePass uint8

const (
	edgesForward edgePass = iota // y, from rows of A
	edgesSelf                    // gradient of the destinations' scores, from rows of A
	edgesSource                  // gradient of the sources, from rows of the transpose
)

// headEdgesJob aggregates with weights that depend on both scores at once, so that each edge's
// is made anew.
type headEdgesJob struct {
	pass          edgePass
	score         tensor.HeadScore
	indptr, col   []int32
	val           []float32
	s             matrix[float32]
	top, sum, dot matrix[float32]
	src, dy, out  matrix[float32]
	add           bool
	width, parts  int
	drop          pairs.Drop
}

// runEdges runs a pass; out is y, ds or dsrc.
func (q *Queue) runEdges(pass edgePass, self tensor.HeadSelf, a *tensor.CSR, src, dy tensor.Tensor, beta float32, out tensor.Tensor, width int) {
	j := &q.heads.edges
	j.pass, j.score, j.add, j.width = pass, self.Score, beta != 0, width
	j.indptr, j.col, j.val = I32(a.Indptr), I32(a.Indices), F32(a.Values)
	j.s, j.top, j.sum, j.dot = view[float32](self.S), view[float32](self.Top), view[float32](self.Sum), view[float32](self.Dot)
	j.src, j.dy, j.out = view[float32](src), view[float32](dy), view[float32](out)
	j.drop = edgeDrop(self.Drop)
	j.parts = headParts(j.indptr, 2*width*self.S.Cols)
	q.group.Do(j.parts, j)
}

// RunTask computes a part of the rows.
func (j *headEdgesJob) RunTask(_, task int) {
	lo, hi := partOf(j.indptr, j.parts, task)
	for i := lo; i < hi; i++ {
		out := j.out.row(i)
		if !j.add {
			clear(out)
		}
		for e := j.indptr[i]; e < j.indptr[i+1]; e++ {
			c := int(j.col[e])
			switch j.pass {
			case edgesForward:
				j.forward(i, c, j.val[e], out)
			case edgesSelf:
				j.self(i, c, j.val[e], out)
			default:
				j.source(c, i, j.val[e], out)
			}
		}
	}
}

// weight returns the weight of the edge u<-v in head k, and what a change of it has to be
// multiplied by to be one of the score s+t; for HeadSoftmax that is of the change less dot.
func (j *headEdgesJob) weight(u, k int, t, val float32) (w, slope float32) {
	z := j.s.s[u*j.s.stride+k] + t
	if j.score == tensor.HeadReLU {
		if z > 0 {
			return z * val, val
		}
		return 0 * z, 0
	}
	slope = 1
	if z < 0 {
		z, slope = 0.2*z, 0.2
	}
	w = float32(math.Exp(float64(z-j.top.s[u*j.top.stride+k]))) / j.sum.s[u*j.sum.stride+k]
	return w, w * slope
}

func (j *headEdgesJob) forward(u, v int, val float32, y []float32) {
	src := j.src.row(v)
	x, t := src[:len(y)], src[len(y):]
	for k, tk := range t {
		w, _ := j.weight(u, k, tk, val)
		f := [1]float32{w * j.mask(u, v, k)}
		heads.AddOuter(j.width, f[:], x[k*j.width:], y[k*j.width:])
	}
}

// mask returns what dropout multiplies the weight of u<-v in head k by.
func (j *headEdgesJob) mask(u, v, k int) float32 {
	if j.drop.Threshold == 0 {
		return 1
	}
	return float32(j.drop.Mask(int32(u), int32(v), k))
}

// change returns the gradient of the score of u<-v in head k, whose weight counts mask times.
func (j *headEdgesJob) change(u, k int, slope, mask float32, x, dy []float32) float32 {
	var dw [1]float32
	heads.Dots(j.width, x[k*j.width:], dy[k*j.width:], dw[:])
	if j.score == tensor.HeadSoftmax {
		dw[0] = mask*dw[0] - j.dot.s[u*j.dot.stride+k]
	}
	return dw[0] * slope
}

func (j *headEdgesJob) self(u, v int, val float32, ds []float32) {
	src, dy := j.src.row(v), j.dy.row(u)
	x, t := src[:len(dy)], src[len(dy):]
	for k, tk := range t {
		_, slope := j.weight(u, k, tk, val)
		ds[k] += j.change(u, k, slope, j.mask(u, v, k), x, dy)
	}
}

func (j *headEdgesJob) source(u, v int, val float32, dsrc []float32) {
	src, dy := j.src.row(v), j.dy.row(u)
	x, t := src[:len(dy)], src[len(dy):]
	dx, dt := dsrc[:len(dy)], dsrc[len(dy):]
	for k, tk := range t {
		w, slope := j.weight(u, k, tk, val)
		m := j.mask(u, v, k)
		f := [1]float32{w * m}
		heads.AddOuter(j.width, f[:], dy[k*j.width:], dx[k*j.width:])
		dt[k] += j.change(u, k, slope, m, x, dy)
	}
}

// HeadAggregateSelf computes ds = beta ds + the gradient of the destinations' scores.
func (q *Queue) HeadAggregateSelf(self tensor.HeadSelf, a *tensor.CSR, src, dy tensor.Tensor, beta float32, ds tensor.Tensor) {
	const op = "HeadAggregateSelf"
	width := checkHeads(op, self, a, src, dy)
	want(op, "ds", ds, tensor.F32, dy.Rows, self.S.Cols)
	if self.Score == tensor.HeadSum {
		panic(&tensor.ShapeError{Op: op, Got: "sums of scores", Want: "another kind"})
	}
	if q.ready(self.S, self.Top, self.Sum, self.Dot, a.Indptr, a.Indices, a.Values, src, dy, ds) {
		q.runEdges(edgesSelf, self, a, src, dy, beta, ds, width)
	}
}

// headMaxJob finds the largest neighbours, their gradients, or the sums of softmax.
type headMaxJob struct {
	pass        maxPass
	indptr, col []int32
	x, y, sum   matrix[float32]
	s           matrix[float32]
	arg         matrix[int32]
	base        int32
	first       bool
	parts       int
}

type maxPass uint8

const (
	maxForward maxPass = iota
	maxBack
	maxSums
)

// RunTask computes a part of the rows.
func (j *headMaxJob) RunTask(_, task int) {
	lo, hi := partOf(j.indptr, j.parts, task)
	for i := lo; i < hi; i++ {
		entries := j.col[j.indptr[i]:j.indptr[i+1]]
		switch j.pass {
		case maxForward:
			j.largest(entries, j.y.row(i), j.arg.row(i))
		case maxBack:
			j.gradient(entries, j.base+int32(i), j.y.row(i))
		default:
			j.sums(entries, j.s.row(i), j.y.row(i), j.sum.row(i))
		}
	}
}

func (j *headMaxJob) largest(entries []int32, y []float32, arg []int32) {
	if j.first {
		clear(y)
		for k := range arg {
			arg[k] = -1
		}
	}
	for _, c := range entries {
		for k, v := range j.x.row(int(c)) {
			if arg[k] < 0 || v > y[k] {
				y[k], arg[k] = v, j.base+c
			}
		}
	}
}

func (j *headMaxJob) gradient(entries []int32, own int32, dx []float32) {
	if j.first {
		clear(dx)
	}
	last := int32(-1)
	for _, c := range entries {
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

// sums adds entries to the exponentials of a row, relative to the largest so far.
func (j *headMaxJob) sums(entries []int32, s, top, sum []float32) {
	if j.first {
		clear(top)
		clear(sum)
	}
	for k := range s {
		m, total := float64(top[k]), float64(sum[k])
		for _, c := range entries {
			z := s[k] + j.x.s[int(c)*j.x.stride+k]
			if z < 0 {
				z *= 0.2
			}
			switch v := float64(z); {
			case total == 0:
				m, total = v, 1
			case v > m:
				m, total = v, total*math.Exp(m-v)+1
			default:
				total += math.Exp(v - m)
			}
		}
		top[k], sum[k] = float32(m), float32(total)
	}
}

// HeadSoftmaxSums adds the entries of a to the largest scores and the sums of exponentials.
func (q *Queue) HeadSoftmaxSums(a *tensor.CSR, s, t tensor.Tensor, first bool, top, sum tensor.Tensor) {
	const op = "HeadSoftmaxSums"
	checkCSR(op, a)
	want(op, "s", s, tensor.F32, a.Rows, s.Cols)
	want(op, "t", t, tensor.F32, a.Cols, s.Cols)
	want(op, "top", top, tensor.F32, a.Rows, s.Cols)
	want(op, "sum", sum, tensor.F32, a.Rows, s.Cols)
	if !q.ready(a.Indptr, a.Indices, a.Values, s, t, top, sum) {
		return
	}
	q.runMax(headMaxJob{
		pass: maxSums, x: view[float32](t), s: view[float32](s), y: view[float32](top), sum: view[float32](sum), first: first,
	}, a, 16*s.Cols)
}

// runMax runs a job over the rows of a.
func (q *Queue) runMax(j headMaxJob, a *tensor.CSR, cols int) {
	j.indptr, j.col = I32(a.Indptr), I32(a.Indices)
	j.parts = headParts(j.indptr, cols)
	q.heads.max = j
	q.group.Do(j.parts, &q.heads.max)
}

// NeighborMax computes the largest of the entries' rows, column by column, and where it is.
func (q *Queue) NeighborMax(a *tensor.CSR, x tensor.Tensor, base int32, first bool, y, arg tensor.Tensor) {
	const op = "NeighborMax"
	checkCSR(op, a)
	want(op, "x", x, tensor.F32, a.Cols, x.Cols)
	want(op, "y", y, tensor.F32, a.Rows, x.Cols)
	want(op, "arg", arg, tensor.I32, a.Rows, x.Cols)
	if q.ready(a.Indptr, a.Indices, a.Values, x, y, arg) {
		q.runMax(headMaxJob{
			pass: maxForward, x: view[float32](x), y: view[float32](y), arg: view[int32](arg), base: base, first: first,
		}, a, x.Cols)
	}
}

// NeighborMaxBackward computes dx = beta dx + the gradients that NeighborMax took from there.
func (q *Queue) NeighborMaxBackward(at *tensor.CSR, arg, dy tensor.Tensor, base int32, beta float32, dx tensor.Tensor) {
	const op = "NeighborMaxBackward"
	checkCSR(op, at)
	want(op, "dy", dy, tensor.F32, at.Cols, dy.Cols)
	want(op, "arg", arg, tensor.I32, at.Cols, dy.Cols)
	want(op, "dx", dx, tensor.F32, at.Rows, dy.Cols)
	if q.ready(at.Indptr, at.Indices, at.Values, arg, dy, dx) {
		q.runMax(headMaxJob{
			pass: maxBack, x: view[float32](dy), y: view[float32](dx), arg: view[int32](arg), base: base, first: beta == 0,
		}, at, dy.Cols)
	}
}
