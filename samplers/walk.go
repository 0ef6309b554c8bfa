package samplers

import (
	"math/bits"
	"math/rand/v2"

	"github.com/saint-gnn/saint/formats"
)

// block is how many draws are made together: enough for their cache misses to overlap, few
// enough for their state to stay in the first-level cache.
const block = 256

// below returns a uniform value in 0…n-1, n > 0: the same as r.Uint64N(n), without that
// one's branch on whether n is a power of two, which degrees make unpredictable.
func below(r *rand.Rand, n uint64) uint64 {
	x := r.Uint64()
	hi, lo := bits.Mul64(x, n)
	power := n&(n-1) == 0
	if lo < n && !power {
		for least := -n % n; lo < least; {
			hi, lo = bits.Mul64(r.Uint64(), n)
		}
	}
	if power {
		hi = x & (n - 1)
	}
	return hi
}

// steps sets to[k] to a uniform neighbour of from[k], or to from[k] itself if it has none.
// Rows are looked up for a block of nodes at a time, then the random numbers are drawn in
// order, then the neighbours are looked up: within a block no look-up waits for another.
func steps(r *rand.Rand, g *formats.Graph, from, to []int32) {
	var at [block]int64
	var degrees [block]uint64
	for len(from) > 0 {
		n := min(block, len(from))
		for k, v := range from[:n] {
			at[k] = g.Indptr[v]
			degrees[k] = uint64(g.Indptr[v+1] - g.Indptr[v])
		}
		for k, d := range degrees[:n] {
			if d == 0 {
				at[k] = -1
				continue
			}
			at[k] += int64(below(r, d))
		}
		for k, e := range at[:n] {
			if e < 0 {
				to[k] = from[k]
				continue
			}
			to[k] = g.Indices[e]
		}
		from, to = from[n:], to[n:]
	}
}

// appendUniform appends n elements of from, drawn uniformly with replacement.
func appendUniform(r *rand.Rand, from []int32, n int, dst []int32) []int32 {
	for range n {
		dst = append(dst, from[below(r, uint64(len(from)))])
	}
	return dst
}
