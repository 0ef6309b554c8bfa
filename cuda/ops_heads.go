package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// headsOf returns the number of heads and their width from a matrix of all heads' columns and one
// of a column for each.
func headsOf(op string, x tensor.Tensor, cols int, s tensor.Tensor) (heads, width int) {
	want(op, "head columns", s, tensor.F32, x.Rows, s.Cols)
	if s.Cols == 0 || cols%s.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns for %d heads", cols, s.Cols), Want: "a multiple"})
	}
	return s.Cols, cols / s.Cols
}

// HeadDots computes s = act(dots of the heads of x and a, plus bias).
func (q *Queue) HeadDots(act tensor.Act, x, a, bias, s tensor.Tensor) {
	const op = "HeadDots"
	matrixOf(op, "x", x)
	heads, width := headsOf(op, x, x.Cols, s)
	if a.Rows == 1 {
		want(op, "a", a, tensor.F32, 1, x.Cols)
		a.Stride = 0
	} else {
		want(op, "a", a, tensor.F32, x.Rows, x.Cols)
	}
	option(op, "bias", bias, 1, s.Cols)
	if q.ready(x, a, bias, s) {
		q.rows(kernel{"heads", "head_dots"}, x.Rows, q.with().int(x.Rows, heads, width, actOf(op, act)).mat(x, a).row(bias).mat(s))
	}
}

// HeadDotsBackward computes dx = beta dx + gradient; da, dbias += theirs.
func (q *Queue) HeadDotsBackward(act tensor.Act, x, a, s, ds tensor.Tensor, beta float32, dx, da, dbias tensor.Tensor) {
	const op = "HeadDotsBackward"
	matrixOf(op, "x", x)
	heads, width := headsOf(op, x, x.Cols, s)
	want(op, "a", a, tensor.F32, 1, x.Cols)
	want(op, "ds", ds, tensor.F32, x.Rows, s.Cols)
	want(op, "da", da, tensor.F32, 1, x.Cols)
	option(op, "dx", dx, x.Rows, x.Cols)
	option(op, "dbias", dbias, 1, s.Cols)
	if !q.ready(x, a, s, ds, dx, da, dbias) || x.Rows == 0 {
		return
	}
	shape := func() *args { return q.with().int(x.Rows, heads, width, actOf(op, act)) }
	grid, perBlock, blocks := columnBlocks(x.Rows, x.Cols+heads)
	part := q.temporary(4 * (x.Cols + heads) * blocks)
	q.launch(kernel{"heads", "head_dots_sums"}, grid, blockThreads, shape().mat(x, s, ds).int(perBlock).ptr(part))
	q.addColumns(blocks, part, x.Cols+heads, x.Cols, da)
	if dbias.Present() {
		q.addColumns(blocks, after(part, x.Cols), x.Cols+heads, heads, dbias)
	}
	if dx.Present() {
		q.elements(kernel{"heads", "head_dots_back"}, x.Rows*x.Cols, shape().row(a).mat(s, ds).flag(beta != 0).mat(dx))
	}
}

// HeadScale computes y = x f(g).
func (q *Queue) HeadScale(sigmoid bool, g, x, y tensor.Tensor) {
	const op = "HeadScale"
	matrixOf(op, "x", x)
	heads, width := headsOf(op, x, x.Cols, g)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	if q.ready(g, x, y) {
		q.elements(kernel{"heads", "head_scale"}, x.Rows*x.Cols, q.with().int(x.Rows, heads, width).flag(sigmoid).mat(g, x, y))
	}
}

// HeadScaleBackward computes the gradients of HeadScale.
func (q *Queue) HeadScaleBackward(sigmoid bool, g, x, dy, dx, dg tensor.Tensor) {
	const op = "HeadScaleBackward"
	matrixOf(op, "x", x)
	heads, width := headsOf(op, x, x.Cols, g)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	want(op, "dg", dg, tensor.F32, x.Rows, g.Cols)
	if q.ready(g, x, dy, dx, dg) {
		q.rows(kernel{"heads", "head_scale_back"}, x.Rows, q.with().int(x.Rows, heads, width).flag(sigmoid).mat(g, x, dy, dx, dg))
	}
}

// checkHeads checks the operands of an aggregation to the rows of y, from those of src.
func checkHeads(op string, self tensor.HeadSelf, a *tensor.CSR, src, y tensor.Tensor, dot bool) (heads, width int) {
	checkCSR(op, a)
	matrixOf(op, "y", y)
	heads, width = headsOf(op, y, y.Cols, self.S)
	if self.Score == tensor.HeadSoftmax {
		want(op, "top", self.Top, tensor.F32, y.Rows, self.S.Cols)
		want(op, "sum", self.Sum, tensor.F32, y.Rows, self.S.Cols)
		if dot {
			want(op, "dot", self.Dot, tensor.F32, y.Rows, self.S.Cols)
		}
	}
	matrixOf(op, "src", src)
	return heads, width
}

// edges launches a kernel of one warp for each head of each row of a.
func (q *Queue) edges(name string, self tensor.HeadSelf, a *tensor.CSR, heads, width int, rest func(l *args)) {
	if a.Rows == 0 {
		return
	}
	l := q.with().int(a.Rows, heads, width, int(self.Score)).mat(self.S, self.Top, self.Sum, self.Dot).row(a.Indptr, a.Indices, a.Values)
	rest(l.edgeDrop(self.Drop))
	q.launch(kernel{"edges", name}, dim(ceil(a.Rows, blockRows), heads), blockThreads, l)
}

