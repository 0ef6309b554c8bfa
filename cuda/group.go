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
	qs     []*Queue
	events []driver.Event // where the last exchange ends in each stream
	here   []driver.Event // where who waits for a queue wants it to be
	exchanged
	streams []driver.Stream

	parts  []portion       // that are exchanged beside the queues
	beside []driver.Stream // of the parts

	mu  sync.Mutex
	c   driver.Collective // nil after it was given up
	err error
}

// exchanged is the tensors of an exchange.
type exchanged struct {
	at     [][]driver.Ptr // of every device
	counts []int
}

// portion is what is exchanged when all devices have their part of it.
type portion struct {
	exchanged
	final []driver.Event // where the part is, in each queue
	have  int            // devices that have it
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

func (g *group) exchange(op string, ts [][]tensor.Tensor, call exchange) {
	for i, q := range g.qs {
		q.flush()
		if !q.ready(ts[i]...) {
			g.fail(q.err)
			return
		}
	}
	g.of(op, ts)
	g.fail(g.queue(call, &g.exchanged, g.streams))
}

// exchange is a call of a library's communicator.
type exchange func(c driver.Collective, at [][]driver.Ptr, counts []int, streams []driver.Stream) error

// of makes them of tensors, but of such as are empty.
func (o *exchanged) of(op string, ts [][]tensor.Tensor) {
	o.counts = o.counts[:0]
	for len(o.at) < len(ts) {
		o.at = append(o.at, nil)
	}
	for i := range ts {
		o.at[i] = o.at[i][:0]
		for k, t := range ts[i] {
			like := ts[0][k]
			want(op, "a tensor", t, tensor.F32, like.Rows, like.Cols)
			if !contiguous(t) {
				panic(&tensor.ShapeError{Op: op, Got: describe(t), Want: "contiguous"})
			}
			n := t.Rows * t.Cols
			if n == 0 {
				continue
			}
			o.at[i] = append(o.at[i], address(t))
			if i == 0 {
				o.counts = append(o.counts, n)
			}
		}
	}
}

// Split implements tensor.Group.
func (g *group) Split(ts [][][]tensor.Tensor) {
	g.fail(g.split(ts))
}

func (g *group) split(ts [][][]tensor.Tensor) error {
	for _, q := range g.qs {
		s, err := q.dev.NewStream()
		if err != nil {
			return q.b.explain(err)
		}
		g.beside = append(g.beside, s)
	}
	g.parts = make([]portion, len(ts[0]))
	for k := range g.parts {
		p := &g.parts[k]
		of := make([][]tensor.Tensor, len(ts))
		for i, q := range g.qs {
			of[i] = ts[i][k]
			if !q.ready(of[i]...) {
				return q.err
			}
			e, err := q.dev.NewEvent(false)
			if err != nil {
				return q.b.explain(err)
			}
			p.final = append(p.final, e)
		}
		p.of("Split", of)
	}
	return nil
}

// Final implements tensor.Group.
func (g *group) Final(i, k int) {
	q := g.qs[i]
	if q.flush(); q.err != nil {
		return // if Split has failed there are no parts
	}
	p := &g.parts[k]
	if err := q.dev.Record(p.final[i], q.stream); err != nil {
		q.fail(err)
		return
	}
	g.mu.Lock()
	p.have++
	all := p.have == len(g.qs)
	g.mu.Unlock()
	if !all {
		return
	}
	for n, o := range g.qs {
		if err := o.dev.Wait(g.beside[n], p.final[n]); err != nil {
			q.fail(g.giveUp(o.b.explain(err)))
			return
		}
	}
	if err := g.queue(driver.Collective.Reduce, &p.exchanged, g.beside); err != nil {
		q.fail(g.giveUp(err))
	}
}

// Join implements tensor.Group.
func (g *group) Join() {
	for k := range g.parts {
		g.parts[k].have = 0
	}
	for i, q := range g.qs {
		if q.flush(); q.err != nil {
			g.fail(q.err)
			return
		}
		if err := q.dev.Wait(q.stream, g.events[i]); err != nil {
			g.fail(q.b.explain(err))
			return
		}
	}
}

// queue gives all devices an exchange in these streams.
func (g *group) queue(call exchange, o *exchanged, streams []driver.Stream) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	if err := call(g.c, o.at, o.counts, streams); err != nil {
		return g.qs[0].b.explain(err)
	}
	for i, q := range g.qs {
		if err := q.dev.Record(g.events[i], streams[i]); err != nil {
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

// beforePageable comes before a copy, for which the driver itself may wait where the memory of the host is
// not page-locked.
func (q *Queue) beforePageable(host []byte) {
	if q.group != nil && q.err == nil && !q.b.pinned(host) {
		q.b.count.waits.Add(1)
		q.fail(q.group.pass(q))
	}
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
			_ = g.await(q, g.events[q.place]) // a failure is the queue's to tell
			_ = g.pass(q)
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
		for k := range g.parts {
			if final := g.parts[k].final; i < len(final) {
				errs = append(errs, q.dev.DestroyEvent(final[i]))
			}
		}
		if i < len(g.beside) {
			errs = append(errs, q.dev.DestroyStream(g.beside[i]))
		}
		if q.group == g {
			q.group = nil
		}
	}
	g.events, g.here, g.parts, g.beside = nil, nil, nil, nil
	return errors.Join(errs...)
}

var _ tensor.Grouper = (*Backend)(nil)
