package samplers

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/induce"
	"github.com/saint-gnn/saint/internal/rng"
)

// Scratch is one worker's reusable memory. The zero Scratch is ready; not safe for
// concurrent use. It grows to what the largest subgraph so far needed, plus 0.26 bytes for
// each node of the graph.
type Scratch struct {
	// Grow, if set, is called when a subgraph of n nodes and m edges does not fit into
	// dst's slices. It must leave Nodes and LossNorm with capacity n, Indptr with n+1, and
	// Indices, EdgeIDs and AdjNorm with m; their contents need not survive. With Grow unset
	// they are taken from the Go heap with some head room.
	Grow func(dst *formats.Subgraph, n, m int)

	stream   rng.Stream
	frontier induce.Frontier
	set      nodeSet
	draws    []int32 // what SampleNodes returned
	nodes    []int32 // the members of set, ascending
	i32      [scratchSlots][]int32
	i64      [scratchSlots][]int64
}

// scratchSlots is how many independent slices of each type a sampler may keep in a Scratch.
const scratchSlots = 4

// Stream returns the random stream of subgraph index of a phase; see the function
// [Stream]. It is valid until the next call and allocates nothing in the steady state.
func (s *Scratch) Stream(seed uint64, phase int, index uint64) *rand.Rand {
	return s.stream.Reset(seed, rng.Sample, phase, index)
}

// Int32s returns a slice of n values for the sampler's own use, in one of the slots 0 to 3.
// Its contents are undefined and it is valid until the next call with the same slot.
func (s *Scratch) Int32s(slot, n int) []int32 {
	s.i32[slot] = resize(s.i32[slot], n)
	return s.i32[slot]
}

// Int64s is Int32s for 64-bit values; its slots are separate from those of Int32s.
func (s *Scratch) Int64s(slot, n int) []int64 {
	s.i64[slot] = resize(s.i64[slot], n)
	return s.i64[slot]
}

// resize returns s with length n, keeping its contents only where the capacity suffices.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return slices.Grow(s[:0], n)[:n]
	}
	return s[:n]
}

// fits tells whether dst has room for n nodes.
func fits(dst *formats.Subgraph, n int) bool {
	return cap(dst.Nodes) >= n && cap(dst.LossNorm) >= n && cap(dst.Indptr) >= n+1
}

// room returns for how many edges dst has room.
func room(dst *formats.Subgraph) int {
	return min(cap(dst.Indices), cap(dst.EdgeIDs), cap(dst.AdjNorm), math.MaxInt32)
}

// grow makes room for n nodes and m edges in dst.
func (s *Scratch) grow(dst *formats.Subgraph, n, m int) {
	if s.Grow != nil {
		s.Grow(dst, n, m)
		return
	}
	// Sizes of a phase's subgraphs lie close together: with some head room the largest so
	// far is soon one that fits.
	n += n / 8
	m += m/8 + induce.Slack
	dst.Nodes, dst.LossNorm, dst.Indptr = resize(dst.Nodes, n), resize(dst.LossNorm, n), resize(dst.Indptr, n+1)
	dst.Indices, dst.EdgeIDs, dst.AdjNorm = resize(dst.Indices, m), resize(dst.EdgeIDs, m), resize(dst.AdjNorm, m)
}
