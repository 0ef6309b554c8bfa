package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// gemmTile is the part of a product that a block makes: rows and columns of it, and the block's threads.
type gemmTile struct {
	name          string
	m, n, threads int
}

// gemmTiles are those there are, larger ones first: they read less for each product.
var gemmTiles = [...]gemmTile{{"gemm_128x128", 128, 128, 256}, {"gemm_128x64", 128, 64, 128}, {"gemm_64x64", 64, 64, 128}}

// Products are cut along the inner dimension, in ranges of at least gemmRange, where there are fewer tiles than
// gemmBlocks: blocks for a large GPU.
const (
	gemmBlocks = 264
	gemmRange  = 256
)

// tileFor returns the tile for a product, and the number of ranges. It depends on the shape alone, as does the order of
// sums.
func tileFor(m, n, k int) (t gemmTile, parts int) {
	for _, t = range gemmTiles {
		tiles := ceil(m, t.m) * ceil(n, t.n)
		parts = max(1, min(gemmBlocks/tiles, ceil(k, gemmRange)))
		if m > t.m/2 && n > t.n/2 && tiles*parts >= gemmBlocks/2 {
			break
		}
	}
	return t, parts
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
	if transA && !transB {
		if q.readyWith(a, b, c) && m > 0 && n > 0 {
			q.gemmOverRows(alpha, a, b, beta, c)
		}
		return
	}
	if q.ready(a, b, c) && m > 0 && n > 0 {
		q.gemm(transA, transB, alpha, a, b, beta, c)
	}
}

// madeBytes is about the memory of the rows that a product makes of a matrix at a time.
const madeBytes = 32 << 20

// madeRows returns how many rows of that many columns a product goes over at a time.
func (q *Queue) madeRows(cols int) int { return max(1, q.piece/(4*256*cols)) * 256 }

// gemmOverRows is the product of aᵀ and b, piece by piece of their rows where there are many: the same pieces whether
// a is made or lies in memory, so that sums are the same.
func (q *Queue) gemmOverRows(alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	piece, m := q.madeRows(a.Cols), madeOf(a)
	if a.Rows == 0 {
		a.Mem = b.Mem // nothing of it is read
		q.gemm(true, false, alpha, a, b, beta, c)
		return
	}
	rows, direct := tensor.Tensor{}, codedOf(a) != nil && q.roundsCodes(b, c)
	if m != nil && !direct {
		rows = q.lend(min(piece, a.Rows), a.Cols)
		defer q.restore()
	}
	for lo := 0; lo < a.Rows && q.err == nil; lo += piece {
		hi := min(lo+piece, a.Rows)
		part := rows.RowRange(0, hi-lo)
		switch {
		case m == nil:
			part = a.RowRange(lo, hi)
		case direct:
			part = a
			part.Rows, part.Off = hi-lo, int64(lo)
		default:
			q.writeRows(m, lo, part)
		}
		q.gemm(true, false, alpha, part, b.RowRange(lo, hi), beta, c)
		beta = 1
	}
}

// gemm is Gemm of operands that were checked.
func (q *Queue) gemm(transA, transB bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor) {
	m, n, k := c.Rows, c.Cols, a.Cols
	ai, ak := a.Stride, 1
	if transA {
		k, ai, ak = a.Rows, ak, ai
	}
	bk, bj := b.Stride, 1
	if transB {
		bk, bj = bj, bk
	}
	if q.libraryGemm(transA, transB, alpha, a, b, beta, c, k) {
		return
	}
	t, parts := tileFor(m, n, k)
	q.ownGemm(t, parts, m, n, k, alpha, a, ai, ak, b, bk, bj, beta, c)
}

// ownGemm makes c of tiles with sums over parts of k.
func (q *Queue) ownGemm(t gemmTile, parts, m, n, k int, alpha float32, a tensor.Tensor, ai, ak int, b tensor.Tensor, bk, bj int, beta float32, c tensor.Tensor) {
	span, part, vecC := max(ceil(ceil(k, parts), 8)*8, 1), driver.Ptr(0), aligned(c)
	if parts = max(ceil(k, span), 1); parts > 1 {
		part, vecC = q.temporary(4*m*n*parts), n%4 == 0
	}
	l := q.with().int(m, n, k, span).f32(alpha).row(a).int(ai, ak).row(b).int(bk, bj).f32(beta).mat(c).ptr(part)
	q.launch(kernel{"gemm", t.name}, dim(ceil(m, t.m)*ceil(n, t.n), parts), t.threads, l.flag(aligned(a)).flag(aligned(b)).flag(vecC))
	if parts > 1 {
		q.elements(kernel{"gemm", "gemm_join"}, m*n, q.with().int(m, n, parts).ptr(part).f32(alpha, beta).mat(c))
	}
}

// hubBlocks, or one for hubRows, look for rows with many entries; hubThreads make each of those.
const (
	hubBlocks  = 64
	hubRows    = 16
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
	q.launch(kernel{"spmm", "spmm"}, dim(ceil(a.Rows, blockThreads>>group), ceil(x.Cols, 4<<group)), blockThreads, l)
	l = q.with().int(a.Rows, x.Cols).f32(alpha).row(a.Indptr, a.Indices, a.Values).mat(x).flag(beta != 0).mat(y).flag(vec)
	q.launch(kernel{"spmm", "spmm_hubs"}, dim(min(ceil(a.Rows, hubRows), hubBlocks), ceil(x.Cols, 128)), hubThreads, l)
}
