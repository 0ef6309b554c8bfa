package tensortest

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func lossBuilds() []build {
	var bs []build
	for _, grad := range []bool{true, false} {
		bs = append(bs,
			func(e *env, s shape) Case { return softmaxCase(e, s, grad) },
			func(e *env, s shape) Case { return sigmoidCase(e, s, grad, false) },
			func(e *env, s shape) Case { return sigmoidCase(e, s, grad, true) })
	}
	return bs
}

// logits are normal with some so large that their exponentials overflow float32.
func (e *env) logits(s shape) *operand {
	return e.f32(s, func(i int) float64 {
		v := e.rnd.NormFloat64()
		if i%13 == 5 {
			v *= 200
		}
		return v
	})
}

// weights are positive with zeros among them; rows without a column have none.
func (e *env) weights(s shape) *operand {
	return e.f32(s.column(), func(i int) float64 {
		if i%4 == 2 || s.cols == 0 {
			return 0
		}
		return e.rnd.Float64() + 0.1
	})
}

// classes are random where the weight is not 0 and senseless elsewhere.
func (e *env) classes(s shape, weight *operand) *operand {
	return e.i32(s.column(), func(i int) float64 {
		if weight.ref[i] == 0 {
			return float64(-1 + i%2*1000000)
		}
		return float64(e.rnd.IntN(s.cols))
	})
}

func softmaxCase(e *env, s shape, grad bool) Case {
	logits, weight := e.logits(s), e.weights(s)
	class := e.classes(s, weight)
	loss := e.undefined(shape{1, 1, false})
	d := ifWanted(grad, func() *operand { return e.undefined(s) })
	return Case{
		Name:  fmt.Sprintf("SoftmaxXent/grad=%t", grad),
		Bytes: size(logits, d),
		Call: func() {
			e.q.SoftmaxXent(logits.Tensor, class.Tensor, weight.Tensor, loss.Tensor, tensorOf(d))
		},
		outs: outsOf(loss, d),
		check: func() {
			total := 0.0
			want := make([]float64, s.rows*s.cols)
			for i, w := range weight.ref {
				if w == 0 {
					continue
				}
				x, c := logits.refRow(i), int(class.ref[i])
				top, sum := math.Inf(-1), 0.0
				for _, v := range x {
					top = math.Max(top, v)
				}
				for _, v := range x {
					sum += math.Exp(v - top)
				}
				total += w * (math.Log(sum) + top - x[c])
				for j, v := range x {
					want[i*s.cols+j] = w * math.Exp(v-top) / sum
				}
				want[i*s.cols+c] -= w
			}
			checkLoss(loss, d, total, want)
			logits.unchanged("logits")
		},
	}
}

func outsOf(loss, d *operand) []*operand {
	if d == nil {
		return []*operand{loss}
	}
	return []*operand{loss, d}
}

// checkLoss compares a sum of positive terms and its gradient.
func checkLoss(loss, d *operand, total float64, want []float64) {
	loss.e.Helper()
	loss.equals("loss", []float64{total}, 2e-6)
	if d != nil {
		d.equals("dlogits", want, 2e-6)
	}
}

func sigmoidCase(e *env, s shape, grad, classes bool) Case {
	logits, weight := e.logits(s), e.weights(s)
	var target *operand
	is := func(i, j int) float64 { return target.at(i, j) }
	if classes {
		target = e.classes(s, weight)
		is = func(i, j int) float64 {
			if int(target.ref[i]) == j {
				return 1
			}
			return 0
		}
	} else {
		target = e.u8(s, func(int) float64 { return float64(e.rnd.IntN(2)) })
	}
	loss := e.undefined(shape{1, 1, false})
	d := ifWanted(grad, func() *operand { return e.undefined(s) })
	return Case{
		Name:  fmt.Sprintf("SigmoidXent/grad=%t-classes=%t", grad, classes),
		Bytes: size(logits, d),
		Call: func() {
			e.q.SigmoidXent(logits.Tensor, target.Tensor, weight.Tensor, loss.Tensor, tensorOf(d))
		},
		outs: outsOf(loss, d),
		check: func() {
			total := 0.0
			want := make([]float64, s.rows*s.cols)
			for i, w := range weight.ref {
				if w == 0 {
					continue
				}
				for j, x := range logits.refRow(i) {
					t := is(i, j)
					total += w * (math.Max(x, 0) - x*t + math.Log1p(math.Exp(-math.Abs(x))))
					want[i*s.cols+j] = w * (1/(1+math.Exp(-x)) - t)
				}
			}
			checkLoss(loss, d, total, want)
		},
	}
}

func optimBuilds() []build {
	bs := []build{squaresCase}
	for _, clip := range [][2]float32{{0, 0}, {0.5, 0}, {1e9, 0}, {0, 0.25}, {0.5, 0.01}} {
		bs = append(bs, func(e *env, s shape) Case { return adamCase(e, s, clip[0], clip[1]) })
	}
	return bs
}

func squaresCase(e *env, s shape) Case {
	x := e.normal(s)
	out := e.f32(shape{1, 1, s.strided}, func(int) float64 { return 3 })
	return Case{
		Name:  "SumSquares",
		Bytes: size(x),
		Call:  func() { e.q.SumSquares(x.Tensor, out.Tensor) },
		outs:  []*operand{out},
		check: func() {
			want := 3.0
			for _, v := range x.ref {
				want += v * v
			}
			out.equals("out", []float64{want}, 1e-7)
		},
	}
}

func adamCase(e *env, s shape, clipNorm, clipValue float32) Case {
	h := tensor.AdamStep{
		LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8,
		Corr1: 1 - 0.9*0.9, Corr2: 1 - 0.999*0.999, ClipNorm: clipNorm, ClipValue: clipValue,
	}
	grad, m, value := e.normal(s), e.normal(s), e.normal(s)
	v := e.f32(s, func(int) float64 { return e.rnd.Float64() + 0.01 })
	sumsq := ifWanted(clipNorm > 0, func() *operand { return e.f32(shape{1, 1, false}, func(int) float64 { return 9 }) })
	return Case{
		Name:  fmt.Sprintf("Adam/norm=%g-value=%g", clipNorm, clipValue),
		Bytes: 2 * size(grad, m, v, value),
		Call:  func() { e.q.Adam(h, tensorOf(sumsq), grad.Tensor, m.Tensor, v.Tensor, value.Tensor) },
		outs:  []*operand{value, m, v},
		check: func() {
			var wm, wv, wx []float64
			b1, b2 := float64(h.Beta1), float64(h.Beta2)
			for i, g := range grad.ref {
				if clipNorm > 0 {
					g *= math.Min(1, float64(clipNorm)/(3+1e-6))
				}
				if clipValue > 0 {
					g = math.Min(math.Max(g, -float64(clipValue)), float64(clipValue))
				}
				mi, vi := b1*m.ref[i]+(1-b1)*g, b2*v.ref[i]+(1-b2)*g*g
				wm, wv = append(wm, mi), append(wv, vi)
				wx = append(wx, value.ref[i]-float64(h.LR)/float64(h.Corr1)*mi/(math.Sqrt(vi)/math.Sqrt(float64(h.Corr2))+float64(h.Eps)))
			}
			m.equals("m", wm, 1e-6)
			v.equals("v", wv, 1e-6)
			value.equals("value", wx, 1e-6)
			grad.equals("grad", make([]float64, len(grad.ref)), 0)
		},
	}
}
