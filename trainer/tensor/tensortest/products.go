package tensortest

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// builds returns every operation in every variant.
func builds() []build {
	var bs []build
	bs = append(bs, productBuilds()...)
	bs = append(bs, moveBuilds()...)
	bs = append(bs, normBuilds()...)
	bs = append(bs, batchBuilds()...)
	bs = append(bs, unitBuilds()...)
	bs = append(bs, lossBuilds()...)
	bs = append(bs, headBuilds()...)
	bs = append(bs, optimBuilds()...)
	return append(bs, updateBuilds()...)
}

func productBuilds() []build {
	var bs []build
	for _, v := range []struct {
		transA, transB bool
		alpha, beta    float32
		k              int
	}{
		{false, false, 1, 0, 19},
		{true, false, 1, 1, 40},
		{false, true, 1, 0, 7},
		{true, true, 0.5, -2, 5},
		{false, false, -2, 1, 1},
		{false, false, 1, 1, 0},
		{false, false, 1, 0, 0},
		{true, false, 1, 1, 150},
	} {
		bs = append(bs, func(e *env, s shape) Case { return gemmCase(e, s, v.transA, v.transB, v.alpha, v.beta, v.k) })
	}
	for _, beta := range []float32{0, 1} {
		bs = append(bs, func(e *env, s shape) Case { return spmmCase(e, s, 1, beta) })
	}
	return append(bs, func(e *env, s shape) Case { return spmmCase(e, s, -0.5, 1) })
}

// destination is an operand whose old contents count only if beta is not 0.
func (e *env) destination(s shape, beta float32) *operand {
	if beta == 0 {
		return e.undefined(s)
	}
	return e.normal(s)
}

func gemmCase(e *env, s shape, transA, transB bool, alpha, beta float32, k int) Case {
	sa, sb := shape{s.rows, k, s.strided}, shape{k, s.cols, s.strided}
	if transA {
		sa.rows, sa.cols = sa.cols, sa.rows
	}
	if transB {
		sb.rows, sb.cols = sb.cols, sb.rows
	}
	a, b, c := e.normal(sa), e.normal(sb), e.destination(s, beta)
	entry := func(i, j int) (sum, abs float64) {
		for l := range k {
			x, y := a.entry(transA, i, l), b.entry(transB, l, j)
			sum += x * y
			abs += math.Abs(x * y)
		}
		sum, abs = float64(alpha)*sum, math.Abs(float64(alpha))*abs
		if beta != 0 {
			sum += float64(beta) * c.at(i, j)
			abs += math.Abs(float64(beta) * c.at(i, j))
		}
		return sum, abs
	}
	return Case{
		Name:  fmt.Sprintf("Gemm/%s-k=%d-beta=%g", layout(transA, transB), k, beta),
		Bytes: size(a, b, c),
		Call:  func() { e.q.Gemm(transA, transB, alpha, a.Tensor, b.Tensor, beta, c.Tensor) },
		outs:  []*operand{c},
		check: func() {
			c.is("c",
				func(i, j int) float64 { sum, _ := entry(i, j); return sum },
				func(i, j int) float64 { _, abs := entry(i, j); return 1e-5 * abs })
			a.unchanged("a")
			b.unchanged("b")
		},
	}
}

// entry returns element (i,j) of the operand or of its transpose.
func (o *operand) entry(trans bool, i, j int) float64 {
	if trans {
		i, j = j, i
	}
	return o.at(i, j)
}

func layout(transA, transB bool) string {
	return map[bool]string{false: "N", true: "T"}[transA] + map[bool]string{false: "N", true: "T"}[transB]
}

// csr is a random matrix of about degree entries a row, with empty rows and repeated columns.
func (e *env) csr(rows, cols, degree int) (*tensor.CSR, [3]*operand) {
	indptr := make([]float64, rows+1)
	for i := range rows {
		n := 0
		if i%5 != 3 && cols > 0 {
			n = e.rnd.IntN(2*degree + 1)
		}
		indptr[i+1] = indptr[i] + float64(n)
	}
	m := int(indptr[rows])
	p := e.i32(shape{rows + 1, 1, false}, func(i int) float64 { return indptr[i] })
	x := e.i32(shape{m, 1, false}, func(int) float64 { return float64(e.rnd.IntN(cols)) })
	v := e.normal(shape{m, 1, false})
	return &tensor.CSR{Rows: rows, Cols: cols, Indptr: p.Tensor, Indices: x.Tensor, Values: v.Tensor}, [3]*operand{p, x, v}
}

func spmmCase(e *env, s shape, alpha, beta float32) Case {
	src := s.rows + 3
	a, parts := e.csr(s.rows, src, 9)
	x, y := e.normal(shape{src, s.cols, s.strided}), e.destination(s, beta)
	indptr, indices, values := parts[0].ref, parts[1].ref, parts[2].ref
	entry := func(i, j int) (sum, abs float64) {
		for k := int(indptr[i]); k < int(indptr[i+1]); k++ {
			v := float64(alpha) * values[k] * x.at(int(indices[k]), j)
			sum += v
			abs += math.Abs(v)
		}
		if beta != 0 {
			sum += y.at(i, j)
			abs += math.Abs(y.at(i, j))
		}
		return sum, abs
	}
	return Case{
		Name:  fmt.Sprintf("SpMM/alpha=%g-beta=%g", alpha, beta),
		Bytes: size(parts[:]...) + size(x, y),
		Call:  func() { e.q.SpMM(alpha, a, x.Tensor, beta, y.Tensor) },
		outs:  []*operand{y},
		check: func() {
			y.is("y",
				func(i, j int) float64 { sum, _ := entry(i, j); return sum },
				func(i, j int) float64 { _, abs := entry(i, j); return 1e-5 * abs })
			x.unchanged("x")
		},
	}
}
