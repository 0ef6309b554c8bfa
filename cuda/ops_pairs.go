package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// pairRows is ROWS_PER_WARP of pairs.cu.
const pairRows = 4

// checkPairs checks the operands of an aggregation from vs sources to us destinations.
func checkPairs(op string, self tensor.PairSelf, us, vs int, r, y tensor.Tensor) (heads, width int) {
	matrixOf(op, "y", y)
	heads = self.Top.Cols
	want(op, "y", y, tensor.F32, us, y.Cols)
	want(op, "l", self.L, tensor.F32, us, y.Cols)
	want(op, "att", self.Att, tensor.F32, 1, y.Cols)
	want(op, "r", r, tensor.F32, vs, y.Cols)
	want(op, "top", self.Top, tensor.F32, us, heads)
	want(op, "sum", self.Sum, tensor.F32, us, heads)
	if heads == 0 || y.Cols%heads != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns for %d heads", y.Cols, heads), Want: "a multiple"})
	}
	return heads, y.Cols / heads
}

// checkPairsBack checks what the backward passes need besides.
func checkPairsBack(op string, self tensor.PairSelf, us, vs int, r, dy tensor.Tensor) (heads, width int) {
	heads, width = checkPairs(op, self, us, vs, r, dy)
	want(op, "dot", self.Dot, tensor.F32, us, heads)
	return heads, width
}

// PairAggregate makes the edges of a part of y, top and sum.
func (q *Queue) PairAggregate(self tensor.PairSelf, a *tensor.CSR, r tensor.Tensor, first bool, y tensor.Tensor) {
	const op = "PairAggregate"
	checkCSR(op, a)
	heads, width := checkPairs(op, self, a.Rows, a.Cols, r, y)
	if !q.ready(self.L, self.Att, self.Top, self.Sum, a.Indptr, a.Indices, r, y) || a.Rows == 0 {
		return
	}
	l := q.with().int(a.Rows, heads, width).mat(self.L).row(self.Att).mat(self.Top, self.Sum).row(a.Indptr, a.Indices)
	l.edgeDrop(self.Drop).mat(r).flag(first).mat(y)
	q.launch(kernel{"pairs", "pair_aggregate"}, dim(ceil(a.Rows, blockRows), heads), blockThreads, l)
}

// back begins the arguments of a backward pass.
func (q *Queue) back(self tensor.PairSelf, a *tensor.CSR, heads, width int, r, dy tensor.Tensor, beta float32, out tensor.Tensor) *args {
	l := q.with().int(a.Rows, heads, width).mat(self.L).row(self.Att).mat(self.Top, self.Sum, self.Dot).row(a.Indptr, a.Indices)
	return l.edgeDrop(self.Drop).mat(r, dy).flag(beta != 0).mat(out)
}

// PairAggregateSelf computes dl = beta dl + the gradient of the destinations, datt += that of att.
func (q *Queue) PairAggregateSelf(self tensor.PairSelf, a *tensor.CSR, r, dy tensor.Tensor, beta float32, dl, datt tensor.Tensor) {
	const op = "PairAggregateSelf"
	checkCSR(op, a)
	heads, width := checkPairsBack(op, self, a.Rows, a.Cols, r, dy)
	want(op, "dl", dl, tensor.F32, dy.Rows, dy.Cols)
	want(op, "datt", datt, tensor.F32, 1, dy.Cols)
	if !q.ready(self.L, self.Att, self.Top, self.Sum, self.Dot, a.Indptr, a.Indices, r, dy, dl, datt) || a.Rows == 0 || dy.Cols == 0 {
		return
	}
	groups := ceil(a.Rows, pairRows)
	_, _, blocks := sumGrid(groups, dy.Cols)
	part := q.temporary(4 * dy.Cols * (groups + blocks))
	sums := part + 4*driver.Ptr(dy.Cols*groups)
	q.launch(kernel{"pairs", "pair_aggregate_self"}, dim(ceil(groups, blockRows), heads), blockThreads, q.back(self, a, heads, width, r, dy, beta, dl).ptr(part))
	q.columnSums(groups, dy.Cols, part, dy.Cols, sums, datt)
}

// PairAggregateBack computes dr = beta dr + the gradient of the sources.
func (q *Queue) PairAggregateBack(self tensor.PairSelf, at *tensor.CSR, r, dy tensor.Tensor, beta float32, dr tensor.Tensor) {
	const op = "PairAggregateBack"
	checkCSR(op, at)
	heads, width := checkPairsBack(op, self, at.Cols, at.Rows, r, dy)
	want(op, "dr", dr, tensor.F32, r.Rows, r.Cols)
	if q.ready(self.L, self.Att, self.Top, self.Sum, self.Dot, at.Indptr, at.Indices, r, dy, dr) && at.Rows > 0 {
		q.launch(kernel{"pairs", "pair_aggregate_back"}, dim(ceil(at.Rows, blockRows), heads), blockThreads, q.back(self, at, heads, width, r, dy, beta, dr))
	}
}
