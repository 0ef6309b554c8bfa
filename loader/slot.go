package loader

import (
	"sync/atomic"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
)

// arena is the allocator of a pipeline with a count of what it has handed out.
type arena struct {
	mem  memory.Allocator
	held atomic.Int64
}

// column is one growing buffer of an arena, the memory of one slice of a Batch.
type column[T int32 | int64 | float32 | uint8] struct{ raw []byte }

// take returns n values with undefined contents. Growth frees the old buffer first and
// leaves head room, because the sizes of a phase's subgraphs lie close together.
func (c *column[T]) take(a *arena, n int) []T {
	if c.capacity() < n {
		c.free(a)
		c.raw = a.allocate((n + n/8) * c.width())
	}
	return c.slice(n)
}

// adopt returns s itself if it lies at the start of the buffer, else a copy there. It is
// for samplers that bring slices of their own.
func (c *column[T]) adopt(a *arena, s []T) []T {
	if len(s) == 0 || unsafe.SliceData(s) == c.start() {
		return s
	}
	old := c.raw
	if c.capacity() < len(s) {
		c.raw = a.allocate((len(s) + len(s)/8) * c.width())
	}
	dst := c.slice(len(s))
	copy(dst, s) // s may lie in old, which is why that is freed last
	if unsafe.SliceData(old) != unsafe.SliceData(c.raw) {
		a.free(old)
	}
	return dst
}

func (c *column[T]) slice(n int) []T { return unsafe.Slice(c.start(), c.capacity())[:n] }
func (c *column[T]) start() *T       { return (*T)(unsafe.Pointer(unsafe.SliceData(c.raw))) }
func (c *column[T]) capacity() int   { return len(c.raw) / c.width() }
func (c *column[T]) width() int      { var zero T; return int(unsafe.Sizeof(zero)) }
func (c *column[T]) free(a *arena)   { a.free(c.raw); c.raw = nil }
func (c *column[T]) poison(pattern byte) {
	for i := range c.raw {
		c.raw[i] = pattern
	}
}

func (a *arena) allocate(size int) []byte {
	// Whole cache lines, so that no two buffers share one and a record may be padded.
	const line = 64
	b := a.mem.Allocate((size + line - 1) &^ (line - 1))
	a.held.Add(int64(len(b)))
	return b
}

func (a *arena) free(b []byte) {
	if len(b) > 0 {
		a.held.Add(-int64(len(b)))
		a.mem.Free(b)
	}
}

// slot is the memory of one batch. It goes round: free list, worker, consumer, free list.
type slot struct {
	number  int // from 0
	batch   *Batch
	release func(*Batch)

	nodes, indptr, indices  column[int32]
	edgeIDs                 column[int64]
	adjNorm, lossNorm       column[float32]
	transIndptr             column[int32]
	transIndices, transPerm column[int32]
	transNorm               column[float32]
	features                column[float32]
	class                   column[int32]
	multi                   column[uint8]
}

// anyColumn is what all columns have in common.
type anyColumn interface {
	free(a *arena)
	poison(pattern byte)
}

func (s *slot) columns() [13]anyColumn {
	return [...]anyColumn{
		&s.nodes, &s.indptr, &s.indices, &s.edgeIDs, &s.adjNorm, &s.lossNorm, &s.transIndptr,
		&s.transIndices, &s.transPerm, &s.transNorm, &s.features, &s.class, &s.multi,
	}
}

func (s *slot) free(a *arena) {
	for _, c := range s.columns() {
		c.free(a)
	}
}

func (s *slot) poison(pattern byte) {
	for _, c := range s.columns() {
		c.poison(pattern)
	}
}

// open gives dst the slot's buffers, empty but with their capacity.
func (s *slot) open(dst *formats.Subgraph) {
	*dst = formats.Subgraph{
		Nodes: s.nodes.slice(0), Indptr: s.indptr.slice(0), Indices: s.indices.slice(0),
		EdgeIDs: s.edgeIDs.slice(0), AdjNorm: s.adjNorm.slice(0), LossNorm: s.lossNorm.slice(0),
	}
}

// grow makes room for n nodes and m edges; it is the Grow of a worker's Scratch.
func (s *slot) grow(a *arena, dst *formats.Subgraph, n, m int) {
	*dst = formats.Subgraph{
		Nodes: s.nodes.take(a, n), Indptr: s.indptr.take(a, n+1), Indices: s.indices.take(a, m),
		EdgeIDs: s.edgeIDs.take(a, m), AdjNorm: s.adjNorm.take(a, m), LossNorm: s.lossNorm.take(a, n),
	}
}

// adopt moves whatever a sampler put elsewhere into the slot's buffers.
func (s *slot) adopt(a *arena, dst *formats.Subgraph) {
	dst.Nodes = s.nodes.adopt(a, dst.Nodes)
	dst.Indptr = s.indptr.adopt(a, dst.Indptr)
	dst.Indices = s.indices.adopt(a, dst.Indices)
	dst.EdgeIDs = s.edgeIDs.adopt(a, dst.EdgeIDs)
	dst.AdjNorm = s.adjNorm.adopt(a, dst.AdjNorm)
	dst.LossNorm = s.lossNorm.adopt(a, dst.LossNorm)
}
