package cpu64

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/pairs"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

var _ tensor.PairOps = (*Queue)(nil)

// pairMatrix returns t as the kernels take it.
func pairMatrix(t tensor.Tensor) pairs.Matrix[float64] {
	m := numbers(t)
	return pairs.Matrix[float64]{S: m.s, Cols: m.cols, Stride: m.stride}
}

// edgeDrop returns d as the kernels take it.
func edgeDrop(d tensor.EdgeDrop) pairs.Drop {
	if d.P == 0 {
		return pairs.Drop{}
	}
	return pairs.Drop{
		Key: philox.Key(d.Key.Seed, d.Key.Step, d.Key.Layer, d.Key.Slot), Threshold: philox.Threshold(d.P),
		Scale: 1 / (1 - float64(d.P)), U: d.U, V: d.V,
	}
}

// checkPairs checks the operands of an aggregation with us destinations and vs sources.
func checkPairs(op string, self tensor.PairSelf, us, vs int, r, y tensor.Tensor) {
	matrixOf(op, "y", y)
	wantNumbers(op, "y", y, us, y.Cols)
	wantNumbers(op, "l", self.L, us, y.Cols)
	wantNumbers(op, "att", self.Att, 1, y.Cols)
	wantNumbers(op, "r", r, vs, y.Cols)
	wantNumbers(op, "top", self.Top, us, self.Top.Cols)
	wantNumbers(op, "sum", self.Sum, us, self.Top.Cols)
	if self.Top.Cols == 0 || y.Cols%self.Top.Cols != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d columns for %d heads", y.Cols, self.Top.Cols), Want: "a multiple"})
	}
}

// pairJob sets up a pass over the rows of a.
func (q *Queue) pairJob(pass pairs.Pass, self tensor.PairSelf, a *tensor.CSR, r, dy tensor.Tensor, add bool, out tensor.Tensor) *pairs.Job[float64] {
	indptr := view[int32](a.Indptr).s
	q.pairs = pairs.Job[float64]{
		Pass: pass, Indptr: indptr, Col: view[int32](a.Indices).s, Parts: partsOf(indptr, 4*r.Cols), Drop: edgeDrop(self.Drop),
		Att: numbers(self.Att).s, L: pairMatrix(self.L), R: pairMatrix(r), DY: pairMatrix(dy),
		Top: pairMatrix(self.Top), Sum: pairMatrix(self.Sum), Dot: pairMatrix(self.Dot), Out: pairMatrix(out), Add: add,
	}
	return &q.pairs
}

// PairAggregate makes the edges of a part of y, top and sum.
func (q *Queue) PairAggregate(self tensor.PairSelf, a *tensor.CSR, r tensor.Tensor, first bool, y tensor.Tensor) {
	const op = "PairAggregate"
	wantCSR(op, a)
	checkPairs(op, self, a.Rows, a.Cols, r, y)
	if q.ready(self.L, self.Att, self.Top, self.Sum, a.Indptr, a.Indices, r, y) && y.Rows > 0 {
		j := q.pairJob(pairs.Aggregate, self, a, r, tensor.Tensor{}, !first, y)
		q.group.Do(j.Parts, j)
	}
}

// PairAggregateSelf computes dl = beta dl + the gradient of the destinations, datt += that of att.
func (q *Queue) PairAggregateSelf(self tensor.PairSelf, a *tensor.CSR, r, dy tensor.Tensor, beta float32, dl, datt tensor.Tensor) {
	const op = "PairAggregateSelf"
	wantCSR(op, a)
	checkPairs(op, self, a.Rows, a.Cols, r, dy)
	wantNumbers(op, "dot", self.Dot, dy.Rows, self.Top.Cols)
	wantNumbers(op, "dl", dl, dy.Rows, dy.Cols)
	wantNumbers(op, "datt", datt, 1, dy.Cols)
	if !q.ready(self.L, self.Att, self.Top, self.Sum, self.Dot, a.Indptr, a.Indices, r, dy, dl, datt) || dy.Rows == 0 {
		return
	}
	j := q.pairJob(pairs.Self, self, a, r, dy, beta != 0, dl)
	j.Partial = q.scratch(j.Parts * dy.Cols)
	q.group.Do(j.Parts, j)
	j.AttGrad(numbers(datt).s)
}

// PairAggregateBack computes dr = beta dr + the gradient of the sources.
func (q *Queue) PairAggregateBack(self tensor.PairSelf, at *tensor.CSR, r, dy tensor.Tensor, beta float32, dr tensor.Tensor) {
	const op = "PairAggregateBack"
	wantCSR(op, at)
	checkPairs(op, self, at.Cols, at.Rows, r, dy)
	wantNumbers(op, "dot", self.Dot, dy.Rows, self.Top.Cols)
	wantNumbers(op, "dr", dr, r.Rows, r.Cols)
	if q.ready(self.L, self.Att, self.Top, self.Sum, self.Dot, at.Indptr, at.Indices, r, dy, dr) && dr.Rows > 0 {
		j := q.pairJob(pairs.Source, self, at, r, dy, beta != 0, dr)
		q.group.Do(j.Parts, j)
	}
}
