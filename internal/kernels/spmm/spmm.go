// Package spmm multiplies a sparse matrix in CSR form by a dense one, the aggregation of
// a graph layer: AVX-512 and AVX2 kernels on amd64, plain Go elsewhere, chosen by
// internal/cpufeat.
//
// A row of the result is computed by one task, its terms added in the order of the row's
// entries, so results are the same bits for every number of threads and every column range.
package spmm

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/internal/workers"
)

// Args are the operands of y = alpha A x + beta y for n columns:
//
//	for i < len(Indptr)-1, j < N:
//	    y[i*LDY+j] = alpha * sum_{e=Indptr[i]}^{Indptr[i+1]-1} Val[e]*x[Col[e]*LDX+j] + beta*y[i*LDY+j]
//
// With beta 0 the old y is not read. Y must not overlap X. Indptr must not fall and column
// ids must be rows of X: only builds with -tags invariants check that.
type Args struct {
	Alpha  float32
	Indptr []int32 // rows+1 positions in Col and Val
	Col    []int32
	Val    []float32
	X      []float32
	LDX    int // elements from row to row of X
	Beta   float32
	Y      []float32
	LDY    int
	N      int // columns
}

// Workspace lets Mul run without allocating. It serves one Mul at a time and keeps a copy of
// the largest x that it packed.
type Workspace struct {
	args   Args
	parts  int
	done   RowsDone // may be nil
	rows   rowsFunc
	cache  int // elements that stay in the second-level cache; 0: x is never packed
	panels panels
}

// rowsFunc computes rows [lo,hi).
type rowsFunc func(a *Args, lo, hi int)

// NewWorkspace returns a workspace for the instruction set in use.
func NewWorkspace() *Workspace { return newWorkspace(cpufeat.Chosen()) }

func newWorkspace(level cpufeat.Level) *Workspace {
	return &Workspace{rows: rowsOf(level), cache: cacheOf(level)}
}

// workPerTask is the multiplications of a task: some tens of microseconds.
const workPerTask = 1 << 18

// Mul computes y = alpha A x + beta y with the threads of g, the rows cut into parts of
// nearly equal numbers of non-zeros. It panics if a slice is too short.
func Mul(g *workers.Group, ws *Workspace, a Args) {
	rows := len(a.Indptr) - 1
	if rows <= 0 || a.N <= 0 {
		return
	}
	check(&a)
	mul(g, ws, a, nil)
}

// RowsDone continues with finished rows of a product.
type RowsDone interface {
	// RowsDone is called once for every block of rows [lo,hi), which together are all rows, from
	// several goroutines at once, with a worker below the group's number of threads that no other
	// call at the same time has. It may change these rows of y.
	RowsDone(worker, lo, hi int)
}

// MulThen is Mul that tells done of rows as soon as they are complete, while they are in the
// cache of who made them. It returns false, and done was not told, where rows are not made one
// after the other.
func MulThen(g *workers.Group, ws *Workspace, a Args, done RowsDone) bool {
	if len(a.Indptr) <= 1 || a.N <= 0 {
		return true
	}
	check(&a)
	return mul(g, ws, a, done)
}

// doneRows is the size of the blocks that RowsDone is told.
const doneRows = 32

func mul(g *workers.Group, ws *Workspace, a Args, done RowsDone) (told bool) {
	rows := len(a.Indptr) - 1
	ws.args = a
	p := &ws.panels
	p.cut(&a, ws.cache)
	if p.count > 0 {
		g.Do(p.prepare(&ws.args), p)
	}
	ws.done = done
	if p.count > 0 {
		ws.done = nil
	}
	blocks := max(1, p.count)
	work := int64(a.Indptr[rows]-a.Indptr[0]) * int64(a.N) / int64(blocks)
	ws.parts = int(max(1, min(int64(rows), int64(16*g.Threads()), work/workPerTask)))
	g.Do(blocks*ws.parts, ws)
	told = ws.done != nil
	ws.args, ws.done = Args{}, nil
	p.forget()
	return told
}

