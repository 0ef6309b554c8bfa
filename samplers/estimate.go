package samplers

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sourcegraph/conc/panics"
	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats"
)

// CompatReference as EstimateOptions.Compat gives edges that were never counted the
// reference implementation's coefficient.
const CompatReference = "reference"

// roundSize is how many subgraphs are counted between two looks at the coverage.
const roundSize = 200

// EstimateOptions says how much to count and which coefficients are wanted.
type EstimateOptions struct {
	// Coverage is sample_coverage: count until the subgraphs hold more than
	// Coverage*len(Train) nodes in total.
	Coverage int
	Workers  int    // goroutines; below 1: one per usable CPU. The result does not depend on it.
	Seed     uint64 // with Phase: the stream that training will read, from index 0
	Phase    int

	DisableNormLoss bool // norm_loss: false
	DisableNormAggr bool // norm_aggr: false

	// Compat is "" or CompatReference.
	Compat string
	// Progress, if set, is told now and then how many nodes have been drawn and how many
	// are wanted. Calls do not overlap, but come from several goroutines.
	Progress func(drawn, want int64)
}

// Deterministic is implemented by samplers that draw the same subgraph every time. Their
// coefficients are exact without counting.
type Deterministic interface {
	Sampler
	// Deterministic reports whether every draw holds all training nodes and all edges.
	Deterministic() bool
}

// EstimateNorm counts how often nodes and edges occur in subgraphs 0…S-1 of the phase,
// where S is the smallest multiple of 200 for which they hold more than
// Coverage*len(Train) nodes, and returns the coefficients of arXiv:1907.04931, section 3.2:
//
//	alpha_e  = min(C_v/C_e, 1e4) for an edge e of row v; where C_v = 0: 0.1
//	lambda_v = S/(C_v*len(Train)); where C_v = 0: S/(0.1*len(Train))
//
// An edge that was never counted, of a row v that was, gets the largest alpha of its row,
// or min(C_v, 1e4) if no edge of the row was counted; with CompatReference it gets 1e4.
// Quotients are taken in float64 and rounded once.
//
// Memory: 12 bytes a node and 4 an edge, shared by all workers. It returns ctx.Err() when
// ctx ends, and an error if the sampler draws 200 empty subgraphs or panics.
func EstimateNorm(ctx context.Context, s Sampler, env Env, o EstimateOptions) (*Norm, error) {
	if o.Coverage < 0 {
		return nil, fmt.Errorf("sample_coverage is %d, want at least 0", o.Coverage)
	}
	if o.Compat != "" && o.Compat != CompatReference {
		return nil, fmt.Errorf("compat is %q, want %q or nothing", o.Compat, CompatReference)
	}
	if err := env.check(); err != nil {
		return nil, err
	}
	if most := (math.MaxInt - 1) / len(env.Train); o.Coverage > most {
		return nil, fmt.Errorf("sample_coverage is %d, want at most %d", o.Coverage, most)
	}
	if d, ok := s.(Deterministic); ok && d.Deterministic() || o.DisableNormLoss && o.DisableNormAggr {
		return exactNorm(env, o.DisableNormLoss), nil
	}
	c := newCounter(s, env, !o.DisableNormAggr)
	subgraphs, err := c.run(ctx, o)
	if err != nil {
		return nil, err
	}
	norm := &Norm{Subgraphs: subgraphs, UniformLoss: o.DisableNormLoss}
	norm.prepare(env.Graph)
	norm.Loss = lossWeights(env, c.nodes, subgraphs, o.DisableNormLoss)
	if c.edges != nil {
		norm.Aggr = aggrWeights(env.Graph, c.nodes, c.edges, o.Compat == CompatReference)
	}
	return norm, nil
}

// exactNorm is the answer where every node and edge is in every subgraph, or where nobody
// asks for a coefficient.
func exactNorm(env Env, uniform bool) *Norm {
	n := &Norm{Loss: make([]float32, env.Graph.NumNodes()), UniformLoss: uniform}
	n.prepare(env.Graph)
	weight := float32(1 / float64(len(env.Train)))
	if uniform {
		weight = 1
	}
	for _, v := range env.Train {
		n.Loss[v] = weight
	}
	return n
}

