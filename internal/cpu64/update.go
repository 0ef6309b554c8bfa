package cpu64

import (
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// squaresJob adds up squares.
type squaresJob struct{ x matrix[float64] }

func (j *squaresJob) do(lo, hi int, part []float64) {
	for i := lo; i < hi; i++ {
		x := j.x.row(i)
		part[0] += dot(x, x)
	}
}

// SumSquares computes out += sum of x².
func (q *Queue) SumSquares(x, out tensor.Tensor) {
	matrixOf("SumSquares", "x", x)
	wantNumbers("SumSquares", "out", out, 1, 1)
	if !q.ready(x, out) {
		return
	}
	q.squares = squaresJob{numbers(x)}
	total := q.sumRows(x.Rows, 1, &q.squares)
	*at(out) += total[0]
}

// updateKind is an optimizer.
type updateKind uint8

const (
	updateAdam updateKind = iota
	updateSGD
	updateRMSProp
)

// updateJob is an update of parameters. Gradients are multiplied by factor and clamped to
// bound on both sides; they become 0.
type updateJob struct {
	kind          updateKind
	factor, bound float64
	// Adam: rate = LR/Corr1, root = sqrt(Corr2). RMSProp has its Alpha in beta2.
	rate, root, beta1, beta2, eps float64
	momentum                      float64
	nesterov                      bool
	grad, m, v, value             matrix[float64]
}

func (j *updateJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		grad, m, v, value := j.grad.row(i), j.m.row(i), j.v.row(i), j.value.row(i)
		for k, g := range grad {
			grad[k], g = 0, min(max(g*j.factor, -j.bound), j.bound)
			switch j.kind {
			case updateAdam:
				m[k] = j.beta1*m[k] + (1-j.beta1)*g
				v[k] = j.beta2*v[k] + (1-j.beta2)*g*g
				g = m[k] / (math.Sqrt(v[k])/j.root + j.eps)
			case updateRMSProp:
				v[k] = j.beta2*v[k] + (1-j.beta2)*g*g
				g /= math.Sqrt(v[k]) + j.eps
			case updateSGD:
			}
			if j.momentum > 0 {
				m[k] = j.momentum*m[k] + g
				if j.nesterov {
					g += j.momentum * m[k]
				} else {
					g = m[k]
				}
			}
			value[k] -= j.rate * g
		}
	}
}

// begin checks and notes the operands that all updates have; m may be absent unless it is
// needed. It reports whether the update may run.
func (q *Queue) begin(op string, clipNorm, clipValue float32, needM bool, sumsq, grad, m, v, value tensor.Tensor) bool {
	matrixOf(op, "value", value)
	wantNumbers(op, "grad", grad, value.Rows, value.Cols)
	option(op, "v", v, value.Rows, value.Cols)
	if needM || m.Present() {
		wantNumbers(op, "m", m, value.Rows, value.Cols)
	}
	if clipNorm > 0 || sumsq.Present() {
		wantNumbers(op, "sumsq", sumsq, 1, 1)
	}
	if !q.ready(sumsq, grad, m, v, value) {
		return false
	}
	q.update = updateJob{factor: 1, bound: math.Inf(1), grad: numbers(grad), m: numbers(m), v: numbers(v), value: numbers(value)}
	if clipNorm > 0 {
		q.update.factor = min(1, float64(clipNorm)/(math.Sqrt(*at(sumsq))+1e-6))
	}
	if clipValue > 0 {
		q.update.bound = float64(clipValue)
	}
	return true
}

// Adam does one update of value, m and v and sets grad to 0.
func (q *Queue) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	wantNumbers("Adam", "v", v, value.Rows, value.Cols)
	if !q.begin("Adam", h.ClipNorm, h.ClipValue, true, sumsq, grad, m, v, value) {
		return
	}
	j := &q.update
	j.kind, j.beta1, j.beta2, j.eps = updateAdam, float64(h.Beta1), float64(h.Beta2), float64(h.Eps)
	j.rate, j.root = float64(h.LR)/float64(h.Corr1), math.Sqrt(float64(h.Corr2))
	q.overRows(value.Rows, value.Cols, j)
}

// SGD does one update of value and m and sets grad to 0.
func (q *Queue) SGD(h tensor.SGDStep, sumsq, grad, m, value tensor.Tensor) {
	if !q.begin("SGD", h.ClipNorm, h.ClipValue, h.Momentum > 0, sumsq, grad, m, tensor.Tensor{}, value) {
		return
	}
	j := &q.update
	j.kind, j.rate, j.momentum, j.nesterov = updateSGD, float64(h.LR), float64(h.Momentum), h.Nesterov
	q.overRows(value.Rows, value.Cols, j)
}

// RMSProp does one update of value, v and m and sets grad to 0.
func (q *Queue) RMSProp(h tensor.RMSPropStep, sumsq, grad, v, m, value tensor.Tensor) {
	wantNumbers("RMSProp", "v", v, value.Rows, value.Cols)
	if !q.begin("RMSProp", h.ClipNorm, h.ClipValue, h.Momentum > 0, sumsq, grad, m, v, value) {
		return
	}
	j := &q.update
	j.kind, j.rate, j.beta2, j.eps, j.momentum = updateRMSProp, float64(h.LR), float64(h.Alpha), float64(h.Eps), float64(h.Momentum)
	q.overRows(value.Rows, value.Cols, j)
}
