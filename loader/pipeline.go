package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/stream"

	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/samplers"
)

// poisonByte fills released memory under -tags invariants.
const poisonByte = 0xCC

// Pipeline is the local Source: a scheduler hands out batch indices with the memory they
// go to, workers fill them, and they come out in index order.
type Pipeline struct {
	cfg   Config
	meta  arrowrec.Meta // what every batch must satisfy under invariants
	arena arena

	ctx    context.Context // ends with Open's context or with Close
	cancel context.CancelCauseFunc
	halt   chan struct{} // closed at the first failure: nothing more is scheduled
	run    conc.WaitGroup

	free chan *slot   // holds all slots: putting one back never blocks
	out  chan *slot   // Prefetch slots in index order; closed by the scheduler
	idle chan *worker // holds all workers

	failed   atomic.Bool   // a batch could not be made
	failedAt atomic.Uint64 // then the lowest index known to
	failure  error         // written in index order before out is closed, read after

	busy, wait atomic.Int64 // nanoseconds
	delivered  atomic.Uint64

	mu     sync.Mutex
	closed bool // released slots go back to the allocator
}

// Stats counts what a pipeline has done so far.
type Stats struct {
	Batches uint64        // delivered by Next
	Busy    time.Duration // spent by all workers on making batches
	Wait    time.Duration // spent by Next waiting for a batch
	Bytes   int64         // now held from the allocator, delivered batches included
}

// Open starts a pipeline. It runs until To is reached, ctx ends, a batch cannot be made or
// Close is called; in every case Close must be called to wait for its goroutines and to
// give its memory back. The error says what is wrong with the configuration.
func Open(ctx context.Context, cfg Config) (*Pipeline, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("open pipeline: %w", err)
	}
	n := cfg.Workers + cfg.Prefetch + 1
	p := &Pipeline{
		cfg:  cfg,
		meta: cfg.Meta("", ""),
		halt: make(chan struct{}),
		free: make(chan *slot, n),
		out:  make(chan *slot, cfg.Prefetch),
		idle: make(chan *worker, cfg.Workers),
	}
	p.arena.mem = cfg.Alloc
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	for k := range n {
		s := &slot{number: k}
		s.release = func(*Batch) { p.recycle(s) }
		p.free <- s
	}
	for i := range cfg.Workers {
		p.idle <- p.newWorker(i)
	}
	p.run.Go(p.schedule)
	return p, nil
}

