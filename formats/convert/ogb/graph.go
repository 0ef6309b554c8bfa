package ogb

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/sourcegraph/conc"
)

// pairs are edges: their two ends, one edge behind the other.
type pairs []int32

// edgeList is all edges in the order of the input.
type edgeList struct {
	blocks []pairs
	count  int64
}

// matrix is the adjacency: entry (u, v) for an edge u,v of the input, rows ascending. The
// columns lie in memory or, one row behind the other, in a file of little-endian int32.
type matrix struct {
	// Entries of each row: all, those between training nodes, those that meet no test node.
	full, train, val []int32
	roles            []role
	columns          []int32
	file             string
	merged, loops    int64 // edges of the input
}

func newMatrix(roles []role) *matrix {
	n := len(roles)
	return &matrix{full: make([]int32, n), train: make([]int32, n), val: make([]int32, n), roles: roles}
}

// part is one of the three matrices that are written.
type part uint8

const (
	fullPart part = iota
	trainPart
	valPart
)

// counts returns the entries of each row of a part.
func (m *matrix) counts(p part) []int32 { return [...][]int32{m.full, m.train, m.val}[p] }

// holds reports whether part p has the entries of nodes with role r.
func (p part) holds(r role) bool {
	switch p {
	case trainPart:
		return r == trainRole
	case valPart:
		return r != testRole
	default:
		return true
	}
}

// count sets the numbers of entries of row v.
func (m *matrix) count(v int, row []int32) {
	m.full[v] = int32(len(row))
	if m.roles[v] == testRole {
		return
	}
	train, val := int32(0), int32(0)
	for _, u := range row {
		switch m.roles[u] {
		case trainRole:
			train++
			val++
		case testRole:
		default:
			val++
		}
	}
	m.val[v] = val
	if m.roles[v] == trainRole {
		m.train[v] = train
	}
}

// sum adds up counts.
func sum(counts []int32) int64 {
	s := int64(0)
	for _, c := range counts {
		s += int64(c)
	}
	return s
}

// inMemory builds the matrix by a counting sort. Every worker owns a range of rows and
// walks over all edges, so that the result does not depend on the number of workers and no
// counter is shared. The edges are not needed any more afterwards.
func (m *matrix) inMemory(ctx context.Context, edges *edgeList, undirected bool, workers int) error {
	n := len(m.roles)
	start := make([]int64, n+1) // start[v+1] first counts row v, then is where its next entry goes
	equal := make([]int, workers+1)
	for w := range equal {
		equal[w] = n * w / workers
	}
	err := m.inRanges(ctx, edges, undirected, equal, func(v, _ int32) { start[v+1]++ })
	if err != nil {
		return err
	}
	total := int64(0)
	for v := range n {
		start[v+1], total = total, total+start[v+1]
	}
	m.columns = make([]int32, total)
	balanced := balance(start, total, workers)
	err = m.inRanges(ctx, edges, undirected, balanced, func(v, u int32) {
		m.columns[start[v+1]] = u
		start[v+1]++
	})
	if err != nil {
		return err
	}
	m.loops = edges.loops()
	edges.blocks = nil
	m.sortRows(start, workers)
	return ctx.Err()
}

// inRanges calls visit for every entry; each worker for those of the rows
// bounds[w]…bounds[w+1]-1, in the order of the edges.
func (m *matrix) inRanges(ctx context.Context, edges *edgeList, undirected bool, bounds []int, visit func(v, u int32)) error {
	var wg conc.WaitGroup
	for w := range len(bounds) - 1 {
		lo, width := int32(bounds[w]), uint32(bounds[w+1]-bounds[w])
		if width == 0 {
			continue
		}
		wg.Go(func() {
			for _, block := range edges.blocks {
				if ctx.Err() != nil {
					return
				}
				block.visit(lo, width, undirected, visit)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// visit calls f for the entries in the rows lo…lo+width-1.
func (p pairs) visit(lo int32, width uint32, undirected bool, f func(v, u int32)) {
	for i := 0; i+1 < len(p); i += 2 {
		u, v := p[i], p[i+1]
		if uint32(u-lo) < width {
			f(u, v)
		}
		if undirected && u != v && uint32(v-lo) < width {
			f(v, u)
		}
	}
}

// balance cuts the rows into ranges of about equally many entries. start[v+1] is where row v
// begins.
func balance(start []int64, total int64, parts int) []int {
	n := len(start) - 1
	bounds := make([]int, parts+1)
	bounds[parts] = n
	for w := 1; w < parts; w++ {
		at, _ := slices.BinarySearch(start[1:], total*int64(w)/int64(parts))
		bounds[w] = max(bounds[w-1], min(at, n))
	}
	return bounds
}

// loops counts the edges from a node to itself.
func (e *edgeList) loops() int64 {
	n := int64(0)
	for _, block := range e.blocks {
		for i := 0; i+1 < len(block); i += 2 {
			if block[i] == block[i+1] {
				n++
			}
		}
	}
	return n
}

// sortRows sorts the rows, drops repeated entries and counts. end[v+1] is the end of row v.
func (m *matrix) sortRows(end []int64, workers int) {
	n := len(m.roles)
	const rows = 1 << 12
	var next atomic.Int64
	var wg conc.WaitGroup
	for range workers {
		wg.Go(func() {
			for lo := int(next.Add(rows)) - rows; lo < n; lo = int(next.Add(rows)) - rows {
				for v := lo; v < min(n, lo+rows); v++ {
					m.count(v, sortUnique(m.columns[end[v]:end[v+1]]))
				}
			}
		})
	}
	wg.Wait()
	out := int64(0)
	for v := range n {
		row := m.columns[end[v] : end[v]+int64(m.full[v])]
		copy(m.columns[out:], row)
		out += int64(len(row))
	}
	m.merged = int64(len(m.columns)) - out
	m.columns = m.columns[:out]
}

// sortUnique sorts a row and returns its front with each column once.
func sortUnique(row []int32) []int32 {
	slices.Sort(row)
	return slices.Compact(row)
}
