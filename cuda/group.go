package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// group is a tensor.Group by NCCL.
type group struct {
	qs      []*Queue
	c       driver.Collective // nil after it was given up
	events  []driver.Event
	at      [][]driver.Ptr
	counts  []int
	streams []driver.Stream
	err     error
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
	for _, q := range g.qs {
		e, err := q.dev.NewEvent(false)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.events = append(g.events, e)
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
	if g.err == nil {
		g.fail(g.qs[0].b.explain(call(g.c, g.at, g.counts, g.streams)))
	}
}

// fail keeps the first failure, as every queue's.
func (g *group) fail(err error) {
	if err == nil || g.err != nil {
		return
	}
	g.err = err
	for _, q := range g.qs {
		q.fail(err)
	}
}

// How long Wait asks without a pause, and how long it pauses then.
const (
	eagerLooks = 1000
	pause      = 20 * time.Microsecond
)

// Wait implements tensor.Group. It asks instead of waiting: a device whose partner has failed would
// never be done.
func (g *group) Wait() error {
	if g.err == nil {
		for i, q := range g.qs {
			q.flush()
			if err := q.dev.Record(g.events[i], q.stream); err != nil {
				g.fail(q.b.explain(err))
			}
		}
	}
	for looks := 0; g.err == nil; looks++ {
		done, err := g.done()
		if err == nil && looks%eagerLooks == eagerLooks-1 {
			err = g.c.Failed()
		}
		if err != nil {
			g.fail(err)
		}
		if done {
			break
		}
		if runtime.Gosched(); looks >= eagerLooks {
			time.Sleep(pause)
		}
	}
	if g.err != nil {
		g.abort()
		return g.err
	}
	var errs []error
	for _, q := range g.qs {
		errs = append(errs, q.Sync())
	}
	return errors.Join(errs...)
}

// done reports whether all queues have done what they had when Wait began. It asks every device: one
// that waits must not hide that another has failed.
func (g *group) done() (bool, error) {
	all := true
	for i, q := range g.qs {
		done, err := q.dev.Done(g.events[i])
		if err != nil {
			return false, q.b.explain(err)
		}
		all = all && done
	}
	return all, nil
}

// abort frees devices that wait for others.
func (g *group) abort() {
	if g.c != nil {
		_ = g.c.Abort() // the first failure is the cause
		g.c = nil
	}
}

// Close frees the group; the queues have done their work, or the group has failed.
func (g *group) Close() error {
	if g.err != nil {
		g.abort()
	}
	var errs []error
	if g.c != nil {
		errs = append(errs, g.c.Close())
		g.c = nil
	}
	for i, e := range g.events {
		errs = append(errs, g.qs[i].dev.DestroyEvent(e))
	}
	g.events = nil
	return errors.Join(errs...)
}

var _ tensor.Grouper = (*Backend)(nil)
