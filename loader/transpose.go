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
	b.TransNorm = resize(b.TransNorm, b.NumEdges())
	if symmetric && t.mirror(b) {
		b.TransIndptr, b.TransIndices = b.Indptr, b.Indices
		return
	}
	t.transpose(b)
	for k, e := range b.TransPerm {
		b.TransNorm[k] = b.AdjNorm[e]
	}
}

// mirror fills TransPerm and TransNorm of a symmetric subgraph and reports whether it is one.
// Rows are ascending, so walking them in order meets the entries of every column in ascending
// row order: one cursor per row finds the mirror image of each entry above the diagonal. Those
// below have been found from their other end, or there is no other end.
func (t *Transposer) mirror(b *Batch) bool {
	t.cursor = append(t.cursor[:0], b.Indptr...)
	cursor, indices := t.cursor, b.Indices
	perm, norm, adj := b.TransPerm[:len(indices)], b.TransNorm[:len(indices)], b.AdjNorm[:len(indices)]
	for v := range b.NumNodes() {
		k, end := cursor[v], b.Indptr[v+1]
		if k < end && indices[k] == int32(v) {
			perm[k], norm[k] = k, adj[k]
			k++
		}
		for ; k < end; k++ {
			u := indices[k]
			if u < int32(v) {
				return false
			}
			c := cursor[u]
			if c >= b.Indptr[u+1] || indices[c] != int32(v) {
				return false
			}
			cursor[u] = c + 1
			perm[c], perm[k] = k, c
			norm[c], norm[k] = adj[k], adj[c]
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
