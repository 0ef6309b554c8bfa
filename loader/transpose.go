package loader

import "slices"

// Transposer fills the transpose of batches. It keeps working memory between calls: each
// goroutine has its own. The zero Transposer is ready.
type Transposer struct{ cursor []int32 }

// Apply fills TransIndptr, TransIndices, TransPerm and TransNorm of b from Indptr, Indices
// and AdjNorm in O(n+m), reusing their capacity. With symmetric set it first tries to share
// the structure of the subgraph and copies it only if an edge lacks its mirror image.
// Indices outside 0…n-1 panic.
func (t *Transposer) Apply(b *Batch, symmetric bool) {
	b.TransPerm = resize(b.TransPerm, b.NumEdges())
	if symmetric && t.mirror(b) {
		b.TransIndptr, b.TransIndices = b.Indptr, b.Indices
	} else {
		t.transpose(b)
	}
	b.TransNorm = resize(b.TransNorm, b.NumEdges())
	for k, e := range b.TransPerm {
		b.TransNorm[k] = b.AdjNorm[e]
	}
}

// mirror fills TransPerm of a symmetric subgraph and reports whether it is one. Rows are
// ascending, so walking them in order meets the entries of every column in ascending row
// order: one cursor per row finds each entry's mirror image.
func (t *Transposer) mirror(b *Batch) bool {
	t.cursor = append(t.cursor[:0], b.Indptr...)
	for v := range b.NumNodes() {
		for k := b.Indptr[v]; k < b.Indptr[v+1]; k++ {
			u := b.Indices[k]
			c := t.cursor[u]
			if c >= b.Indptr[u+1] || b.Indices[c] != int32(v) {
				return false
			}
			b.TransPerm[c] = k
			t.cursor[u] = c + 1
		}
	}
	return true
}

// transpose counts the entries of each column and then deals them out in row order.
func (t *Transposer) transpose(b *Batch) {
	n := b.NumNodes()
	b.TransIndptr = resize(b.TransIndptr, n+1)
	b.TransIndices = resize(b.TransIndices, b.NumEdges())
	clear(b.TransIndptr)
	for _, u := range b.Indices {
		b.TransIndptr[u+1]++
	}
	for u := range n {
		b.TransIndptr[u+1] += b.TransIndptr[u]
	}
	t.cursor = append(t.cursor[:0], b.TransIndptr...)
	for v := range n {
		for k := b.Indptr[v]; k < b.Indptr[v+1]; k++ {
			u := b.Indices[k]
			c := t.cursor[u]
			b.TransIndices[c], b.TransPerm[c] = int32(v), k
			t.cursor[u] = c + 1
		}
	}
}

// resize returns s with length n, keeping its contents only where the capacity suffices.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return slices.Grow(s[:0], n)[:n]
	}
	return s[:n]
}
