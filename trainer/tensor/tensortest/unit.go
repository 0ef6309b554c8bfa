package tensortest

import (
	"fmt"
	"math"
)

func unitBuilds() []build {
	bs := []build{unitCase}
	for _, inPlace := range []bool{false, true} {
		bs = append(bs, func(e *env, s shape) Case { return unitBackwardCase(e, s, inPlace) })
	}
	return bs
}

// lengths returns the norm of every row, at least 1e-12.
func lengths(x *operand) []float64 {
	ls := make([]float64, x.Rows)
	for i := range ls {
		sum := 0.0
		for _, v := range x.refRow(i) {
			sum += v * v
		}
		ls[i] = math.Max(math.Sqrt(sum), 1e-12)
	}
	return ls
}

// rowsWithZero is an operand whose row 2 is zero.
func rowsWithZero(e *env, s shape) *operand {
	return e.f32(s, func(i int) float64 {
		if i/s.cols == 2 {
			return 0
		}
		return e.rnd.NormFloat64()
	})
}

func unitCase(e *env, s shape) Case {
	x, y, norm := rowsWithZero(e, s), e.undefined(s), e.undefined(s.column())
	return Case{
		Name:  "NormalizeRows",
		Bytes: size(x, y),
		Call:  func() { e.q.NormalizeRows(x.Tensor, y.Tensor, norm.Tensor) },
		outs:  []*operand{y, norm},
		check: func() {
			ls := lengths(x)
			y.is("y", func(i, j int) float64 { return x.at(i, j) / ls[i] }, func(int, int) float64 { return 1e-6 })
			norm.is("norm", func(i, _ int) float64 { return ls[i] }, func(i, _ int) float64 { return 1e-5 * ls[i] })
			x.unchanged("x")
		},
	}
}

func unitBackwardCase(e *env, s shape, inPlace bool) Case {
	x, dy := e.normal(s), e.normal(s)
	dx := dy
	if !inPlace {
		dx = e.undefined(s)
	}
	ls := lengths(x)
	y := e.f32(s, func(i int) float64 { return x.ref[i] / ls[i/s.cols] })
	norm := e.f32(s.column(), func(i int) float64 { return ls[i] })
	return Case{
		Name:  fmt.Sprintf("NormalizeRowsBackward/inplace=%t", inPlace),
		Bytes: size(y, dy, dx),
		Call:  func() { e.q.NormalizeRowsBackward(dy.Tensor, y.Tensor, norm.Tensor, dx.Tensor) },
		outs:  []*operand{dx},
		check: func() {
			want := make([]float64, 0, len(dy.ref))
			for i := range s.rows {
				dot := 0.0
				for j, v := range y.refRow(i) {
					dot += v * dy.at(i, j)
				}
				for j, v := range y.refRow(i) {
					want = append(want, (dy.at(i, j)-v*dot)/norm.ref[i])
				}
			}
			// In a row of one column the two terms cancel.
			dx.is("dx", func(i, j int) float64 { return want[i*s.cols+j] },
				func(i, j int) float64 { return 1e-5 * (1 + math.Abs(dy.at(i, j))) / norm.ref[i] })
			y.unchanged("y")
		},
	}
}