// counter holds the counts of all workers; they are integers, so that the order in which
// workers add to them does not matter.
type counter struct {
	sampler Sampler
	env     Env
	nodes   []uint32 // C_v
	edges   []uint32 // C_e; nil: not wanted
	half    bool     // count entries on and above the diagonal only, the others are their mirror
	drawn   atomic.Int64
	next    atomic.Uint64
}

func newCounter(s Sampler, env Env, edges bool) *counter {
	c := &counter{sampler: s, env: env, nodes: make([]uint32, env.Graph.NumNodes())}
	if edges {
		c.edges = make([]uint32, env.Graph.NumEdges())
		_, own := s.(SubgraphSampler)
		c.half = !own && env.Graph.Symmetric()
	}
	return c
}

// worker is one goroutine's memory, kept from round to round.
type worker struct {
	scratch Scratch
	sub     formats.Subgraph
}

// run counts whole rounds until the coverage is exceeded and returns S.
func (c *counter) run(ctx context.Context, o EstimateOptions) (int, error) {
	workers := o.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	pools := make([]worker, min(workers, roundSize))
	want := int64(o.Coverage) * int64(len(c.env.Train))
	report := reporter{progress: o.Progress, want: want + 1}
	for end := uint64(roundSize); ; end += roundSize {
		p := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError()
		for i := range pools {
			p.Go(func(ctx context.Context) error { return c.work(ctx, &pools[i], end, o, &report) })
		}
		if err := p.Wait(); err != nil {
			return 0, err
		}
		c.next.Store(end) // every worker has taken one index too many
		drawn := c.drawn.Load()
		if drawn == 0 {
			return 0, fmt.Errorf("the sampler drew %d subgraphs without a node; raise its budget", end)
		}
		if drawn > want {
			c.mirror()
			return int(end), nil
		}
	}
}

// work counts subgraphs until index end. A panic of the sampler becomes an error.
func (c *counter) work(ctx context.Context, w *worker, end uint64, o EstimateOptions, report *reporter) error {
	var err error
	caught := panics.Try(func() {
		for i := c.next.Add(1) - 1; i < end && err == nil; i = c.next.Add(1) - 1 {
			if err = ctx.Err(); err == nil {
				err = c.count(w, w.scratch.Stream(o.Seed, o.Phase, i))
				report.tell(c.drawn.Load())
			}
		}
	})
	if caught != nil {
		return fmt.Errorf("sampler: %w", caught.AsError())
	}
	return err
}

// count adds one subgraph.
func (c *counter) count(w *worker, r *rand.Rand) error {
	if _, ok := c.sampler.(SubgraphSampler); ok {
		return c.countSubgraph(w, r)
	}
	if err := w.scratch.drawSet(c.sampler, c.env.Graph, r); err != nil {
		return err
	}
	nodes := w.scratch.Nodes()
	c.addNodes(nodes)
	if c.edges != nil {
		w.scratch.countEdges(c, nodes)
	}
	return nil
}

func (c *counter) countSubgraph(w *worker, r *rand.Rand) error {
	if err := Draw(c.sampler, c.env, r, &w.scratch, &w.sub); err != nil {
		return err
	}
	c.addNodes(w.sub.Nodes)
	if c.edges != nil {
		for _, e := range w.sub.EdgeIDs {
			atomic.AddUint32(&c.edges[e], 1)
		}
	}
	return nil
}

func (c *counter) addNodes(nodes []int32) {
	for _, v := range nodes {
		atomic.AddUint32(&c.nodes[v], 1)
	}
	c.drawn.Add(int64(len(nodes)))
}

// countEdges adds 1 to the count of every edge between members of the set, or to one of
// each pair of mirror entries.
func (s *Scratch) countEdges(c *counter, nodes []int32) {
	g := c.env.Graph
	for _, v := range nodes {
		row, counts := g.Neighbors(v), c.edges[g.Indptr[v]:g.Indptr[v+1]]
		if c.half {
			upper, _ := slices.BinarySearch(row, v)
			row, counts = row[upper:], counts[upper:]
		}
		s.hits = resize(s.hits, max(len(row), len(s.hits)))
		for _, off := range s.hits[:s.set.scan(row, s.hits)] {
			atomic.AddUint32(&counts[off], 1)
		}
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

// reporter passes progress on without making workers wait for a slow listener.
type reporter struct {
	mu       sync.Mutex
	progress func(drawn, want int64)
	want     int64
}

func (r *reporter) tell(drawn int64) {
	if r.progress == nil || !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	r.progress(min(drawn, r.want), r.want)
}