// complete checks c and fills in defaults.
func (c *Config) complete() error {
	switch {
	case c.Env.Graph == nil || c.Sampler == nil || c.Norm == nil:
		return errors.New("graph, sampler and normalisation are required")
	case c.Workers < 0 || c.Prefetch < 0:
		return fmt.Errorf("%d workers and prefetch %d, want neither negative", c.Workers, c.Prefetch)
	case c.To != 0 && c.From > c.To:
		return fmt.Errorf("first batch %d lies after the end %d", c.From, c.To)
	case c.Shards == 0 && c.Shard != 0 || c.Shards != 0 && c.Shard >= c.Shards:
		return fmt.Errorf("shard %d of %d, want 0 to shards-1", c.Shard, c.Shards)
	}
	n := c.Env.Graph.NumNodes()
	if err := c.checkRows(n); err != nil {
		return err
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if d, ok := c.Sampler.(samplers.Deterministic); ok && d.Deterministic() {
		// Every batch is the whole training graph: one in use and one in the making do.
		c.Workers, c.Prefetch = 1, 0
	}
	if c.Alloc == nil {
		c.Alloc = memory.DefaultAllocator
	}
	c.Shards = max(1, c.Shards)
	return nil
}

// checkRows compares everything that has a row for each of the n nodes.
func (c *Config) checkRows(n int) error {
	if len(c.Norm.Loss) != n {
		return fmt.Errorf("normalisation of %d nodes for a graph of %d", len(c.Norm.Loss), n)
	}
	if a := c.Norm.Aggr; a != nil && int64(len(a)) != c.Env.Graph.NumEdges() {
		return fmt.Errorf("normalisation of %d edges for a graph of %d", len(a), c.Env.Graph.NumEdges())
	}
	if c.Features != nil && c.Features.Rows() != n {
		return fmt.Errorf("features of %d nodes for a graph of %d", c.Features.Rows(), n)
	}
	if l := c.Labels; l != nil && (l.IsMulti() && len(l.Multi) != n*l.NumClasses || !l.IsMulti() && len(l.Class) != n) {
		return fmt.Errorf("labels do not match a graph of %d nodes", n)
	}
	return nil
}

// indices yields the batch indices of c in order.
func (c *Config) indices(yield func(uint64) bool) {
	first := c.From + (c.Shard+c.Shards-c.From%c.Shards)%c.Shards
	if first < c.From {
		return // beyond 2^64
	}
	for i := first; c.To == 0 || i < c.To; i += c.Shards {
		if !yield(i) || i > math.MaxUint64-c.Shards {
			return
		}
	}
}

// schedule pairs indices with slots and submits them. A slot is taken here, in index
// order, and not in the task: there, later batches could hold every slot while the oldest
// waits for one and ordered delivery waits for the oldest.
func (p *Pipeline) schedule() {
	defer close(p.out)
	tasks := stream.New().WithMaxGoroutines(p.cfg.Workers)
	defer tasks.Wait()
	for i := range p.cfg.indices {
		select {
		case <-p.halt:
			return
		case <-p.ctx.Done():
			return
		case s := <-p.free:
			tasks.Go(func() stream.Callback { return p.task(i, s) })
		}
	}
}

// task runs in parallel with others; what it returns runs in index order.
func (p *Pipeline) task(i uint64, s *slot) stream.Callback {
	var err error
	// A batch below a failed one is still due; one above it will never be asked for.
	if p.ctx.Err() == nil && (!p.failed.Load() || p.failedAt.Load() > i) {
		if err = p.fill(i, s); err != nil {
			p.fail(i)
		}
	}
	return func() { p.deliver(s, err) }
}

// fail notes that batch i failed and stops the scheduler.
func (p *Pipeline) fail(i uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed.Load() {
		i = min(i, p.failedAt.Load())
	}
	p.failedAt.Store(i)
	if !p.failed.Swap(true) {
		close(p.halt)
	}
}

// deliver runs in index order on one goroutine, so that the first failure it sees is that
// of the lowest index and every batch before it has been delivered, whatever the timing.
func (p *Pipeline) deliver(s *slot, err error) {
	switch {
	case p.failure != nil || p.ctx.Err() != nil:
		p.recycle(s)
	case err != nil:
		p.failure = err
		p.recycle(s)
	default:
		select {
		case p.out <- s:
		case <-p.ctx.Done():
			p.recycle(s)
		}
	}
}

// recycle takes back a slot from the consumer or from a batch that nobody gets.
func (p *Pipeline) recycle(s *slot) {
	if invariants.Enabled {
		s.poison(poisonByte)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.free(&p.arena)
		return
	}
	p.free <- s
}

// Next implements Source. If the context given to Open has ended it returns that one's error.
func (p *Pipeline) Next(ctx context.Context) (*Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.ctx.Err() != nil {
		return nil, p.ended()
	}
	select {
	case s, ok := <-p.out:
		return p.received(s, ok)
	default:
	}
	start := time.Now()
	defer func() { p.wait.Add(int64(time.Since(start))) }()
	select {
	case s, ok := <-p.out:
		return p.received(s, ok)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.ctx.Done():
		return nil, p.ended()
	}
}

func (p *Pipeline) received(s *slot, ok bool) (*Batch, error) {
	switch {
	case ok:
		p.delivered.Add(1)
		return s.batch, nil
	case p.failure != nil:
		return nil, p.failure
	case p.ctx.Err() != nil:
		return nil, p.ended()
	default:
		return nil, io.EOF
	}
}

// ended says why p.ctx is done.
func (p *Pipeline) ended() error {
	if errors.Is(context.Cause(p.ctx), ErrClosed) {
		return ErrClosed
	}
	return p.ctx.Err()
}

// Stats may be called at any time from any goroutine.
func (p *Pipeline) Stats() Stats {
	return Stats{
		Batches: p.delivered.Load(),
		Busy:    time.Duration(p.busy.Load()),
		Wait:    time.Duration(p.wait.Load()),
		Bytes:   p.arena.held.Load(),
	}
}

// Close implements Source. Memory of batches not yet released goes back to the allocator
// when they are. It always returns nil.
func (p *Pipeline) Close() error {
	p.cancel(ErrClosed)
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil
	}
	p.run.Wait()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	// From here on recycle frees; what it put into the list before is freed now.
	for s := range p.out {
		p.recycle(s)
	}
	for {
		select {
		case s := <-p.free:
			s.free(&p.arena)
		default:
			return nil
		}
	}
}
