package workers

import "sort"

// rowCost is the work of an empty row, in non-zeros: its output is written all the same.
const rowCost = 4

// RowsByNNZ returns part i of parts of the rows of a CSR matrix, cut so that the parts
// have nearly the same number of non-zeros, rows counted in. indptr has a length of rows+1
// and need not begin at 0. The parts cover every row once, in order; some may be empty.
// Cost O(log rows).
func RowsByNNZ(indptr []int32, parts, i int) (lo, hi int) {
	return cut(indptr, parts, i), cut(indptr, parts, i+1)
}

// cut returns the first row of part i.
func cut(indptr []int32, parts, i int) int {
	rows := len(indptr) - 1
	if i >= parts || rows <= 0 {
		return max(rows, 0)
	}
	target := cost(indptr, rows) * int64(i) / int64(parts)
	return sort.Search(rows, func(r int) bool { return cost(indptr, r) >= target })
}

// cost returns the work of the rows before row r.
func cost(indptr []int32, r int) int64 {
	return int64(indptr[r]) - int64(indptr[0]) + int64(r)*rowCost
}
