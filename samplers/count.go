package samplers

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/sourcegraph/conc/panics"
	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/induce"
)

// counter counts nodes and edges of subgraphs. A few subgraphs at a time are drawn, each by
// one worker, and then counted, each range of rows by one worker: nobody shares a counter,
// and nobody needs counters of its own. The counts do not depend on who does what.
type counter struct {
	sampler Sampler
	env     Env
	own     bool     // the sampler makes its own edges
	half    bool     // count entries on and above the diagonal only, the others are their mirror
	nodes   []uint32 // C_v
	edges   []uint32 // C_e; nil: not wanted
	starts  []int64  // where the entries of a row start that are counted
	tasks

	slots []countSlot
	drawn int64 // nodes in the subgraphs counted
}

// tasks shares work between goroutines.
type tasks struct {
	workers int
	ranges  []int32 // rows ranges[i] to ranges[i+1] are one task
}

func newTasks(g *formats.Graph, workers int) *tasks {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, roundSize)
	return &tasks{workers: workers, ranges: rowRanges(g, workers*rangesPerWorker)}
}

// countSlot holds one subgraph from draw to count.
type countSlot struct {
	scratch Scratch
	sub     formats.Subgraph // of samplers with edges of their own
	nodes   []int32
}

// Memory and tasks of a counter.
const (
	slotsPerWorker  = 8       // subgraphs drawn between two counts, if their sets are small
	slotBytes       = 1 << 20 // what the sets of a worker may take in all before it gets fewer
	rangesPerWorker = 16      // more, shorter ranges even out the work
)

func newCounter(ctx context.Context, s Sampler, env Env, edges bool, workers int) (*counter, error) {
	g := env.Graph
	n := g.NumNodes()
	c := &counter{sampler: s, env: env, nodes: make([]uint32, n), tasks: *newTasks(g, workers)}
	_, c.own = s.(SubgraphSampler)
	c.slots = make([]countSlot, min(c.workers*max(1, min(slotsPerWorker, slotBytes/(n/4+1))), roundSize))
	if !edges {
		return c, nil
	}
	c.edges = make([]uint32, g.NumEdges())
	c.starts = g.Indptr
	if c.half = !c.own && env.Symmetric(); !c.half {
		return c, nil
	}
	c.starts = make([]int64, n)
	return c, c.each(ctx, func(lo, hi int32) {
		for v := lo; v < hi; v++ {
			below, _ := slices.BinarySearch(g.Neighbors(v), v)
			c.starts[v] = g.Indptr[v] + int64(below)
		}
	})
}

