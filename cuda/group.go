package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// group is a tensor.Group by NCCL.
//
// A device in the middle of an exchange waits for the others, which may have failed: then it waits for
// ever. So nobody waits for a queue of a group by a call of the driver before asking whether the queue has
// come that far, again and again, and in between whether the others are well (see await). Exchanges are
// queued by one goroutine; those that wait for their queues may be several.
type group struct {
	qs      []*Queue
	events  []driver.Event // where the last exchange ends in each stream
	here    []driver.Event // where who waits for a queue wants it to be
	at      [][]driver.Ptr
	counts  []int
	streams []driver.Stream

	mu  sync.Mutex
	c   driver.Collective // nil after it was given up
	err error
}

// NewGroup joins the queues by NCCL.
func (b *Backend) NewGroup(queues []tensor.Queue) (tensor.Group, error) {
	g := &group{}
	devices := make([]driver.Device, len(queues))
	for i, q := range queues {
		own, ok := q.(*Queue)
		if !ok {
			return nil, fmt.Errorf("cuda: queue %d is of another kind of device", i)
		}
		g.qs, g.streams, devices[i] = append(g.qs, own), append(g.streams, own.stream), own.dev
	}
	j, ok := b.dev.(driver.Joiner)
	if !ok {
		return nil, fmt.Errorf("cuda: sums over devices: %w", driver.ErrNoLibrary)
	}
	var err error
	if g.c, err = j.Join(devices); err != nil {
		return nil, fmt.Errorf("cuda: sums over devices: %w", err)
	}
	g.at = make([][]driver.Ptr, len(queues))
	for _, events := range []*[]driver.Event{&g.events, &g.here} {
		for _, q := range g.qs {
			e, err := q.dev.NewEvent(false)
			if err != nil {
				return nil, errors.Join(err, g.Close())
			}
			*events = append(*events, e)
		}
	}
	for i, q := range g.qs {
		q.group, q.place = g, i
	}
	return g, nil
}

// Reduce implements tensor.Group.
func (g *group) Reduce(ts [][]tensor.Tensor) { g.exchange("Reduce", ts, driver.Collective.Reduce) }

// Broadcast implements tensor.Group.
func (g *group) Broadcast(ts [][]tensor.Tensor) {
	g.exchange("Broadcast", ts, driver.Collective.Broadcast)
}

func (g *group) exchange(op string, ts [][]tensor.Tensor, call func(c driver.Collective, at [][]driver.Ptr, counts []int, streams []driver.Stream) error) {
	g.counts = g.counts[:0]
	for i, q := range g.qs {
		q.flush()
		g.at[i] = g.at[i][:0]
		for k, t := range ts[i] {
			like := ts[0][k]
			want(op, "a tensor", t, tensor.F32, like.Rows, like.Cols)
			if !contiguous(t) {
				panic(&tensor.ShapeError{Op: op, Got: describe(t), Want: "contiguous"})
			}
			if !q.ready(t) {
				g.fail(q.err)
				return
			}
			if n := t.Rows * t.Cols; n > 0 {
				g.at[i] = append(g.at[i], address(t))
				if i == 0 {
					g.counts = append(g.counts, n)
				}
			}
		}
	}
	g.fail(g.queue(call))
}

// queue gives all devices the exchange that was prepared.
func (g *group) queue(call func(c driver.Collective, at [][]driver.Ptr, counts []int, streams []driver.Stream) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	if err := call(g.c, g.at, g.counts, g.streams); err != nil {
		return g.qs[0].b.explain(err)
	}
	for i, q := range g.qs {
		if err := q.dev.Record(g.events[i], q.stream); err != nil {
			return q.b.explain(err)
		}
	}
	return nil
}

// fail keeps the first failure, as every queue's. Nobody else may use the queues meanwhile.
func (g *group) fail(err error) {
	if err == nil {
		return
	}
	err = g.giveUp(err)
	for _, q := range g.qs {
		q.fail(err)
	}
}

// giveUp frees devices that wait for others, and returns the first failure.
func (g *group) giveUp(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	if g.c != nil {
		_ = g.c.Abort() // the first failure is the cause
		g.c = nil
	}
	return g.err
}

// How long who waits asks without a pause, and how long the pauses are then.
const (
	eagerLooks = 1000
	pause      = 20 * time.Microsecond
)

// await waits for an event of q by asking: q, and whether the others are well. If they are not it gives
// up for all.
func (g *group) await(q *Queue, e driver.Event) error {
	for looks := 0; ; looks++ {
		done, err := q.dev.Done(e)
		if err != nil {
			return g.giveUp(q.b.explain(err))
		}
		if done {
			return nil
		}
		if err := g.others(looks%eagerLooks == eagerLooks-1); err != nil {
			return g.giveUp(err)
		}
		if runtime.Gosched(); looks >= eagerLooks {
			time.Sleep(pause)
		}
	}
}

// others asks every device, and the library where that is wanted, for failures.
func (g *group) others(library bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	for i, q := range g.qs {
		if _, err := q.dev.Done(g.events[i]); err != nil {
			return q.b.explain(err)
		}
	}
	if library {
		return g.c.Failed()
	}
	return nil
}

// pass waits until a queue has done what it has, so that waiting for its stream is safe.
func (g *group) pass(q *Queue) error {
	if err := q.dev.Record(g.here[q.place], q.stream); err != nil {
		return g.giveUp(q.b.explain(err))
	}
	return g.await(q, g.here[q.place])
}

// Wait implements tensor.Group.
func (g *group) Wait() error {
	var errs []error
	for _, q := range g.qs {
		errs = append(errs, q.Sync())
	}
	g.fail(errors.Join(errs...))
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Close frees the group, after all that it has queued.
func (g *group) Close() error {
	var errs []error
	for _, q := range g.qs {
		if q.group == g && g.others(false) == nil {
			q.flush()
			_ = g.pass(q) // a failure is the queue's to tell
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.c != nil {
		errs = append(errs, g.c.Close())
		g.c = nil
	}
	for i, q := range g.qs {
		for _, events := range [][]driver.Event{g.events, g.here} {
			if i < len(events) {
				errs = append(errs, q.dev.DestroyEvent(events[i]))
			}
		}
		if q.group == g {
			q.group = nil
		}
	}
	g.events, g.here = nil, nil
	return errors.Join(errs...)
}

var _ tensor.Grouper = (*Backend)(nil)
