package spmm

import "github.com/saint-gnn/saint/internal/cpufeat"

// panels is x copied into blocks of columns, row behind row. A row of x is read as often as
// its node has neighbours: where x is larger than the second-level cache and a block of
// columns is not, the copy is soon paid for. Without it a block of columns would not stay
// there either, because rows that are a multiple of the line's number of sets apart compete
// for few of them.
type panels struct {
	count int // 0: x is read as it is
	width int // columns of a panel; the last one may be narrower
	rows  int // of x
	buf   []float32
	args  *Args
	each  []Args // the product of each panel
}

const (
	// widestPanel is as wide as is of use. Narrower than leastPanel, calls for rows cost more
	// than their sums.
	widestPanel  = 64
	leastPanel   = 16
	leastReads   = 16 // of a row of x, on the average: with 5 the copy costs more than it gains
	rowsPerBlock = 256
)

// cacheOf returns how many elements a panel may have.
func cacheOf(level cpufeat.Level) int {
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		return 7 << 16 // 1.75 MiB of 2
	case cpufeat.AVX2:
		return 1 << 17
	}
	return 0
}

// cut decides on the panels. All sums stay the same: each belongs to one column.
func (p *panels) cut(a *Args, cache int) {
	p.count = 0
	rows := len(a.Indptr) - 1
	p.rows = (len(a.X)-a.N)/a.LDX + 1
	reads := int(a.Indptr[rows]-a.Indptr[0]) / max(1, p.rows)
	if len(a.X) < a.N || reads < leastReads || p.rows*a.N <= cache && a.LDX == a.N {
		return
	}
	p.width = widestPanel
	for p.width > leastPanel && p.rows*p.width > cache {
		p.width /= 2
	}
	if p.rows*p.width > cache {
		return
	}
	p.count = (a.N + p.width - 1) / p.width
}

// prepare makes room for the copy and returns the number of its tasks.
func (p *panels) prepare(a *Args) int {
	if n := p.rows * a.N; len(p.buf) < n {
		p.buf = make([]float32, n+n/8)
	}
	p.args = a
	p.each = p.each[:0]
	for lo := 0; lo < a.N; lo += p.width {
		e := *a
		e.N = min(p.width, a.N-lo)
		e.X, e.LDX = p.buf[lo*p.rows:][:p.rows*e.N], e.N
		e.Y = a.Y[lo:]
		p.each = append(p.each, e)
	}
	return (p.rows + rowsPerBlock - 1) / rowsPerBlock
}

// forget drops the references to the operands.
func (p *panels) forget() {
	p.args = nil
	clear(p.each)
}

// RunTask copies some rows of x into all panels.
func (p *panels) RunTask(_, task int) {
	a := p.args
	for i := task * rowsPerBlock; i < min(p.rows, (task+1)*rowsPerBlock); i++ {
		row := a.X[i*a.LDX:][:a.N]
		for b := 0; len(row) > 0; b += p.width * p.rows {
			w := min(p.width, len(row))
			copy(p.buf[b+i*w:][:w], row)
			row = row[w:]
		}
	}
}