// rowRanges cuts the rows of g into at most parts ranges of about equal numbers of entries
// and rows together.
func rowRanges(g *formats.Graph, parts int) []int32 {
	n := int64(g.NumNodes())
	total := n + g.NumEdges()
	ranges := []int32{0}
	for i := range int64(parts) {
		// Entries and rows before row v grow with v.
		want := total * (i + 1) / int64(parts)
		lo, hi := int64(ranges[i]), n
		for lo < hi {
			if mid := (lo + hi) / 2; mid+g.Indptr[mid] < want {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		ranges = append(ranges, int32(lo))
	}
	return ranges
}

// each calls f for every range of rows, on all workers, until ctx ends.
func (c *tasks) each(ctx context.Context, f func(lo, hi int32)) error {
	return c.share(ctx, len(c.ranges)-1, func(ctx context.Context, i int) error {
		f(c.ranges[i], c.ranges[i+1])
		return ctx.Err()
	})
}

// share calls f(0), f(1), …, f(n-1) on all workers. It returns the first error.
func (c *tasks) share(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	p := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError()
	for range min(c.workers, n) {
		p.Go(func(ctx context.Context) error {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				if err := f(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return p.Wait()
}

// run counts whole rounds until the coverage is exceeded and returns S.
func (c *counter) run(ctx context.Context, o EstimateOptions) (int, error) {
	want := int64(o.Coverage) * int64(len(c.env.Train))
	report := reporter{progress: o.Progress, want: want + 1}
	// Equal batches: the last one keeps everybody as busy as the others.
	batches := (roundSize + len(c.slots) - 1) / len(c.slots)
	size := (roundSize + batches - 1) / batches
	for first := 0; ; first += roundSize {
		for i := 0; i < roundSize; i += size {
			if err := c.batch(ctx, o, first+i, min(size, roundSize-i), &report); err != nil {
				return 0, err
			}
		}
		end := first + roundSize
		if c.drawn == 0 {
			return 0, fmt.Errorf("the sampler drew %d subgraphs without a node; raise its budget", end)
		}
		if c.drawn > want {
			c.mirror()
			return end, ctx.Err()
		}
	}
}

// batch draws and counts the n subgraphs from index first on.
func (c *counter) batch(ctx context.Context, o EstimateOptions, first, n int, report *reporter) error {
	var drawn atomic.Int64
	err := c.share(ctx, n, func(ctx context.Context, i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		slot := &c.slots[i]
		if err := c.draw(slot, o, uint64(first+i)); err != nil {
			return err
		}
		report.tell(c.drawn + drawn.Add(int64(len(slot.nodes))))
		return nil
	})
	if err != nil {
		return err
	}
	c.drawn += drawn.Load()
	return c.each(ctx, func(lo, hi int32) {
		for i := range n {
			c.count(&c.slots[i], lo, hi)
		}
	})
}

// draw draws subgraph index. A panic of the sampler becomes an error.
func (c *counter) draw(slot *countSlot, o EstimateOptions, index uint64) error {
	var err error
	caught := panics.Try(func() {
		if c.own {
			err = DrawAt(c.sampler, c.env, o.Seed, o.Phase, index, &slot.scratch, &slot.sub)
			slot.nodes = slot.sub.Nodes
			return
		}
		err = slot.scratch.drawSetAt(c.sampler, c.env.Graph, o.Seed, o.Phase, index)
		slot.nodes = slot.scratch.nodes
	})
	if caught != nil {
		return fmt.Errorf("sampler: %w", caught.AsError())
	}
	return err
}

// count adds the nodes of a subgraph from lo to hi-1 and the edges of their rows.
func (c *counter) count(slot *countSlot, lo, hi int32) {
	from, _ := slices.BinarySearch(slot.nodes, lo)
	to, _ := slices.BinarySearch(slot.nodes, hi)
	nodes := slot.nodes[from:to]
	for _, v := range nodes {
		c.nodes[v]++
	}
	switch {
	case c.edges == nil || len(nodes) == 0:
	case c.own:
		for _, e := range slot.sub.EdgeIDs[slot.sub.Indptr[from]:slot.sub.Indptr[to]] {
			c.edges[e]++
		}
	default:
		g := c.env.Graph
		rows := induce.Rows{Indptr: g.Indptr, Indices: g.Indices, Words: slot.scratch.set.words, Nodes: nodes}
		induce.Count(&rows, c.starts, c.edges)
	}
}

// mirror copies the counts above the diagonal to below it, if only those were made: an
// induced subgraph of a symmetric graph holds (v, u) whenever it holds (u, v).
func (c *counter) mirror() {
	if !c.half {
		return
	}
	g := c.env.Graph
	// Rows are visited in ascending order and meet the entries above the diagonal of every
	// row u in the order in which they stand there.
	next := make([]int64, g.NumNodes())
	for v := range int32(g.NumNodes()) {
		e, end := g.Indptr[v], g.Indptr[v+1]
		for ; e < end && g.Indices[e] < v; e++ {
			u := g.Indices[e]
			c.edges[e] = c.edges[next[u]]
			next[u]++
		}
		if e < end && g.Indices[e] == v {
			e++
		}
		next[v] = e
	}
}
