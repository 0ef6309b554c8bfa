// Package gemm multiplies dense float32 matrices: AVX-512 and AVX2 kernels on amd64, plain
// Go elsewhere, chosen by internal/cpufeat.
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

	"github.com/saint-gnn/saint/internal/kernels/f32"
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
	if m == 0 || n == 0 {
		return
	}
	check("c", c, m, n, ldc)
	if k == 0 || alpha == 0 {
		scale(m, n, beta, c, ldc)
		return
	}
	if transA {
		check("a", a, k, m, lda)
	} else {
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
	}
	j.cut(&ws.kern, g.Threads())
	ws.reserve(g.Threads())
	for _, p := range [...]phase{packing, multiplying, reducing} {
		j.phase = p
		g.Do(ws.tasks(), ws)
	}
	ws.forget()
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

// job is one product, cut into tasks.
type job struct {
	transA, transB bool
	m, n, k        int
	alpha, beta    float32
	a, b, c        []float32
	lda, ldb, ldc  int

	phase    phase
	kc       int // inner dimension of a chunk; the last one may be shorter
	chunks   int
	slabs    int  // partial products, each of neighbouring chunks
	mc       int  // rows of c in a block, a multiple of the tile's rows
	nc       int  // columns of c in a block, a multiple of the tile's columns
	mb, nb   int  // blocks of c
	panels   int  // column panels of op(b)
	padded   int  // columns of op(b) in packed form
	narrowed bool // the last panel has the width of the narrow kernel
	directA  bool // a is read in place
	directB  bool // b is read in place
}

type phase int

const (
	packing     phase = iota // op(b) into panels; a task is one panel of one chunk
	multiplying              // a task is one block of c in one slab
	reducing                 // partial products into c; a task is some rows
)

const (
	maxKC = 256 // a panel of kc×32 elements fills two thirds of a 48 KiB L1 cache
	maxNC = 512

	// With fewer blocks of leastMC rows of c than wantTasks the inner dimension is split,
	// into slabs of minSlab chunks at least, so that writing and summing partial products
	// stays cheap.
	leastMC   = 48
	wantTasks = 32
	minSlab   = 2

	// maxPartial bounds the memory of partial products, in elements.
	maxPartial = 16 << 20

	reduceRows = 16
)

// cut chooses the sizes. Threads may change only mc, which decides who computes an
// element and not how.
func (j *job) cut(kern *kernels, threads int) {
	j.chunks = ceil(j.k, maxKC)
	j.kc = ceil(j.k, j.chunks)
	j.chunks = ceil(j.k, j.kc)

	j.panels = ceil(j.n, kern.nr)
	j.padded = j.panels * kern.nr
	if j.narrowed = j.padded-j.n >= kern.nr-kern.narrow; j.narrowed {
		j.padded -= kern.nr - kern.narrow
	}

	// Rows that are a page apart fall into the same set of the cache. A copy of them costs
	// as much as a few columns of c.
	const page = 1024
	j.directA = !j.transA && (j.lda%page != 0 || j.n < 4*kern.nr)
	// In a weight gradient b is as long as a, and packing it would take longer than what few
	// strips of c gain from it.
	j.directB = j.transA && !j.transB && (kern.masked || j.padded == j.n)

	j.mc = kern.mc
	j.nc = maxNC / kern.nr * kern.nr
	j.mb, j.nb = ceil(j.m, j.mc), ceil(j.n, j.nc)
	blocks := ceil(j.m, leastMC) * j.nb
	j.slabs = max(1, min(ceil(wantTasks, blocks), j.chunks/minSlab, maxPartial/(j.m*j.n)))
	for j.mc >= 4*kern.mr && j.mb*j.nb*j.slabs < 8*threads {
		j.mc = ceil(j.mc/2, kern.mr) * kern.mr
		j.mb = ceil(j.m, j.mc)
	}
	j.mc = ceil(ceil(j.m, j.mb), kern.mr) * kern.mr
	j.mb = ceil(j.m, j.mc)
}

func ceil(x, y int) int { return (x + y - 1) / y }

// panel returns the first column of panel p of op(b) and its packed width.
func (j *job) panel(kern *kernels, p int) (col, width int) {
	col = p * kern.nr
	if j.narrowed && p == j.panels-1 {
		return col, kern.narrow
	}
	return col, kern.nr
}

// chunk returns the range of the inner dimension of chunk i.
func (j *job) chunk(i int) (k0, kc int) {
	k0 = i * j.kc
	return k0, min(j.kc, j.k-k0)
}

// tasks returns the number of tasks of the current phase.
func (ws *Workspace) tasks() int {
	j := &ws.job
	switch {
	case j.phase == packing && j.directB:
		return 0
	case j.phase == packing:
		return j.chunks * j.panels
	case j.phase == multiplying:
		return j.slabs * j.mb * j.nb
	case j.slabs > 1:
		return ceil(j.m, reduceRows)
	}
	return 0
}

// RunTask does one task of the current phase; it makes a Workspace a workers.Runner.
func (ws *Workspace) RunTask(worker, task int) {
	j := &ws.job
	switch j.phase {
	case packing:
		ws.packB(task/j.panels, task%j.panels)
	case multiplying:
		// Neighbouring tasks share a slab, so that its part of op(b) is hot in the shared cache.
		slab, block := task/(j.mb*j.nb), task%(j.mb*j.nb)
		ws.multiply(worker, slab, block%j.mb, block/j.mb)
	case reducing:
		ws.reduce(task)
	}
}

// reduce sums rows of the partial products into c, in order.
func (ws *Workspace) reduce(task int) {
	j := &ws.job
	for i := task * reduceRows; i < min(j.m, (task+1)*reduceRows); i++ {
		row := j.c[i*j.ldc : i*j.ldc+j.n]
		for slab := range j.slabs {
			part := ws.partial[slab*j.m*j.n+i*j.n:][:len(row)]
			if slab == 0 {
				addFirst(part, j.beta, row)
			} else {
				f32.Add(part, row)
			}
		}
	}
}

// addFirst computes row = part + beta row.
func addFirst(part []float32, beta float32, row []float32) {
	if beta == 0 {
		copy(row, part)
		return
	}
	for x, v := range part {
		row[x] = v + beta*row[x]
	}
}
