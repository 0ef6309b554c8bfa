package loader

import (
	"context"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
)

// Batch is one training subgraph with its labels and, if asked for, its feature rows. It
// belongs to the caller of Next until Release; after Release its slices hold other data
// (0xCC bytes under -tags invariants).
type Batch struct {
	formats.Subgraph
	Phase int
	Index uint64 // position in the phase; fixes every random draw of this batch

	// The transpose of the subgraph, for backward passes: row u of it lists in ascending
	// order the rows v that aggregate from u. Entry k is entry TransPerm[k] of the subgraph
	// and its value is TransNorm[k]. Where the training graph is symmetric TransIndptr and
	// TransIndices are Indptr and Indices themselves.
	TransIndptr, TransIndices, TransPerm []int32
	TransNorm                            []float32

	Features []float32 // n×F row-major; nil when the consumer gathers itself
	Class    []int32   // n, single-label data; else nil
	Multi    []uint8   // n×C, multi-label data; else nil

	release func(*Batch)
}

// Release returns the batch to its source. Call it exactly once.
func (b *Batch) Release() { b.release(b) }

// Source yields batches in Index order. Local pipelines and remote clients are Sources.
type Source interface {
	// Next blocks. It returns io.EOF after the last batch, ctx.Err() if ctx ends,
	// and otherwise the first error of any stage. One goroutine at a time may call it.
	Next(ctx context.Context) (*Batch, error)
	// Close stops every goroutine and waits for them. Batches not released stay valid.
	Close() error
}

// Config sizes a pipeline and names what it draws. Memory is bounded by
// (Workers+Prefetch+1) batches.
type Config struct {
	Env     samplers.Env
	Sampler samplers.Sampler
	Norm    *samplers.Norm
	Labels  *formats.Labels
	// Features, if set, fills Batch.Features; nil leaves the gathering to the consumer.
	Features formats.FeatureStore
	// Symmetric says that Env.Graph is structurally symmetric.
	Symmetric bool

	Workers, Prefetch int
	Seed              uint64
	Phase             int
	From, To          uint64           // batch indices; From>0 resumes, To==0 means no end
	Shard, Shards     uint64           // this consumer takes indices with i%Shards==Shard; Shards==0 means 1
	Alloc             memory.Allocator // where batches live; nil: memory.DefaultAllocator
}
