package cuda

import (
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// squaresPerBlock is the number of elements whose squares one block adds.
const squaresPerBlock = 1 << 13

// SumSquares computes out += sum of x².
func (q *Queue) SumSquares(x, out tensor.Tensor) {
	matrixOf("SumSquares", "x", x)
	want("SumSquares", "out", out, tensor.F32, 1, 1)
	if !q.ready(x, out) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	blocks := ceil(x.Rows*x.Cols, squaresPerBlock)
	part := q.temporary(8 * blocks)
	l := q.with().int(x.Rows, x.Cols).mat(x).int(squaresPerBlock).ptr(part)
	q.launch(kernel{"reduce", "sum_squares"}, dim(blocks, 1), blockThreads, l)
	q.launch(kernel{"reduce", "sum_rows"}, dim(1, 1), blockThreads, q.with().int(blocks).ptr(part).flag(true).row(out))
}

// bound returns what gradients are clamped to.
func bound(clipValue float32) float32 {
	if clipValue > 0 {
		return clipValue
	}
	return float32(math.Inf(1))
}

// wantUpdate checks the operands that all updates have; m may be absent unless there is momentum.
func wantUpdate(op string, clipNorm, momentum float32, sumsq, grad, m, value tensor.Tensor) {
	matrixOf(op, "value", value)
	want(op, "grad", grad, tensor.F32, value.Rows, value.Cols)
	if momentum > 0 || m.Present() {
		want(op, "m", m, tensor.F32, value.Rows, value.Cols)
	}
	if clipNorm > 0 || sumsq.Present() {
		want(op, "sumsq", sumsq, tensor.F32, 1, 1)
	}
}

// asRow returns the extent of tensors of one shape for kernels: one row, if they are contiguous.
func asRow(ts ...tensor.Tensor) (rows, cols int) {
	rows, cols = ts[0].Rows, ts[0].Cols
	for _, t := range ts {
		if t.Present() && !contiguous(t) {
			return rows, cols
		}
	}
	if int64(rows)*int64(cols) > math.MaxInt32 {
		return rows, cols
	}
	return 1, rows * cols
}

// Adam does one update of value, m and v and sets grad to 0.
func (q *Queue) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	const op = "Adam"
	wantUpdate(op, h.ClipNorm, 1, sumsq, grad, m, value)
	want(op, "v", v, tensor.F32, value.Rows, value.Cols)
	if !q.ready(sumsq, grad, m, v, value) {
		return
	}
	rate, root := float32(float64(h.LR)/float64(h.Corr1)), float32(1/math.Sqrt(float64(h.Corr2)))
	l := q.with().int(asRow(value, grad, m, v)).f32(rate, h.Beta1, h.Beta2, h.Eps, root, h.ClipNorm, bound(h.ClipValue)).row(sumsq, q.held)
	q.elements(kernel{"update", "adam"}, value.Rows*value.Cols, l.mat(grad, m, v, value))
}

// SGD does one update of value and m and sets grad to 0.
func (q *Queue) SGD(h tensor.SGDStep, sumsq, grad, m, value tensor.Tensor) {
	wantUpdate("SGD", h.ClipNorm, h.Momentum, sumsq, grad, m, value)
	if q.ready(sumsq, grad, m, value) {
		l := q.with().int(asRow(value, grad, m)).f32(h.LR, h.Momentum).flag(h.Nesterov).f32(h.ClipNorm, bound(h.ClipValue)).row(sumsq, q.held)
		q.elements(kernel{"update", "sgd"}, value.Rows*value.Cols, l.mat(grad, m, value))
	}
}

// RMSProp does one update of value, v and m and sets grad to 0.
func (q *Queue) RMSProp(h tensor.RMSPropStep, sumsq, grad, v, m, value tensor.Tensor) {
	wantUpdate("RMSProp", h.ClipNorm, h.Momentum, sumsq, grad, m, value)
	want("RMSProp", "v", v, tensor.F32, value.Rows, value.Cols)
	if q.ready(sumsq, grad, v, m, value) {
		l := q.with().int(asRow(value, grad, v, m)).f32(h.LR, h.Alpha, h.Eps, h.Momentum, h.ClipNorm, bound(h.ClipValue)).row(sumsq, q.held)
		q.elements(kernel{"update", "rmsprop"}, value.Rows*value.Cols, l.mat(grad, v, m, value))
	}
}
