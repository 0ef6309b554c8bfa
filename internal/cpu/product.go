package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/internal/kernels/gemm"
	"github.com/saint-gnn/saint/internal/kernels/spmm"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// ld returns the distance between rows for the kernels, which want no less than a row even
// where there is only one.
func (m *matrix[T]) ld() int { return max(m.stride, m.cols) }

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
	var around gemm.Around
	if transA && !transB {
		if rows := madeOf(a); rows != nil {
			around.Left, a = rows, tensor.Tensor{}
		}
	}
	if !q.ready(a, b, c) {
		return
	}
	ws := q.products()
	av, bv, cv := view[float32](a), view[float32](b), view[float32](c)
	if !transA && q.waits(denseProduct, c, b) {
		p := &q.put
		p.transB, p.k, p.alpha, p.beta, p.a, p.b, p.out, p.left = transB, k, alpha, beta, av, bv, cv, extentOf(a)
		p.blocks = ws.Blocks(m, n, k)
		return
	}
	gemm.Fused(q.group, ws, around, transA, transB, m, n, k, alpha, av.s, av.ld(), bv.s, bv.ld(), beta, cv.s, cv.ld())
}

// SpMM computes y = alpha a x + beta y. The column indices of a must be rows of x; they are
// checked under invariants only.
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
	if q.spmm == nil {
		q.spmm = spmm.NewWorkspace()
	}
	xv, yv := view[float32](x), view[float32](y)
	args := spmm.Args{
		Alpha: alpha, Indptr: I32(a.Indptr), Col: I32(a.Indices), Val: F32(a.Values),
		X: xv.s, LDX: xv.ld(), Beta: beta, Y: yv.s, LDY: yv.ld(), N: x.Cols,
	}
	if invariants.Enabled {
		checkColumns(args.Indptr, args.Col, a.Cols)
	}
	if q.waits(sparseProduct, y, x, a.Indptr, a.Indices, a.Values) {
		q.put.sparse = args
		return
	}
	spmm.Mul(q.group, q.spmm, args)
}

// checkColumns panics if an entry of the matrix is outside its columns.
func checkColumns(indptr, col []int32, cols int) {
	for _, c := range col[indptr[0]:indptr[len(indptr)-1]] {
		if c < 0 || int(c) >= cols {
			panic(&tensor.ShapeError{Op: "SpMM", Got: fmt.Sprintf("column %d", c), Want: fmt.Sprintf("less than %d", cols)})
		}
	}
}
