// Package gemm multiplies dense float32 matrices: AVX-512 and AVX2 kernels on amd64, plain
// Go elsewhere, chosen by internal/cpufeat. With AMX, numbers are split into three bfloat16
// pieces while they are packed, and six products of pieces are summed on tiles: float32
// accuracy at a multiple of the rate (docs/adr/0016-products-on-bfloat16-tiles.md). Rows of
// the result that are not finite are computed again on vectors, so that infinities and NaN
// come out as without tiles; denormal numbers count as zero.
//
// Matrices are row-major slices with a leading dimension, so that column ranges of wider
// matrices are operands like any other. The inner dimension is cut into chunks, and for
// products with few output tiles and a long inner dimension (a weight gradient, where it
// is the number of nodes) the chunks are dealt to several partial products that are summed
// in order. All cuts are functions of m, n, k and the instruction set alone: the result is
// the same bits for every number of threads.
//
// The method is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (ACM TOMS 34(3), 2008): panels of b packed for the cache, a register
// tile of c in the innermost loop.
package gemm

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/workers"
)

// Gemm computes c = alpha op(a) op(b) + beta c with c m×n, op(a) m×k and op(b) k×n:
//
//	for i < m, j < n: c[i*ldc+j] = alpha * sum_l op(a)[i,l]*op(b)[l,j] + beta*c[i*ldc+j]
//
// op(a) is a, or its transpose with transA; a is then stored k×m. Likewise b. lda, ldb and
// ldc are the elements from one stored row to the next. With beta 0 the old c is not read;
// with alpha 0 or k 0, a and b are not read.
//
// c must not overlap a or b. ws lends scratch memory and is in use until Gemm returns.
// Gemm does not allocate once ws has grown. It panics if a slice is too short.
func Gemm(g *workers.Group, ws *Workspace, transA, transB bool, m, n, k int,
	alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int,
) {
	Fused(g, ws, Around{}, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// Around is the work that a product does on its operands while they are in the cache: on rows
// of a right before they are used and on rows of c right after they are written.
type Around struct {
	// Left gives the rows of a, which must be transposed and b not (a weight gradient); the
	// slice a is then not read. The result is the same bits as with the rows in a slice.
	Left Rows
	// Done is told of rows of c as soon as nothing of the product is missing in them.
	Done RowsDone
}

// Rows is a matrix that is made up row by row when it is needed, for example decoded.
type Rows interface {
	// Read writes rows [lo,hi) to dst, row r beginning at dst[(r-lo)*ld]. Columns outside [from,to)
	// need not be written. It is called from
	// several goroutines at once, with a worker below the group's number of threads that no
	// other call at the same time has, in any order, and may be asked for the same rows again.
	// It must give the same numbers every time and not depend on the worker.
	Read(worker int, dst []float32, ld, lo, hi, from, to int)
}

// RowsDone continues with finished rows of a product.
type RowsDone interface {
	// RowsDone is called once for every block of rows [lo,hi) of c, which together are all
	// rows, from several goroutines at once, with a worker below the group's number of threads
	// that no other call at the same time has. It may change these rows. Blocks are
	// functions of the shape of the product and the instruction set alone; see BlockRows.
	RowsDone(worker, lo, hi int)
}

// tileDoneRows is BlockRows of products on tiles.
const tileDoneRows = 4 * tileSide

// BlockRows returns what the first row of every block that RowsDone is told is a multiple of, if
// Blocks says so: sums over that many rows are the same wherever blocks end. It depends on the
// instruction set alone.
func (ws *Workspace) BlockRows() int {
	if ws.tiles.multiply != nil {
		return tileDoneRows
	}
	return ws.kern.doneRows()
}

// Blocks reports whether BlockRows holds for a product with an a that is not transposed.
func (ws *Workspace) Blocks(m, n, k int) bool {
	if ws.tiles.multiply == nil {
		return true
	}
	ws.job = job{m: m, n: n, k: k}
	tiled := ws.tiled()
	ws.job = job{}
	return tiled
}

// Fused is Gemm with work on the operands around it. It does not allocate either if around
// holds pointers.
func Fused(g *workers.Group, ws *Workspace, around Around, transA, transB bool, m, n, k int,
	alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int,
) {
	if m == 0 || n == 0 {
		return
	}
	check("c", c, m, n, ldc)
	if k == 0 || alpha == 0 {
		scale(m, n, beta, c, ldc)
		if around.Done != nil {
			around.Done.RowsDone(0, 0, m)
		}
		return
	}
	switch {
	case around.Left != nil:
		if !transA || transB {
			panic("gemm: rows are given one by one only of a transposed left operand, and beside a right one that is not")
		}
		a, lda = nil, leftLD(m)
	case transA:
		check("a", a, k, m, lda)
	default:
		check("a", a, m, k, lda)
	}
	if transB {
		check("b", b, n, k, ldb)
	} else {
		check("b", b, k, n, ldb)
	}
	j := &ws.job
	*j = job{
		transA: transA, transB: transB, m: m, n: n, k: k,
		alpha: alpha, a: a, lda: lda, b: b, ldb: ldb, beta: beta, c: c, ldc: ldc,
		left: around.Left, done: around.Done,
	}
	if ws.tiled() {
		j.cutTiles()
		if j.done != nil && !transA {
			j.align(tileDoneRows)
		}
	} else {
		j.cut(&ws.kern, g.Threads())
	}
	ws.reserve(g.Threads())
	for _, p := range [...]phase{packing, multiplying, reducing} {
		j.phase = p
		g.Do(ws.tasks(), ws)
	}
	ws.forget()
}

// leftLD returns the elements from one to the next of rows of m that are made for a chunk:
// whole cache lines, and not a page.
func leftLD(m int) int {
	ld := ceil(m, 16) * 16
	if ld%1024 == 0 {
		ld += 16
	}
	return ld
}

func check(name string, x []float32, rows, cols, ld int) {
	if rows < 0 || cols < 0 || ld < cols || rows > 0 && cols > 0 && len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("gemm: %s is %dx%d with %d elements from row to row, but its slice has %d", name, rows, cols, ld, len(x)))
	}
}

// scale computes c *= beta; 0 overwrites whatever c holds, NaN too.
func scale(m, n int, beta float32, c []float32, ldc int) {
	if beta == 1 {
		return
	}
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
}
