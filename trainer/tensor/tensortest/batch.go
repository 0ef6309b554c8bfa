package tensortest

import (
	"fmt"
	"math"
)

func batchBuilds() []build {
	return []build{
		func(e *env, s shape) Case { return batchCase(e, s, false, false) },
		func(e *env, s shape) Case { return batchCase(e, s, true, true) },
		func(e *env, s shape) Case { return inferCase(e, s, false) },
		func(e *env, s shape) Case { return inferCase(e, s, true) },
		batchBackwardCase,
	}
}

// batchEps and batchMomentum are what an operation gets, rounded to float32.
var (
	batchEps      = float64(float32(1e-5))
	batchMomentum = float64(float32(0.1))
)

// moments returns the mean and population variance of each column.
func moments(x *operand) (mean, variance []float64) {
	mean, variance = make([]float64, x.Cols), make([]float64, x.Cols)
	for j := range mean {
		for i := range x.Rows {
			mean[j] += x.at(i, j) / float64(x.Rows)
		}
		for i := range x.Rows {
			d := x.at(i, j) - mean[j]
			variance[j] += d * d / float64(x.Rows)
		}
	}
	return mean, variance
}

func batchCase(e *env, s shape, running, inPlace bool) Case {
	// Column means far from 0 catch a variance computed as a difference of squares.
	x := e.f32(s, func(i int) float64 { return e.rnd.NormFloat64() + 100*float64(i%s.cols%3) })
	y := x
	if !inPlace {
		y = e.undefined(s)
	}
	scale, offset := e.normal(s.row()), e.normal(s.row())
	mean, rstd := e.undefined(s.row()), e.undefined(s.row())
	row := func() *operand { return e.normal(s.row()) }
	runMean, runVar := ifWanted(running, row), ifWanted(running, row)
	return Case{
		Name:  fmt.Sprintf("BatchNorm/running=%t-inplace=%t", running, inPlace),
		Bytes: size(x, y),
		Call: func() {
			e.q.BatchNorm(float32(batchEps), float32(batchMomentum), scale.Tensor, offset.Tensor, x.Tensor, y.Tensor,
				mean.Tensor, rstd.Tensor, tensorOf(runMean), tensorOf(runVar))
		},
		outs: []*operand{y},
		check: func() {
			if s.rows == 0 {
				return
			}
			m, v := moments(x)
			want := make([]float64, len(x.ref))
			r := make([]float64, s.cols)
			for i := range want {
				j := i % s.cols
				r[j] = 1 / math.Sqrt(v[j]+batchEps)
				want[i] = (x.ref[i]-m[j])*r[j]*scale.ref[j] + offset.ref[j]
			}
			// The mean is rounded to float32 before it is subtracted.
			y.is("y", func(i, j int) float64 { return want[i*s.cols+j] }, func(_, j int) float64 {
				return 2e-5 + (2e-5+2e-7*math.Abs(m[j]))*r[j]*math.Abs(scale.ref[j])
			})
			mean.equals("mean", m, 1e-6)
			rstd.is("rstd", func(_, j int) float64 { return r[j] }, func(_, j int) float64 { return 1e-4 * r[j] * (1 + r[j]) })
			if !running {
				return
			}
			unbiased := 1.0
			if s.rows > 1 {
				unbiased = float64(s.rows) / float64(s.rows-1)
			}
			rm, rv := clone(runMean), clone(runVar)
			for j := range rm {
				rm[j] = (1-batchMomentum)*rm[j] + batchMomentum*m[j]
				rv[j] = (1-batchMomentum)*rv[j] + batchMomentum*v[j]*unbiased
			}
			runMean.equals("runMean", rm, 1e-6)
			runVar.equals("runVar", rv, 1e-4)
		},
	}
}

func inferCase(e *env, s shape, inPlace bool) Case {
	x := e.normal(s)
	y := x
	if !inPlace {
		y = e.undefined(s)
	}
	scale, offset, mean := e.normal(s.row()), e.normal(s.row()), e.normal(s.row())
	variance := e.f32(s.row(), func(int) float64 { return 0.5 + e.rnd.Float64() })
	return Case{
		Name:  fmt.Sprintf("BatchNormInfer/inplace=%t", inPlace),
		Bytes: size(x, y),
		Call: func() {
			e.q.BatchNormInfer(float32(batchEps), scale.Tensor, offset.Tensor, mean.Tensor, variance.Tensor, x.Tensor, y.Tensor)
		},
		outs: []*operand{y},
		check: func() {
			y.is("y", func(i, j int) float64 {
				return (x.at(i, j)-mean.ref[j])/math.Sqrt(variance.ref[j]+batchEps)*scale.ref[j] + offset.ref[j]
			}, func(int, int) float64 { return 2e-5 })
		},
	}
}

func batchBackwardCase(e *env, s shape) Case {
	x, dy, dx := e.normal(s), e.normal(s), e.undefined(s)
	scale, dscale, doffset := e.normal(s.row()), e.normal(s.row()), e.normal(s.row())
	m, v := moments(x)
	mean := e.f32(s.row(), func(j int) float64 { return m[j] })
	rstd := e.f32(s.row(), func(j int) float64 { return 1 / math.Sqrt(v[j]+batchEps) })
	return Case{
		Name:  "BatchNormBackward",
		Bytes: size(x, dy, dx),
		Call: func() {
			e.q.BatchNormBackward(scale.Tensor, mean.Tensor, rstd.Tensor, x.Tensor, dy.Tensor, dx.Tensor, dscale.Tensor, doffset.Tensor)
		},
		outs: []*operand{dx, dscale, doffset},
		check: func() {
			want := make([]float64, len(x.ref))
			ds, do := clone(dscale), clone(doffset)
			for j := range s.cols {
				var sum, sumX float64
				xhat := func(i int) float64 { return (x.at(i, j) - mean.ref[j]) * rstd.ref[j] }
				for i := range s.rows {
					sum += dy.at(i, j)
					sumX += dy.at(i, j) * xhat(i)
				}
				ds[j] += sumX
				do[j] += sum
				n := float64(s.rows)
				for i := range s.rows {
					want[i*s.cols+j] = scale.ref[j] * rstd.ref[j] * (dy.at(i, j) - sum/n - xhat(i)*sumX/n)
				}
			}
			// Of a single row the gradient is 0: a difference of numbers times 1/sqrt(eps).
			dx.is("dx", func(i, j int) float64 { return want[i*s.cols+j] },
				func(_, j int) float64 { return 2e-5 * (1 + math.Abs(scale.ref[j]*rstd.ref[j])) })
			dscale.equals("dscale", ds, 2e-5)
			doffset.equals("doffset", do, 2e-5)
			x.unchanged("x")
		},
	}
}
