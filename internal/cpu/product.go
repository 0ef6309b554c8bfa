package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

type productJob struct {
	transA, transB bool
	alpha, beta    float32
	a, b, c        matrix[float32]
	k              int
}

const productRows = 16

// RunTask computes a block of rows of c.
func (j *productJob) RunTask(_, task int) {
	for i := task * productRows; i < min((task+1)*productRows, j.c.rows); i++ {
		c := j.c.row(i)
		scaleRow(j.beta, c)
		for l := range j.k {
			var v float32
			if j.transA {
				v = j.a.s[l*j.a.stride+i]
			} else {
				v = j.a.s[i*j.a.stride+l]
			}
			v *= j.alpha
			if j.transB {
				for n := range c {
					c[n] += v * j.b.s[n*j.b.stride+l]
				}
			} else {
				axpby(v, j.b.row(l), 1, c)
			}
		}
	}
}

func scaleRow(beta float32, c []float32) {
	switch beta {
	case 0:
		clear(c)
	case 1:
	default:
		for i := range c {
			c[i] *= beta
		}
	}
}

// Gemm computes c = alpha op(a) op(b) + beta c. With beta 0 c is not read.
func (q *Queue) Gemm(transA, transB bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	matrixOf("Gemm", "a", a)
	matrixOf("Gemm", "b", b)
	m, k := a.Rows, a.Cols
	if transA {
		m, k = k, m
	}
	kb, n := b.Rows, b.Cols
	if transB {
		kb, n = n, kb
	}
	if k != kb {
		panic(&tensor.ShapeError{Op: "Gemm", Got: fmt.Sprintf("a %s, b %s (transposed: %t, %t)", a, b, transA, transB), Want: "equal inner dimensions"})
	}
	want("Gemm", "c", c, tensor.F32, m, n)
	if !q.ready(a, b, c) {
		return
	}
	j := &q.product
	j.transA, j.transB, j.alpha, j.beta, j.k = transA, transB, alpha, beta, k
	j.a, j.b, j.c = view[float32](a), view[float32](b), view[float32](c)
	q.group.Do(tasks(m, productRows), j)
}

type sparseJob struct {
	alpha, beta     float32
	indptr, indices []int32
	values          []float32
	x, y            matrix[float32]
}

const sparseRows = 64

// RunTask computes a block of rows of y.
func (j *sparseJob) RunTask(_, task int) {
	for i := task * sparseRows; i < min((task+1)*sparseRows, j.y.rows); i++ {
		y := j.y.row(i)
		scaleRow(j.beta, y)
		for e := j.indptr[i]; e < j.indptr[i+1]; e++ {
			axpby(j.alpha*j.values[e], j.x.row(int(j.indices[e])), 1, y)
		}
	}
}

// SpMM computes y = alpha a x + beta y.
func (q *Queue) SpMM(alpha float32, a *tensor.CSR, x tensor.Tensor, beta float32, y tensor.Tensor) {
	want("SpMM", "x", x, tensor.F32, a.Cols, x.Cols)
	want("SpMM", "y", y, tensor.F32, a.Rows, x.Cols)
	want("SpMM", "indptr", a.Indptr, tensor.I32, a.Rows+1, 1)
	want("SpMM", "indices", a.Indices, tensor.I32, a.Indices.Rows, 1)
	want("SpMM", "values", a.Values, tensor.F32, a.Indices.Rows, 1)
	if beta != 0 && beta != 1 {
		panic(&tensor.ShapeError{Op: "SpMM", Got: fmt.Sprintf("beta %g", beta), Want: "0 or 1"})
	}
	if !q.ready(a.Indptr, a.Indices, a.Values, x, y) {
		return
	}
	j := &q.sparse
	j.alpha, j.beta = alpha, beta
	j.indptr, j.indices, j.values = I32(a.Indptr), I32(a.Indices), F32(a.Values)
	j.x, j.y = view[float32](x), view[float32](y)
	q.group.Do(tasks(a.Rows, sparseRows), j)
}
