package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// gemmTile is the side of a block's part of a product.
const gemmTile = 64

// Products with fewer blocks than gemmBlocks are cut along the inner dimension, in ranges of at
// least gemmRange.
const (
	gemmBlocks = 128
	gemmRange  = 256
)

// Gemm computes c = alpha op(a) op(b) + beta c. With beta 0 c is not read.
func (q *Queue) Gemm(transA, transB bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	matrixOf("Gemm", "a", a)
	matrixOf("Gemm", "b", b)
	m, k := a.Rows, a.Cols
	ai, ak := a.Stride, 1
	if transA {
		m, k, ai, ak = k, m, ak, ai
	}
	kb, n := b.Rows, b.Cols
	bk, bj := b.Stride, 1
	if transB {
		kb, n, bk, bj = n, kb, bj, bk
	}
	if k != kb {
		panic(&tensor.ShapeError{Op: "Gemm", Got: fmt.Sprintf("a %s, b %s (transposed: %t, %t)", a, b, transA, transB), Want: "equal inner dimensions"})
	}
	want("Gemm", "c", c, tensor.F32, m, n)
	if !q.ready(a, b, c) || m == 0 || n == 0 {
		return
	}
	if q.libraryGemm(transA, transB, alpha, a, b, beta, c, k) {
		return
	}
	down, across := ceil(m, gemmTile), ceil(n, gemmTile)
	parts := min(gemmBlocks/(down*across), ceil(k, gemmRange))
	if parts <= 1 {
		l := q.with().int(m, n, k).f32(alpha).row(a).int(ai, ak).row(b).int(bk, bj).f32(beta).mat(c)
		q.launch(kernel{"gemm", "gemm"}, dim(across, down, 1), blockThreads, l)
		return
	}
	span := ceil(k, parts)
	parts = ceil(k, span)
	part := q.temporary(4 * m * n * parts)
	l := q.with().int(m, n, k, span).row(a).int(ai, ak).row(b).int(bk, bj).ptr(part)
	q.launch(kernel{"gemm", "gemm_part"}, dim(across, down, parts), blockThreads, l)
	q.elements(kernel{"gemm", "gemm_join"}, m*n, q.with().int(m, n, parts).ptr(part).f32(alpha, beta).mat(c))
}

// hubBlocks look for rows with many entries; hubThreads make each of those.
const (
	hubBlocks  = 64
	hubThreads = 1024
)

func checkCSR(op string, a *tensor.CSR) {
	want(op, "indptr", a.Indptr, tensor.I32, a.Rows+1, 1)
	want(op, "indices", a.Indices, tensor.I32, a.Indices.Rows, 1)
	want(op, "values", a.Values, tensor.F32, a.Indices.Rows, 1)
	for _, t := range []tensor.Tensor{a.Indptr, a.Indices, a.Values} {
		if !contiguous(t) {
			panic(&tensor.ShapeError{Op: op, Got: describe(t), Want: "contiguous"})
		}
	}
}

// SpMM computes y = alpha a x + beta y. The column indices of a must be rows of x.
func (q *Queue) SpMM(alpha float32, a *tensor.CSR, x tensor.Tensor, beta float32, y tensor.Tensor) {
	const op = "SpMM"
	want(op, "x", x, tensor.F32, a.Cols, x.Cols)
	want(op, "y", y, tensor.F32, a.Rows, x.Cols)
	checkCSR(op, a)
	if beta != 0 && beta != 1 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("beta %g", beta), Want: "0 or 1"})
	}
	if !q.ready(a.Indptr, a.Indices, a.Values, x, y) || a.Rows == 0 || x.Cols == 0 {
		return
	}
	group := 3
	for group < 5 && 4<<group < x.Cols {
		group++
	}
	vec := aligned(x, y)
	l := q.with().int(a.Rows, x.Cols, group).f32(alpha).row(a.Indptr, a.Indices, a.Values).mat(x).flag(beta != 0).mat(y).flag(vec)
	q.launch(kernel{"spmm", "spmm"}, dim(ceil(a.Rows, blockThreads>>group), ceil(x.Cols, 4<<group), 1), blockThreads, l)
	l = q.with().int(a.Rows, x.Cols).f32(alpha).row(a.Indptr, a.Indices, a.Values).mat(x).flag(beta != 0).mat(y).flag(vec)
	q.launch(kernel{"spmm", "spmm_hubs"}, dim(min(a.Rows, hubBlocks), ceil(x.Cols, 128), 1), hubThreads, l)
}
