package tensortest

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func updateBuilds() []build {
	bs := []build{scaleCase, logSoftmaxCase}
	for _, clip := range [][2]float32{{0, 0}, {0.5, 0}, {0, 0.25}} {
		for _, momentum := range []float32{0, 0.9} {
			sgd := tensor.SGDStep{LR: 0.1, Momentum: momentum, ClipNorm: clip[0], ClipValue: clip[1]}
			rms := tensor.RMSPropStep{LR: 0.1, Alpha: 0.95, Eps: 1e-8, Momentum: momentum, ClipNorm: clip[0], ClipValue: clip[1]}
			bs = append(bs,
				func(e *env, s shape) Case { return sgdCase(e, s, sgd) },
				func(e *env, s shape) Case { return rmspropCase(e, s, rms) })
			if momentum > 0 {
				sgd.Nesterov = true
				nesterov := sgd
				sgd.Nesterov = false
				bs = append(bs, func(e *env, s shape) Case { return sgdCase(e, s, nesterov) })
			}
		}
	}
	for _, smooth := range []float32{0, 0.1} {
		bs = append(bs,
			func(e *env, s shape) Case { return smoothSoftmaxCase(e, s, smooth) },
			func(e *env, s shape) Case { return smoothSigmoidCase(e, s, smooth) })
	}
	return bs
}

func scaleCase(e *env, s shape) Case {
	x := e.normal(s)
	return Case{
		Name:  "Scale",
		Bytes: 2 * size(x),
		Call:  func() { e.q.Scale(0.75, x.Tensor) },
		outs:  []*operand{x},
		check: func() {
			var want []float64
			for _, v := range x.ref {
				want = append(want, 0.75*v)
			}
			x.equals("t", want, 1e-6)
		},
	}
}

// clipped is the gradient that an update uses where the squared norm of all is 9.
func clipped(g float64, norm, value float32) float64 {
	if norm > 0 {
		g *= math.Min(1, float64(norm)/(3+1e-6))
	}
	if value > 0 {
		g = math.Min(math.Max(g, -float64(value)), float64(value))
	}
	return g
}

// squaredNorm is 9 if an update clips by the norm.
func (e *env) squaredNorm(clipNorm float32) *operand {
	return ifWanted(clipNorm > 0, func() *operand { return e.f32(shape{1, 1, false}, func(int) float64 { return 9 }) })
}

func sgdCase(e *env, s shape, h tensor.SGDStep) Case {
	grad, value, sumsq := e.normal(s), e.normal(s), e.squaredNorm(h.ClipNorm)
	m := ifWanted(h.Momentum > 0, func() *operand { return e.normal(s) })
	outs := []*operand{value}
	if m != nil {
		outs = append(outs, m)
	}
	return Case{
		Name:  fmt.Sprintf("SGD/momentum=%g-nesterov=%t-norm=%g-value=%g", h.Momentum, h.Nesterov, h.ClipNorm, h.ClipValue),
		Bytes: 2 * size(grad, value, m),
		Call:  func() { e.q.SGD(h, tensorOf(sumsq), grad.Tensor, tensorOf(m), value.Tensor) },
		outs:  outs,
		check: func() {
			var wm, wx []float64
			mu := float64(h.Momentum)
			for i, g := range grad.ref {
				g = clipped(g, h.ClipNorm, h.ClipValue)
				step := g
				if m != nil {
					step = mu*m.ref[i] + g
					wm = append(wm, step)
				}
				if h.Nesterov {
					step = g + mu*step
				}
				wx = append(wx, value.ref[i]-float64(h.LR)*step)
			}
			if m != nil {
				m.equals("m", wm, 1e-6)
			}
			value.equals("value", wx, 1e-6)
			grad.equals("grad", make([]float64, len(grad.ref)), 0)
		},
	}
}

func rmspropCase(e *env, s shape, h tensor.RMSPropStep) Case {
	grad, value, sumsq := e.normal(s), e.normal(s), e.squaredNorm(h.ClipNorm)
	v := e.f32(s, func(int) float64 { return e.rnd.Float64() + 0.01 })
	m := ifWanted(h.Momentum > 0, func() *operand { return e.normal(s) })
	outs := []*operand{value, v}
	if m != nil {
		outs = append(outs, m)
	}
	return Case{
		Name:  fmt.Sprintf("RMSProp/momentum=%g-norm=%g-value=%g", h.Momentum, h.ClipNorm, h.ClipValue),
		Bytes: 2 * size(grad, value, v, m),
		Call:  func() { e.q.RMSProp(h, tensorOf(sumsq), grad.Tensor, v.Tensor, tensorOf(m), value.Tensor) },
		outs:  outs,
		check: func() {
			var wv, wm, wx []float64
			alpha := float64(h.Alpha)
			for i, g := range grad.ref {
				g = clipped(g, h.ClipNorm, h.ClipValue)
				vi := alpha*v.ref[i] + (1-alpha)*g*g
				wv = append(wv, vi)
				u := g / (math.Sqrt(vi) + float64(h.Eps))
				if m != nil {
					u += float64(h.Momentum) * m.ref[i]
					wm = append(wm, u)
				}
				wx = append(wx, value.ref[i]-float64(h.LR)*u)
			}
			v.equals("v", wv, 1e-6)
			if m != nil {
				m.equals("m", wm, 2e-6)
			}
			value.equals("value", wx, 1e-6)
			grad.equals("grad", make([]float64, len(grad.ref)), 0)
		},
	}
}

