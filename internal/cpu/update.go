package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// updateJobs are the jobs of the optimizers besides Adam.
type updateJobs struct {
	scale   scaleJob
	sgd     sgdJob
	rmsprop rmspropJob
}

type scaleJob struct {
	grid
	f float32
	t matrix[float32]
}

// RunTask scales one block.
func (j *scaleJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		f32.Scale(j.f, j.t.row(i)[c0:c1])
	}
}

// Scale computes t = f t.
func (q *Queue) Scale(f float32, t tensor.Tensor) {
	matrixOf("Scale", "t", t)
	if !q.ready(t) {
		return
	}
	j := &q.updates.scale
	j.f, j.t = f, view[float32](t).flat()
	j.grid = newGrid(j.t.rows, j.t.cols)
	q.group.Do(j.tasks(), j)
}

// clipping returns what gradients are multiplied by and clamped to on both sides.
func clipping(norm, value float32, sumsq tensor.Tensor) (factor, bound float32) {
	factor, bound = 1, float32(math.Inf(1))
	if norm > 0 {
		factor = float32(min(1, float64(norm)/(math.Sqrt(float64(view[float32](sumsq).s[0]))+1e-6)))
	}
	if value > 0 {
		bound = value
	}
	return factor, bound
}

// wantUpdate checks the operands that all updates have; m may be absent unless there is
// momentum.
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

// flatten makes one row of each matrix if all of them are contiguous or absent.
func flatten(ms ...*matrix[float32]) {
	for _, m := range ms {
		if m.s != nil && m.stride != m.cols {
			return
		}
	}
	for _, m := range ms {
		*m = m.flat()
	}
}

type sgdJob struct {
	grid
	step           rows.SGDStep
	nesterov       bool
	grad, m, value matrix[float32]
}

// RunTask updates one block.
func (j *sgdJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		grad, value := j.grad.row(i)[c0:c1], j.value.row(i)[c0:c1]
		if j.step.Momentum == 0 {
			rows.SGD(&j.step, grad, value)
			continue
		}
		rows.SGDMomentum(&j.step, j.nesterov, grad, j.m.row(i)[c0:c1], value)
	}
}

// SGD does one update of value and m and sets grad to 0.
func (q *Queue) SGD(h tensor.SGDStep, sumsq, grad, m, value tensor.Tensor) {
	wantUpdate("SGD", h.ClipNorm, h.Momentum, sumsq, grad, m, value)
	if !q.ready(sumsq, grad, m, value) {
		return
	}
	j := &q.updates.sgd
	j.step = rows.SGDStep{Rate: h.LR, Momentum: h.Momentum}
	j.step.Factor, j.step.Bound = clipping(h.ClipNorm, h.ClipValue, sumsq)
	j.nesterov = h.Nesterov
	j.grad, j.m, j.value = view[float32](grad), view[float32](m), view[float32](value)
	flatten(&j.grad, &j.m, &j.value)
	j.grid = newGrid(j.value.rows, j.value.cols)
	q.group.Do(j.tasks(), j)
}

type rmspropJob struct {
	grid
	step              rows.RMSPropStep
	grad, v, m, value matrix[float32]
}

// RunTask updates one block.
func (j *rmspropJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		grad, v, value := j.grad.row(i)[c0:c1], j.v.row(i)[c0:c1], j.value.row(i)[c0:c1]
		if j.step.Momentum > 0 {
			rows.RMSPropMomentum(&j.step, grad, v, j.m.row(i)[c0:c1], value)
			continue
		}
		rows.RMSProp(&j.step, grad, v, value)
	}
}

// RMSProp does one update of value, v and m and sets grad to 0.
func (q *Queue) RMSProp(h tensor.RMSPropStep, sumsq, grad, v, m, value tensor.Tensor) {
	wantUpdate("RMSProp", h.ClipNorm, h.Momentum, sumsq, grad, m, value)
	want("RMSProp", "v", v, tensor.F32, value.Rows, value.Cols)
	if !q.ready(sumsq, grad, v, m, value) {
		return
	}
	j := &q.updates.rmsprop
	j.step = rows.RMSPropStep{Alpha: h.Alpha, Eps: h.Eps, Rate: h.LR, Momentum: h.Momentum}
	j.step.Factor, j.step.Bound = clipping(h.ClipNorm, h.ClipValue, sumsq)
	j.grad, j.v, j.m, j.value = view[float32](grad), view[float32](v), view[float32](m), view[float32](value)
	flatten(&j.grad, &j.v, &j.m, &j.value)
	j.grid = newGrid(j.value.rows, j.value.cols)
	q.group.Do(j.tasks(), j)
}
