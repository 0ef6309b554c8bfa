package loader

import (
	"context"
	"errors"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/samplers"
)

// Batch is one training subgraph with its labels and, if asked for, its feature rows. It
// belongs to the caller of Next until Release; after Release its slices hold other data
// (0xCC bytes under -tags invariants).
type Batch struct {
	formats.Subgraph
	Phase int
	Index uint64 // position in the phase; fixes every random draw of this batch
	// Repeats says that the source delivers this very batch every time, with another Index: what
	// was made of it may be kept.
	Repeats bool

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

// NewBatch returns an empty batch whose Release calls release once: a Source outside this
// package gets its memory back there.
func NewBatch(release func(*Batch)) *Batch { return &Batch{release: release} }

// Release returns the batch to its source. Call it exactly once, from any goroutine, also
// after the source was closed. Under -tags invariants a second call panics; without, it
// does nothing as long as the source has not handed the memory out again.
func (b *Batch) Release() {
	release := b.release
	if release == nil {
		if invariants.Enabled {
			panic("loader: batch released twice")
		}
		return
	}
	b.release = nil
	release(b)
}

// Record wraps the batch as an Arrow record of one row without copying; the record must
// not be used after Release. The schema is one of [arrowrec.Schema]; what it does not
// carry is left out, and a batch that lacks what it carries panics. The transpose is not
// part of a record: whoever receives it rebuilds it with a [Transposer].
func (b *Batch) Record(schema *arrow.Schema) arrow.Record {
	return arrowrec.Record(schema, b.row())
}

func (b *Batch) row() *arrowrec.Row {
	return &arrowrec.Row{Index: b.Index, Subgraph: b.Subgraph, Features: b.Features, Class: b.Class, Multi: b.Multi}
}

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("loader: source is closed")

// Source yields batches in Index order. Local pipelines and remote clients are Sources.
type Source interface {
	// Next blocks. It returns io.EOF after the last batch, ctx.Err() if ctx ends (the
	// stream is unharmed: a later call goes on), ErrClosed after Close and otherwise the
	// error of the first batch that could not be made, after all batches before it. Errors
	// of the source stay: every later call returns them again. One goroutine at a time may
	// call it.
	Next(ctx context.Context) (*Batch, error)
	// Close stops every goroutine and waits for them. Batches not released stay valid.
	// It may be called at any time, more than once, and while Next blocks.
	Close() error
}

// Config sizes a pipeline and names what it draws. Memory is bounded by
// (Workers+Prefetch+1) batches.
type Config struct {
	Env     samplers.Env
	Sampler samplers.Sampler
	Norm    *samplers.Norm
	// Labels, if set, fills Batch.Class or Batch.Multi.
	Labels *formats.Labels
	// Features, if set, fills Batch.Features; nil leaves the gathering to the consumer.
	Features formats.FeatureStore
	// Symmetric says that Env.Graph is structurally symmetric. It only saves time and
	// memory: a subgraph that is not symmetric after all gets a transpose of its own.
	Symmetric bool
	// NoTranspose leaves the transpose of the batches empty, for a consumer that passes them
	// on as records: those do not carry it.
	NoTranspose bool

	// Workers 0 means one for each CPU the process may use. A sampler that draws the whole
	// training graph every time gets one worker and no prefetch.
	Workers, Prefetch int
	Seed              uint64
	Phase             int
	From, To          uint64 // batch indices; From>0 resumes, To==0 means no end
	Shard, Shards     uint64 // this consumer takes indices with i%Shards==Shard; Shards==0 means 1
	// Alloc is where batches live; nil: memory.DefaultAllocator. All workers call it.
	Alloc memory.Allocator
	// Tracer, if set, learns where the workers' time goes.
	Tracer Tracer
	// Finish, if set, is the last stage of a batch, run by the worker that made it, so that
	// batches are finished in parallel. slot, below [Config.Slots], is the batch's alone from
	// here until Release: whoever passes batches on can have memory of its own for each slot.
	// What Finish puts into the batch is delivered with it.
	Finish func(slot int, b *Batch) error
}

// Slots returns how many batches a pipeline of c holds at the most.
func (c Config) Slots() (int, error) {
	err := c.complete()
	return c.Workers + c.Prefetch + 1, err
}

// Meta describes the batches that c makes, for [Batch.Record]. The data set's name and the
// sampler's parameters as JSON are only passed on.
func (c *Config) Meta(dataset, sampler string) arrowrec.Meta {
	m := arrowrec.Meta{
		Dataset: dataset, Sampler: sampler, Seed: c.Seed, Phase: c.Phase,
		NumNodes: c.Env.Graph.NumNodes(), NumTrainEdges: c.Env.Graph.NumEdges(),
		BatchesPerEpoch: samplers.BatchesPerEpoch(c.Sampler, c.Env), Labels: arrowrec.NoLabels, EdgeIDs: true,
	}
	if c.Features != nil {
		m.NumFeatures = c.Features.Dim()
	}
	if c.Labels != nil {
		m.NumClasses, m.Labels = c.Labels.NumClasses, arrowrec.SingleLabels
		if c.Labels.IsMulti() {
			m.Labels = arrowrec.MultiLabels
		}
	}
	return m
}