// shares weigh classes, one of them with 0.
func (e *env) shares(s shape) *operand {
	return e.f32(s.row(), func(i int) float64 { return float64(i%5) * 0.5 })
}

// logSoftmaxCase is the logarithm of the loss of softmax, where the device has it.
func logSoftmaxCase(e *env, s shape) Case {
	logits, weight := e.normal(s), e.weights(s)
	class := e.classes(s, weight)
	loss, d := e.undefined(shape{1, 1, false}), e.undefined(s)
	ops, ok := e.q.(tensor.LogLossOps)
	const eps = 0.25
	return Case{
		Name:  "LogSoftmaxXent",
		Bytes: size(logits, d),
		Call: func() {
			if ok {
				ops.LogSoftmaxXent(eps, logits.Tensor, class.Tensor, weight.Tensor, loss.Tensor, d.Tensor)
			}
		},
		outs: outsOf(loss, d),
		check: func() {
			if !ok {
				return
			}
			total := 0.0
			want := make([]float64, s.rows*s.cols)
			for i, w := range weight.ref {
				if w == 0 {
					continue
				}
				x, sum, at := logits.refRow(i), 0.0, int(class.ref[i])
				for _, v := range x {
					sum += math.Exp(v - x[at]) // exactly 1 of a single class
				}
				ce := math.Log(sum)
				total += w * (math.Log(eps+ce) - math.Log(eps))
				for c, v := range x {
					p := math.Exp(v-x[at]) / sum
					if c == at {
						p--
					}
					want[i*s.cols+c] = w * p / (eps + ce)
				}
			}
			checkLoss(loss, d, total, want)
		},
	}
}

func smoothSoftmaxCase(e *env, s shape, smooth float32) Case {
	logits, weight, share := e.normal(s), e.weights(s), e.shares(s)
	class := e.classes(s, weight)
	loss, d := e.undefined(shape{1, 1, false}), e.undefined(s)
	return Case{
		Name:  fmt.Sprintf("SmoothSoftmaxXent/%g", smooth),
		Bytes: size(logits, d),
		Call: func() {
			e.q.SmoothSoftmaxXent(smooth, share.Tensor, logits.Tensor, class.Tensor, weight.Tensor, loss.Tensor, d.Tensor)
		},
		outs: outsOf(loss, d),
		check: func() {
			total, sm := 0.0, float64(smooth)
			want := make([]float64, s.rows*s.cols)
			for i, w := range weight.ref {
				if w == 0 {
					continue
				}
				x, sum := logits.refRow(i), 0.0
				for _, v := range x {
					sum += math.Exp(v)
				}
				targets := 0.0
				target := func(c int) float64 {
					t := sm / float64(s.cols) * share.ref[c]
					if c == int(class.ref[i]) {
						t += (1 - sm) * share.ref[c]
					}
					return t
				}
				for c, v := range x {
					total += w * target(c) * (math.Log(sum) - v)
					targets += target(c)
				}
				for c, v := range x {
					want[i*s.cols+c] = w * (targets*math.Exp(v)/sum - target(c))
				}
			}
			checkLoss(loss, d, total, want)
		},
	}
}

func smoothSigmoidCase(e *env, s shape, smooth float32) Case {
	logits, weight, share := e.normal(s), e.weights(s), e.shares(s)
	target := e.u8(s, func(int) float64 { return float64(e.rnd.IntN(2)) })
	loss, d := e.undefined(shape{1, 1, false}), e.undefined(s)
	return Case{
		Name:  fmt.Sprintf("SmoothSigmoidXent/%g", smooth),
		Bytes: size(logits, d),
		Call: func() {
			e.q.SmoothSigmoidXent(smooth, share.Tensor, logits.Tensor, target.Tensor, weight.Tensor, loss.Tensor, d.Tensor)
		},
		outs: outsOf(loss, d),
		check: func() {
			total, sm := 0.0, float64(smooth)
			want := make([]float64, s.rows*s.cols)
			for i, w := range weight.ref {
				for j, x := range logits.refRow(i) {
					t := (1-sm)*target.at(i, j) + sm/2
					total += w * share.ref[j] * (math.Max(x, 0) - x*t + math.Log1p(math.Exp(-math.Abs(x))))
					want[i*s.cols+j] = w * share.ref[j] * (1/(1+math.Exp(-x)) - t)
				}
			}
			checkLoss(loss, d, total, want)
		},
	}
}