// RunTask computes one part of the rows, of one panel if x is packed; it makes a Workspace a
// workers.Runner. All parts of a panel come one after the other, while it is in the caches.
func (ws *Workspace) RunTask(worker, task int) {
	a := &ws.args
	lo, hi := workers.RowsByNNZ(a.Indptr, ws.parts, task%ws.parts)
	if ws.panels.count > 0 {
		a = &ws.panels.each[task/ws.parts]
	}
	if ws.done == nil {
		ws.rows(a, lo, hi)
		return
	}
	for ; lo < hi; lo += doneRows {
		end := min(hi, lo+doneRows)
		ws.rows(a, lo, end)
		ws.done.RowsDone(worker, lo, end)
	}
}

func check(a *Args) {
	rows := len(a.Indptr) - 1
	switch end := int(a.Indptr[rows]); {
	case end > len(a.Col) || end > len(a.Val):
		panic("spmm: indptr ends behind col or val")
	case len(a.Y) < (rows-1)*a.LDY+a.N:
		panic("spmm: y is too short for its rows")
	case a.LDX < a.N || a.LDY < a.N:
		panic("spmm: rows overlap")
	}
	if invariants.Enabled {
		checkEntries(a)
	}
}

// checkEntries reads all of the structure, which would cost as much as narrow products do.
func checkEntries(a *Args) {
	for i, start := range a.Indptr[:len(a.Indptr)-1] {
		if start < 0 || start > a.Indptr[i+1] {
			panic(fmt.Sprintf("spmm: row %d goes from entry %d to %d", i, start, a.Indptr[i+1]))
		}
	}
	for e := a.Indptr[0]; e < a.Indptr[len(a.Indptr)-1]; e++ {
		if c := int(a.Col[e]); c < 0 || c*a.LDX+a.N > len(a.X) {
			panic(fmt.Sprintf("spmm: entry %d is in column %d, which x has no row for", e, c))
		}
	}
}

func rowsOf(level cpufeat.Level) rowsFunc {
	if f := asmRows(level); f != nil {
		return f
	}
	return rowsGo
}

// rowsGo is the portable kernel: four entries of a row at a time, so that y is read and
// written a quarter as often.
func rowsGo(a *Args, lo, hi int) {
	for i := lo; i < hi; i++ {
		y := a.Y[i*a.LDY : i*a.LDY+a.N]
		scaleGo(y, a.Beta)
		e, end := int(a.Indptr[i]), int(a.Indptr[i+1])
		for ; e+4 <= end; e += 4 {
			c, v := (*[4]int32)(a.Col[e:]), (*[4]float32)(a.Val[e:])
			v0, v1, v2, v3 := a.Alpha*v[0], a.Alpha*v[1], a.Alpha*v[2], a.Alpha*v[3]
			x0 := a.X[int(c[0])*a.LDX:][:len(y)]
			x1 := a.X[int(c[1])*a.LDX:][:len(y)]
			x2 := a.X[int(c[2])*a.LDX:][:len(y)]
			x3 := a.X[int(c[3])*a.LDX:][:len(y)]
			for j := range y {
				y[j] = y[j] + v0*x0[j] + v1*x1[j] + v2*x2[j] + v3*x3[j]
			}
		}
		for ; e < end; e++ {
			v := a.Alpha * a.Val[e]
			for j, t := range a.X[int(a.Col[e])*a.LDX:][:len(y)] {
				y[j] += v * t
			}
		}
	}
}

// scaleGo computes y *= beta; 0 overwrites whatever y holds, NaN too.
func scaleGo(y []float32, beta float32) {
	switch beta {
	case 0:
		clear(y)
	case 1:
	default:
		for j := range y {
			y[j] *= beta
		}
	}
}