// HeadAggregate computes y = beta y + the weighted sums of the sources' heads.
func (q *Queue) HeadAggregate(self tensor.HeadSelf, a *tensor.CSR, src tensor.Tensor, beta float32, y, mean tensor.Tensor) {
	const op = "HeadAggregate"
	heads, width := checkHeads(op, self, a, src, y, false)
	want(op, "y", y, tensor.F32, a.Rows, y.Cols)
	want(op, "src", src, tensor.F32, a.Cols, y.Cols+heads)
	option(op, "mean", mean, y.Rows, y.Cols)
	if q.ready(self.S, self.Top, self.Sum, a.Indptr, a.Indices, a.Values, src, y, mean) {
		q.edges("head_aggregate", self, a, heads, width, func(l *args) { l.mat(src).flag(beta != 0).mat(y, mean) })
	}
}

// HeadAggregateSelf computes ds = beta ds + the gradient of the destinations' scores.
func (q *Queue) HeadAggregateSelf(self tensor.HeadSelf, a *tensor.CSR, src, dy tensor.Tensor, beta float32, ds tensor.Tensor) {
	const op = "HeadAggregateSelf"
	heads, width := checkHeads(op, self, a, src, dy, true)
	want(op, "dy", dy, tensor.F32, a.Rows, dy.Cols)
	want(op, "src", src, tensor.F32, a.Cols, dy.Cols+heads)
	want(op, "ds", ds, tensor.F32, dy.Rows, heads)
	if self.Score == tensor.HeadSum {
		panic(&tensor.ShapeError{Op: op, Got: "sums of scores", Want: "another kind"})
	}
	if q.ready(self.S, self.Top, self.Sum, self.Dot, a.Indptr, a.Indices, a.Values, src, dy, ds) {
		q.edges("head_aggregate_self", self, a, heads, width, func(l *args) { l.mat(src, dy).flag(beta != 0).mat(ds) })
	}
}

// HeadAggregateBack computes dsrc = beta dsrc + the gradient of the sources and their scores.
func (q *Queue) HeadAggregateBack(self tensor.HeadSelf, at *tensor.CSR, src, dy tensor.Tensor, beta float32, dsrc tensor.Tensor) {
	const op = "HeadAggregateBack"
	heads, width := checkHeads(op, self, at, src, dy, true)
	want(op, "dy", dy, tensor.F32, at.Cols, dy.Cols)
	want(op, "src", src, tensor.F32, at.Rows, dy.Cols+heads)
	want(op, "dsrc", dsrc, tensor.F32, at.Rows, dy.Cols+heads)
	if q.ready(self.S, self.Top, self.Sum, self.Dot, at.Indptr, at.Indices, at.Values, src, dy, dsrc) {
		q.edges("head_aggregate_back", self, at, heads, width, func(l *args) { l.mat(src, dy).flag(beta != 0).mat(dsrc) })
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
	if !q.ready(a.Indptr, a.Indices, a.Values, s, t, top, sum) || a.Rows == 0 || s.Cols == 0 {
		return
	}
	l := q.with().int(a.Rows, s.Cols).row(a.Indptr, a.Indices).mat(s, t).flag(first).mat(top, sum)
	q.launch(kernel{"edges", "head_softmax_sums"}, dim(ceil(a.Rows, blockRows), s.Cols), blockThreads, l)
}

// NeighborMax computes the largest of the entries' rows, column by column, and where it is.
func (q *Queue) NeighborMax(a *tensor.CSR, x tensor.Tensor, base int32, first bool, y, arg tensor.Tensor) {
	const op = "NeighborMax"
	checkCSR(op, a)
	want(op, "x", x, tensor.F32, a.Cols, x.Cols)
	want(op, "y", y, tensor.F32, a.Rows, x.Cols)
	want(op, "arg", arg, tensor.I32, a.Rows, x.Cols)
	if q.ready(a.Indptr, a.Indices, a.Values, x, y, arg) {
		l := q.with().int(a.Rows, x.Cols).row(a.Indptr, a.Indices).mat(x).int(int(base)).flag(first).mat(y, arg)
		q.elements(kernel{"edges", "neighbor_max"}, a.Rows*x.Cols, l)
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
		l := q.with().int(at.Rows, dy.Cols).row(at.Indptr, at.Indices).mat(arg, dy).int(int(base)).flag(beta != 0).mat(dx)
		q.elements(kernel{"edges", "neighbor_max_back"}, at.Rows*dy.Cols, l)
	}
}

// GroupMax computes the largest of the groups of x's columns and which it is.
func (q *Queue) GroupMax(x, y, arg tensor.Tensor) {
	if groups := q.groups("GroupMax", x, y, arg); groups > 0 {
		q.elements(kernel{"heads", "group_max"}, y.Rows*y.Cols, q.with().int(y.Rows, y.Cols, groups).mat(x, y, arg))
	}
}

// GroupMaxBackward computes the gradient of GroupMax's x.
func (q *Queue) GroupMaxBackward(arg, dy, dx tensor.Tensor) {
	if groups := q.groups("GroupMaxBackward", dx, dy, arg); groups > 0 {
		q.elements(kernel{"heads", "group_max_back"}, dy.Rows*dy.Cols, q.with().int(dy.Rows, dy.Cols, groups).mat(arg, dy, dx))
	}
}

// groups checks the operands and returns the number of groups, 0 if there is nothing to do.
func (q *Queue) groups(op string, x, y, arg tensor.Tensor) int {
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, y.Cols)
	want(op, "arg", arg, tensor.I32, x.Rows, y.Cols)
	if y.Cols == 0 && x.Cols > 0 || y.Cols > 0 && x.Cols%y.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns in groups of %d", x.Cols, y.Cols), Want: "a multiple"})
	}
	if !q.ready(x, y, arg) || y.Cols == 0 || x.Rows == 0 {
		return 0
	}
	return x.Cols / y.Cols
}
