//go:build !noasm

package spmm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

//go:generate sh ../_asm/generate.sh spmm

// asmRows returns the row function of a level, nil if there is none.
func asmRows(level cpufeat.Level) rowsFunc {
	switch level {
	case cpufeat.AVX512:
		return rowsAVX512
	case cpufeat.AVX2:
		return rowsAVX2
	default:
		return nil
	}
}

var kernels512 = [...]func(rows, fetch, ahead int, indptr, col *int32, val, x *float32, ldx int, alpha, beta float32, y *float32, ldy int, mask uint16){
	rows512x1, rows512x2, rows512x3, rows512x4, rows512x5, rows512x6, rows512x7, rows512x8,
	rows512x9, rows512x10, rows512x11, rows512x12, rows512x13, rows512x14, rows512x15, rows512x16,
}

var kernels256 = [...]func(rows, fetch, ahead int, indptr, col *int32, val, x *float32, ldx int, alpha, beta float32, y *float32, ldy int, mask *int32){
	rows256x1, rows256x2, rows256x3, rows256x4, rows256x5, rows256x6, rows256x7, rows256x8,
}

// masks256 has the mask of l lanes at position 8-l.
var masks256 = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

// fetchLines is how many cache lines are on their way at a time.
const fetchLines = 64

// rowsAVX512 computes blocks of up to 256 columns.
func rowsAVX512(a *Args, lo, hi, from, to int) {
	const lanes, most = 16, 16
	e := int(a.Indptr[lo])
	entries := int(a.Indptr[hi]) - e
	for j := from; j < to && lo < hi; {
		cols := min(to-j, lanes*most)
		vecs := (cols + lanes - 1) / lanes
		ahead := max(4, fetchLines/vecs)
		kernels512[vecs-1](hi-lo, max(0, entries-ahead), 4*ahead, &a.Indptr[lo], first(a.Col[e:]), first(a.Val[e:]),
			first(a.X[min(j, len(a.X)):]), 4*a.LDX, a.Alpha, a.Beta, &a.Y[lo*a.LDY+j], 4*a.LDY, 0xffff>>(vecs*lanes-cols))
		j += cols
	}
}

// rowsAVX2 computes blocks of up to 64 columns.
func rowsAVX2(a *Args, lo, hi, from, to int) {
	const lanes, most = 8, 8
	e := int(a.Indptr[lo])
	entries := int(a.Indptr[hi]) - e
	for j := from; j < to && lo < hi; {
		cols := min(to-j, lanes*most)
		vecs := (cols + lanes - 1) / lanes
		ahead := max(8, 2*fetchLines/vecs)
		kernels256[vecs-1](hi-lo, max(0, entries-ahead), 4*ahead, &a.Indptr[lo], first(a.Col[e:]), first(a.Val[e:]),
			first(a.X[min(j, len(a.X)):]), 4*a.LDX, a.Alpha, a.Beta, &a.Y[lo*a.LDY+j], 4*a.LDY, &masks256[vecs*lanes-cols])
		j += cols
	}
}

// first returns the address of the first element, for an empty slice one that is not read.
func first[T any](s []T) *T { return unsafe.SliceData(s) }
