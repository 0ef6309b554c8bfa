package cpu64

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/f64"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// The inner dimension of a product is cut into pieces of depth, for each of which the right
// operand is packed into panels of f64.Cols columns and the left one, by the tasks, into panels of
// f64.Rows rows: what a tile of sums reads then lies one after the other. Every element adds its
// products in the order of the inner dimension.
const (
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
		j.packPanel(f64.Cols, &j.b, !j.transB, task*f64.Cols, j.n, j.panels[task*f64.Cols*j.depth:])
		return
	}
	left := j.left[worker*gemmRows*depth:][:gemmRows*depth]
	lo, hi := task*gemmRows, min((task+1)*gemmRows, j.m)
	for i := lo; i < hi; i += f64.Rows {
		j.packPanel(f64.Rows, &j.a, j.transA, i, hi, left[(i-lo)*j.depth:])
	}
	for col := 0; col < j.n; col += f64.Cols {
		right := j.panels[col*j.depth:][:f64.Cols*j.depth]
		for i := lo; i < hi; i += f64.Rows {
			var sums [f64.Rows * f64.Cols]float64
			f64.Tile(left[(i-lo)*j.depth:][:f64.Rows*j.depth], right, &sums)
			for r := range min(f64.Rows, hi-i) {
				c := j.c.row(i + r)[col:min(col+f64.Cols, j.n)]
				for k := range c {
					c[k] += j.alpha * sums[r*f64.Cols+k]
				}
			}
		}
	}
}

// packPanel writes width vectors of the piece side by side: those from number at on, of which
// there are end; what is beyond counts as 0. Vectors are the columns of x if across, else rows.
func (j *gemmJob) packPanel(width int, x *matrix[float64], across bool, at, end int, to []float64) {
	n := min(width, end-at)
	to = to[:width*j.depth]
	if n < width {
		clear(to)
	}
	if across {
		for p := range j.depth {
			copy(to[p*width:p*width+n], x.s[(j.from+p)*x.stride+at:])
		}
		return
	}
	for v := range n {
		row := x.s[(at+v)*x.stride+j.from:][:j.depth]
		for p, e := range row {
			to[p*width+v] = e
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
	wantNumbers("Gemm", "c", c, m, n)
	if !q.ready(a, b, c) || m == 0 || n == 0 {
		return
	}
	if beta != 1 {
		q.elements = elementsJob{beta: float64(beta), y: numbers(c)}
		q.overRows(m, n, &q.elements)
	}
	panels := blocks(n, f64.Cols)
	all := q.scratch(panels*f64.Cols*depth + q.group.Threads()*gemmRows*depth)
	j := &q.gemm
	*j = gemmJob{
		transA: transA, transB: transB, alpha: float64(alpha), a: numbers(a), b: numbers(b), c: numbers(c),
		m: m, n: n, panels: all[:panels*f64.Cols*depth], left: all[panels*f64.Cols*depth:],
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
		f64.Axpy(j.alpha**j.val.at(int(e)), j.x.row(int(*j.col.at(int(e)))), y)
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
