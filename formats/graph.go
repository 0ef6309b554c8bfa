package formats

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"unsafe"
)

// Graph is a directed adjacency in CSR form. Rows are destinations: Neighbors(v)
// are the nodes that v aggregates from. GraphSAINT's own data sets are symmetric,
// but nothing here relies on it. A Graph is read-only once built and may be shared
// by any number of goroutines; its slices may lie in a mapped file.
type Graph struct {
	Indptr  []int64   // NumNodes+1 entries, Indptr[0] == 0, non-decreasing
	Indices []int32   // column ids, ascending and unique within a row
	Weights []float32 // one per entry of Indices; nil: every edge counts as 1
}

// NumNodes returns the number of rows.
func (g *Graph) NumNodes() int { return max(0, len(g.Indptr)-1) }

// NumEdges returns the number of directed edges (stored entries).
func (g *Graph) NumEdges() int64 { return int64(len(g.Indices)) }

// Degree returns the number of stored neighbours of v.
func (g *Graph) Degree(v int32) int { return int(g.Indptr[v+1] - g.Indptr[v]) }

// Neighbors returns the columns of row v, ascending. The slice belongs to the graph.
func (g *Graph) Neighbors(v int32) []int32 { return g.Indices[g.Indptr[v]:g.Indptr[v+1]] }

// Validate checks every invariant that the fields' comments promise in O(V+E).
// The error names the first row that breaks one.
func (g *Graph) Validate() error {
	n := g.NumNodes()
	switch {
	case len(g.Indptr) == 0:
		return fmt.Errorf("indptr is empty, want at least 1 entry")
	case g.Indptr[0] != 0:
		return fmt.Errorf("indptr[0] is %d, want 0", g.Indptr[0])
	case g.Indptr[n] != int64(len(g.Indices)):
		return fmt.Errorf("indptr ends at %d, but there are %d indices", g.Indptr[n], len(g.Indices))
	case g.Weights != nil && len(g.Weights) != len(g.Indices):
		return fmt.Errorf("%d weights for %d indices", len(g.Weights), len(g.Indices))
	}
	for v := range n {
		if g.Indptr[v+1] < g.Indptr[v] {
			return fmt.Errorf("indptr decreases at row %d: %d, then %d", v, g.Indptr[v], g.Indptr[v+1])
		}
	}
	for v := range n {
		last := int32(-1)
		for _, u := range g.Neighbors(int32(v)) {
			if u <= last || int(u) >= n {
				return fmt.Errorf("row %d: index %d after %d, want ascending ids below %d", v, u, last, n)
			}
			last = u
		}
	}
	return nil
}

// Find returns the position of edge (v, u) in Indices, or -1. Cost O(log deg(v)).
func (g *Graph) Find(v, u int32) int64 {
	row := g.Neighbors(v)
	i := sort.Search(len(row), func(i int) bool { return row[i] >= u })
	if i == len(row) || row[i] != u {
		return -1
	}
	return g.Indptr[v] + int64(i)
}

// Symmetric reports whether (u, v) is an edge for every edge (v, u). Weights are not
// compared. Cost O(V+E) time, 8 bytes a node.
func (g *Graph) Symmetric() bool {
	// Rows are ascending, so walking them in order meets the entries below the diagonal in
	// the order in which their mirror entries stand above it: one cursor per row decides
	// whether the mirror entry comes next. Only half of the entries miss the cache so.
	next := make([]int64, g.NumNodes())
	unmatched := 0 // entries above the diagonal less those below
	for v := range g.NumNodes() {
		row := g.Neighbors(int32(v))
		k := 0
		for ; k < len(row) && int(row[k]) < v; k++ {
			u := row[k]
			c := next[u]
			if c >= g.Indptr[u+1] || g.Indices[c] != int32(v) {
				return false
			}
			next[u] = c + 1
		}
		unmatched -= k
		if k < len(row) && int(row[k]) == v {
			k++
		}
		next[v] = g.Indptr[v] + int64(k)
		unmatched += len(row) - k
	}
	return unmatched == 0
}

// Fingerprint returns the SHA-256 of shape, structure and weights as hex. Two graphs with
// the same fingerprint give the same samples.
func (g *Graph) Fingerprint() string {
	h := sha256.New()
	h.Write(fmt.Appendf(nil, "saint graph 1 %d %d %t\n", g.NumNodes(), g.NumEdges(), g.Weights != nil))
	h.Write(rawBytes(g.Indptr))
	h.Write(rawBytes(g.Indices))
	h.Write(rawBytes(g.Weights))
	return hex.EncodeToString(h.Sum(nil))
}

// rawBytes views s as bytes in host order. Every supported platform is little endian.
func rawBytes[T int32 | int64 | float32 | uint8](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}
