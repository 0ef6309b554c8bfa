package synth

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats"
)

// Options are settings that do not change what is generated. The zero value is ready.
type Options struct {
	// Progress, if not nil, is told how far a stage is, in the stage's own units. Stages
	// come in the order nodes, edges, labels, features; calls are made one at a time, from
	// changing goroutines, and done never decreases within a stage.
	Progress func(stage string, done, total int64)
}

// Load generates the data set that spec ("synth:NAME[?seed=K]") names.
func Load(ctx context.Context, spec string, o Options) (*formats.RawDataset, error) {
	name, seed, err := Parse(spec)
	if err != nil {
		return nil, err
	}
	return Generate(ctx, name, seed, o)
}

// Generate makes the preset called name from seed. The result is a function of the two
// alone and belongs to the caller. An unknown name is a *formats.InputError; a cancelled
// ctx ends the work within a fraction of a second with its error.
func Generate(ctx context.Context, name string, seed uint64, o Options) (*formats.RawDataset, error) {
	p, err := Lookup(name)
	if err != nil {
		return nil, err
	}
	return p.Generate(ctx, seed, o)
}

// Generate makes the data set that p describes from seed, as [Generate] does. It uses all
// processors and, beside the result, about 20 bytes an undirected edge and 70 a node that are
// free again before the features are made. The error says which of p's fields cannot be met.
func (p Preset) Generate(ctx context.Context, seed uint64, o Options) (*formats.RawDataset, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("generated graph %q: %w", p.Name, err)
	}
	b := newBlocks(&p, seed)
	ds, n, err := structure(ctx, &p, seed, b, o)
	if err != nil {
		return nil, fmt.Errorf("generated graph %q: %w", p.Name, err)
	}
	if ds.Labels, err = newLabels(ctx, &p, seed, b, n); err != nil {
		return nil, fmt.Errorf("generated graph %q: %w", p.Name, err)
	}
	o.tell("labels", int64(p.Nodes), int64(p.Nodes))
	// The graph's working memory is garbage by now; returning it before the features
	// are allocated keeps the peak at the size of the result.
	runtime.GC()
	rows := o.counter("features", int64(p.Nodes))
	if ds.Features, err = newFeatures(ctx, &p, seed, b, n, rows); err != nil {
		return nil, fmt.Errorf("generated graph %q: %w", p.Name, err)
	}
	return ds, nil
}

// structure draws nodes and edges.
func structure(ctx context.Context, p *Preset, seed uint64, b *blocks, o Options) (*formats.RawDataset, *nodes, error) {
	n, err := newNodes(ctx, p, seed, b)
	if err != nil {
		return nil, nil, err
	}
	o.tell("nodes", int64(p.Nodes), int64(p.Nodes))
	keys, err := newEdges(ctx, p, seed, n, func(done int64) { o.tell("edges", done, p.Edges) })
	if err != nil {
		return nil, nil, err
	}
	n.stubs = nil
	full := newGraph(p.Nodes, keys)
	return &formats.RawDataset{
		Name: Prefix + p.Name, Full: full, Train: formats.Induced(full, n.train), Dim: p.Features,
		TrainNodes: n.train, ValNodes: n.val, TestNodes: n.test,
	}, n, nil
}

// tell reports progress from the goroutine that drives the stages.
func (o Options) tell(stage string, done, total int64) {
	if o.Progress != nil {
		o.Progress(stage, done, total)
	}
}

// counter returns a function that adds finished work from any goroutine and reports it
// about a hundred times in all.
func (o Options) counter(stage string, total int64) func(int64) {
	if o.Progress == nil {
		return func(int64) {}
	}
	var mu sync.Mutex
	var done, told int64
	return func(more int64) {
		mu.Lock()
		defer mu.Unlock()
		done += more
		if done-told >= total/100 || done == total {
			told = done
			o.Progress(stage, done, total)
		}
	}
}

// forBlocks calls fn for each block of size items out of 0…n-1 on all processors, and
// returns the error of a cancelled ctx. Blocks do not depend on the number of processors.
func forBlocks(ctx context.Context, n, size int, fn func(block, lo, hi int)) error {
	blocks := (n + size - 1) / size
	workers := min(blocks, runtime.GOMAXPROCS(0))
	if workers <= 0 {
		return ctx.Err()
	}
	var next atomic.Int64
	tasks := pool.New().WithMaxGoroutines(workers)
	for range workers {
		tasks.Go(func() {
			for ctx.Err() == nil {
				block := int(next.Add(1)) - 1
				if block >= blocks {
					return
				}
				fn(block, block*size, min((block+1)*size, n))
			}
		})
	}
	tasks.Wait()
	return ctx.Err()
}

// share returns floor(part*amount/total) for 0 <= part <= total without overflow.
func share(part, amount, total int64) int64 {
	hi, lo := bits.Mul64(uint64(part), uint64(amount))
	q, _ := bits.Div64(hi, lo, uint64(total))
	return int64(q)
}
