package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/f32"
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

// clipper multiplies gradients by factor and clamps them to bound on both sides.
type clipper struct{ factor, bound float32 }

func newClipper(norm, value float32, sumsq tensor.Tensor) clipper {
	c := clipper{factor: 1, bound: float32(math.Inf(1))}
	if norm > 0 {
		c.factor = float32(min(1, float64(norm)/(math.Sqrt(float64(view[float32](sumsq).s[0]))+1e-6)))
	}
	if value > 0 {
		c.bound = value
	}
	return c
}

func (c clipper) clip(g float32) float32 { return min(max(g*c.factor, -c.bound), c.bound) }

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
	clipper
	lr, momentum   float32
	nesterov       bool
	grad, m, value matrix[float32]
}

// RunTask updates one block.
func (j *sgdJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		grad, value := j.grad.row(i)[c0:c1], j.value.row(i)[c0:c1]
		if j.momentum == 0 {
			value = value[:len(grad)]
			for k, g := range grad {
				value[k] -= j.lr * j.clip(g)
				grad[k] = 0
			}
			continue
		}
		j.withMomentum(grad, j.m.row(i)[c0:c1], value)
	}
}

func (j *sgdJob) withMomentum(grad, m, value []float32) {
	m, value = m[:len(grad)], value[:len(grad)]
	for k, g := range grad {
		g = j.clip(g)
		mk := j.momentum*m[k] + g
		m[k] = mk
		if j.nesterov {
			mk = g + j.momentum*mk
		}
		value[k] -= j.lr * mk
		grad[k] = 0
	}
}

// SGD does one update of value and m and sets grad to 0.
func (q *Queue) SGD(h tensor.SGDStep, sumsq, grad, m, value tensor.Tensor) {
	wantUpdate("SGD", h.ClipNorm, h.Momentum, sumsq, grad, m, value)
	if !q.ready(sumsq, grad, m, value) {
		return
	}
	j := &q.updates.sgd
	j.clipper = newClipper(h.ClipNorm, h.ClipValue, sumsq)
	j.lr, j.momentum, j.nesterov = h.LR, h.Momentum, h.Nesterov
	j.grad, j.m, j.value = view[float32](grad), view[float32](m), view[float32](value)
	flatten(&j.grad, &j.m, &j.value)
	j.grid = newGrid(j.value.rows, j.value.cols)
	q.group.Do(j.tasks(), j)
}

type rmspropJob struct {
	grid
	clipper
	lr, alpha, eps, momentum float32
	grad, v, m, value        matrix[float32]
}

// RunTask updates one block.
func (j *rmspropJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		grad, v, value := j.grad.row(i)[c0:c1], j.v.row(i)[c0:c1], j.value.row(i)[c0:c1]
		var m []float32
		if j.momentum > 0 {
			m = j.m.row(i)[c0:c1]
		}
		j.update(grad, v, m, value)
	}
}

// update does one run of elements; m is empty without momentum.
func (j *rmspropJob) update(grad, v, m, value []float32) {
	v, value = v[:len(grad)], value[:len(grad)]
	for k, g := range grad {
		g = j.clip(g)
		vk := j.alpha*v[k] + (1-j.alpha)*(g*g)
		v[k] = vk
		u := g / (float32(math.Sqrt(float64(vk))) + j.eps)
		if len(m) > 0 {
			u += j.momentum * m[k]
			m[k] = u
		}
		value[k] -= j.lr * u
		grad[k] = 0
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
	j.clipper = newClipper(h.ClipNorm, h.ClipValue, sumsq)
	j.lr, j.alpha, j.eps, j.momentum = h.LR, h.Alpha, h.Eps, h.Momentum
	j.grad, j.v, j.m, j.value = view[float32](grad), view[float32](v), view[float32](m), view[float32](value)
	flatten(&j.grad, &j.v, &j.m, &j.value)
	j.grid = newGrid(j.value.rows, j.value.cols)
	q.group.Do(j.tasks(), j)
}
