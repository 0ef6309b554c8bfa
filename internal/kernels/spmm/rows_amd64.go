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
	case cpufeat.AVX512, cpufeat.AMX:
		return rowsAVX512
	case cpufeat.AVX2:
		return rowsAVX2
	default:
		return nil
	}
}

var kernels512 = [...]func(n, rest, ahead int, col *int32, val, x *float32, ldx int, alpha, beta float32, y *float32, mask uint16){
	row512x1, row512x2, row512x3, row512x4, row512x5, row512x6, row512x7, row512x8,
	row512x9, row512x10, row512x11, row512x12, row512x13, row512x14, row512x15, row512x16,
}

var kernels256 = [...]func(n, rest, ahead int, col *int32, val, x *float32, ldx int, alpha, beta float32, y *float32, mask *int32){
	row256x1, row256x2, row256x3, row256x4, row256x5, row256x6, row256x7, row256x8,
}

// masks256 has the mask of l lanes at position 8-l.
var masks256 = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

// fetchLines is how many cache lines are on their way at a time.
const fetchLines = 64

// rowsAVX512 computes blocks of up to 256 columns.
func rowsAVX512(a *Args, lo, hi int) {
	const lanes, most = 16, 16
	end := int(a.Indptr[hi])
	for i := lo; i < hi; i++ {
		e := int(a.Indptr[i])
		n := int(a.Indptr[i+1]) - e
		for j := 0; j < a.N; {
			cols := min(a.N-j, lanes*most)
			vecs := (cols + lanes - 1) / lanes
			ahead := max(4, fetchLines/vecs)
			fetch := max(0, min(n, end-e-ahead))
			kernels512[vecs-1](fetch, n-fetch, 4*ahead, first(a.Col[e:]), first(a.Val[e:]), first(a.X[min(j, len(a.X)):]), 4*a.LDX,
				a.Alpha, a.Beta, &a.Y[i*a.LDY+j], 0xffff>>(vecs*lanes-cols))
			j += cols
		}
	}
}

// rowsAVX2 computes blocks of up to 64 columns.
func rowsAVX2(a *Args, lo, hi int) {
	const lanes, most = 8, 8
	end := int(a.Indptr[hi])
	for i := lo; i < hi; i++ {
		e := int(a.Indptr[i])
		n := int(a.Indptr[i+1]) - e
		for j := 0; j < a.N; {
			cols := min(a.N-j, lanes*most)
			vecs := (cols + lanes - 1) / lanes
			ahead := max(8, 2*fetchLines/vecs)
			fetch := max(0, min(n, end-e-ahead))
			kernels256[vecs-1](fetch, n-fetch, 4*ahead, first(a.Col[e:]), first(a.Val[e:]), first(a.X[min(j, len(a.X)):]), 4*a.LDX,
				a.Alpha, a.Beta, &a.Y[i*a.LDY+j], &masks256[vecs*lanes-cols])
			j += cols
		}
	}
}

// first returns the address of the first element, for an empty slice one that is not read.
func first[T any](s []T) *T { return unsafe.SliceData(s) }
