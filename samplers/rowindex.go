package samplers

import "math/bits"

// rowIndex finds the row of an edge position in O(1) expected: for every 2^shift positions
// it knows the row of the first one and searches between two such rows only.
type rowIndex struct {
	indptr []int64
	guide  []int32 // guide[j]: row of position j<<shift; one more entry closes the last block
	shift  uint
}

// newRowIndex builds the index of a graph with at least one edge. Cost O(V) time, at most
// 8 bytes a node.
func newRowIndex(indptr []int64) *rowIndex {
	n, m := len(indptr)-1, indptr[len(indptr)-1]
	x := &rowIndex{indptr: indptr, shift: uint(max(0, bits.Len64(uint64(m)/uint64(n))-1))}
	blocks := int((m-1)>>x.shift) + 1
	x.guide = make([]int32, blocks+1)
	row := 0
	for j := range blocks {
		for indptr[row+1] <= int64(j)<<x.shift {
			row++
		}
		x.guide[j] = int32(row)
	}
	for indptr[row+1] <= m-1 {
		row++
	}
	x.guide[blocks] = int32(row)
	return x
}

// row returns the row that holds position e.
func (x *rowIndex) row(e int64) int32 {
	j := e >> x.shift
	lo, hi := x.guide[j], x.guide[j+1]
	for lo < hi {
		mid := int32(uint32(lo+hi) >> 1)
		if x.indptr[mid+1] <= e {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// append appends the rows of the positions. A block usually has few rows: three halvings
// without a branch find the one, whatever their number from 0 to 7.
func (x *rowIndex) append(rows []int32, positions []int64) []int32 {
	for _, e := range positions {
		j := e >> x.shift
		lo, hi := x.guide[j], x.guide[j+1]
		if hi-lo > 7 {
			rows = append(rows, x.row(e))
			continue
		}
		for range 3 {
			mid := (lo + hi) >> 1
			behind := x.indptr[mid+1] <= e
			if behind {
				lo = mid + 1
			}
			if !behind {
				hi = mid
			}
		}
		rows = append(rows, lo)
	}
	return rows
}
