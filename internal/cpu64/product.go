package cpu64

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// A product is computed in tiles of 4×4 sums that stay in registers. The inner dimension is
// cut into pieces of depth, for each of which the right operand is packed into panels of tile
// columns and the left one, by the tasks, into panels of tile rows: what a tile reads then lies
// one after the other. Every element adds its products in the order of the inner dimension.
const (
	tile     = 4
	depth    = 256
	gemmRows = 32 // rows of c of a task
)

// gemmJob is c += alpha op(a) op(b), a piece of the inner dimension at a time.
type gemmJob struct {
	pack           bool // b of this piece; else multiply
	transA, transB bool
	alpha          float64
	a, b, c        matrix[float64]
	from, depth    int       // the piece
	panels         []float64 // b, packed
	left           []float64 // of each worker: a's rows of a task, packed
	m, n           int
}

// RunTask packs a panel of b, or computes some rows of c.
func (j *gemmJob) RunTask(worker, task int) {
	if j.pack {
		j.packPanel(&j.b, !j.transB, task*tile, j.n, j.panels[task*tile*j.depth:])
		return
	}
	left := j.left[worker*gemmRows*depth:][:gemmRows*depth]
	lo, hi := task*gemmRows, min((task+1)*gemmRows, j.m)
	for i := lo; i < hi; i += tile {
		j.packPanel(&j.a, j.transA, i, hi, left[(i-lo)*j.depth:])
	}
	for col := 0; col < j.n; col += tile {
		right := j.panels[col*j.depth:][:tile*j.depth]
		for i := lo; i < hi; i += tile {
			var sums [tile * tile]float64
			multiply(left[(i-lo)*j.depth:][:tile*j.depth], right, &sums)
			for r := range min(tile, hi-i) {
				c := j.c.row(i + r)[col:min(col+tile, j.n)]
				for k := range c {
					c[k] += j.alpha * sums[r*tile+k]
				}
			}
		}
	}
}

// packPanel writes tile vectors of the piece side by side: those from number at on, of which
// there are end; what is beyond counts as 0. Vectors are the columns of x if across, else rows.
func (j *gemmJob) packPanel(x *matrix[float64], across bool, at, end int, to []float64) {
	n := min(tile, end-at)
	to = to[:tile*j.depth]
	if n < tile {
		clear(to)
	}
	if across {
		for p := range j.depth {
			copy(to[p*tile:p*tile+n], x.s[(j.from+p)*x.stride+at:])
		}
		return
	}
	for v := range n {
		row := x.s[(at+v)*x.stride+j.from:][:j.depth]
		for p, e := range row {
			to[p*tile+v] = e
		}
	}
}

// multiply adds the products of a panel of rows with one of columns to a tile of sums. Half a
// tile at a time has as many sums as there are registers for.
func multiply(a, b []float64, sums *[tile * tile]float64) {
	for half := 0; half < tile; half += 2 {
		var s00, s01, s02, s03, s10, s11, s12, s13 float64
		for x, y := a, b; len(x) >= tile && len(y) >= tile; x, y = x[tile:], y[tile:] {
			x0, x1 := x[half], x[half+1]
			y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
			s00 += x0 * y0
			s01 += x0 * y1
			s02 += x0 * y2
			s03 += x0 * y3
			s10 += x1 * y0
			s11 += x1 * y1
			s12 += x1 * y2
			s13 += x1 * y3
		}
		s := sums[half*tile:][:2*tile]
		s[0], s[1], s[2], s[3] = s00, s01, s02, s03
		s[4], s[5], s[6], s[7] = s10, s11, s12, s13
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
	wantNumbers("Gemm", "c", c, m, n)
	if !q.ready(a, b, c) || m == 0 || n == 0 {
		return
	}
	if beta != 1 {
		q.elements = elementsJob{beta: float64(beta), y: numbers(c)}
		q.overRows(m, n, &q.elements)
	}
	panels := blocks(n, tile)
	all := q.scratch(panels*tile*depth + q.group.Threads()*gemmRows*depth)
	j := &q.gemm
	*j = gemmJob{
		transA: transA, transB: transB, alpha: float64(alpha), a: numbers(a), b: numbers(b), c: numbers(c),
		m: m, n: n, panels: all[:panels*tile*depth], left: all[panels*tile*depth:],
	}
	for ; j.from < k; j.from += depth {
		j.depth = min(depth, k-j.from)
		j.pack = true
		q.group.Do(panels, j)
		j.pack = false
		q.group.Do(blocks(m, gemmRows), j)
	}
}

// spmmJob is y = alpha a x + beta y.
type spmmJob struct {
	alpha, beta float64
	col         matrix[int32]
	val, x, y   matrix[float64]
}

func (j *spmmJob) row(i int, from, to int32) {
	y := j.y.row(i)
	if j.beta == 0 {
		clear(y)
	}
	for e := from; e < to; e++ {
		axpy(j.alpha**j.val.at(int(e)), j.x.row(int(*j.col.at(int(e)))), y)
	}
}

// axpy computes y += f x.
func axpy(f float64, x, y []float64) {
	x = x[:len(y)]
	for k, v := range x {
		y[k] += f * v
	}
}

// SpMM computes y = alpha a x + beta y. The column indices of a must be rows of x.
func (q *Queue) SpMM(alpha float32, a *tensor.CSR, x tensor.Tensor, beta float32, y tensor.Tensor) {
	const op = "SpMM"
	wantNumbers(op, "x", x, a.Cols, x.Cols)
	wantNumbers(op, "y", y, a.Rows, x.Cols)
	wantCSR(op, a)
	if beta != 0 && beta != 1 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("beta %g", beta), Want: "0 or 1"})
	}
	if !q.ready(a.Indptr, a.Indices, a.Values, x, y) {
		return
	}
	q.spmm = spmmJob{
		alpha: float64(alpha), beta: float64(beta), col: view[int32](a.Indices), val: numbers(a.Values), x: numbers(x), y: numbers(y),
	}
	q.overEdges(a, x.Cols, &q.spmm)
}
