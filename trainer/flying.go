package trainer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// takeOff is an update that was begun. It is done when the outcome of its last leg is there.
type takeOff struct {
	epoch, phase int
	step         uint64
	rate         float64
	waited       time.Duration
	began        time.Time

	sum    Step // of the subgraphs whose outcome is there
	f1     float64
	scored int
}

// leg is a subgraph of an update that was queued, or the update behind it.
type leg struct {
	of      *takeOff
	member  int       // whose queue it is in; -1: in none, there was nothing to do
	last    bool      // of the update
	weights []float32 // of the nodes in the loss, for the score; nil: none is asked for
}

// heldBack returns how many batches the run holds beside those that it works on.
func (r *run) heldBack() int {
	if r.team.ahead {
		return (inFlight - 1) * len(r.team.members)
	}
	return 0
}

// fly queues the next update, with the mean gradient of the n next subgraphs of the epoch, and takes in
// the outcomes of what was queued before: while the devices compute a subgraph each, the host queues the
// next one of each. Subgraph i of an update is the business of device i mod the number of devices.
func (r *run) fly(ctx context.Context, phase int, src loader.Source, n uint64) error {
	t := r.board(phase)
	r.opt.SetLR(t.rate)
	r.team.keep()
	u := pending{index: r.Step}
	legs, updated := 0, false
	for u.subgraphs < n {
		if legs > 0 { // those of the round before; the last of an update are settled at its end
			// Not after the next are there: the source has no more batches than heldBack says.
			if err := r.settle(legs); err != nil {
				return err
			}
		}
		tasks, err := r.deal(ctx, src, n, &u)
		if err != nil {
			release(tasks)
			if ctx.Err() != nil {
				r.team.undo()
			}
			return err
		}
		u.dealt(len(tasks))
		updated = r.assign(tasks, &u, u.subgraphs == n)
		before := len(r.flying)
		if err := r.depart(t, tasks); err != nil {
			return err
		}
		legs = len(r.flying) - before
	}
	t.waited = u.wait
	switch {
	case updated:
	case u.Nodes > 0:
		legs++
		if err := r.updateAll(t, &u); err != nil {
			return err
		}
	default:
		r.flying = append(r.flying, leg{of: t, member: -1, last: true})
	}
	r.advance(n)
	return r.settle(legs)
}

// board begins an update.
func (r *run) board(phase int) *takeOff {
	t := &takeOff{}
	if k := len(r.grounded) - 1; k >= 0 {
		t, r.grounded = r.grounded[k], r.grounded[:k]
	}
	*t = takeOff{epoch: r.Epoch, phase: phase, step: r.Step, began: time.Now(), rate: r.schedule.rate(r.Epoch, r.Step, &r.Plateau)}
	return t
}

// assign makes tasks of the subgraphs of a round, end being set for the last one of an update. A device
// that is alone does the update with the last of them, if that has any nodes: updated is set then.
func (r *run) assign(tasks []task, u *pending, end bool) (updated bool) {
	for i := range tasks {
		k := &tasks[i]
		nodes := k.batch.NumNodes()
		u.Nodes += nodes
		k.fly = true
		k.last = end && nodes > 0 && len(r.team.members) == 1
		updated = updated || k.last
	}
	if !end || u.Nodes == 0 || len(r.team.members) == 1 {
		return updated
	}
	for i := range tasks {
		tasks[i].final = true
	}
	r.team.idle(tasks, u.devices)
	return updated
}

// depart has the devices queue a subgraph each.
func (r *run) depart(t *takeOff, tasks []task) error {
	err := r.team.run(tasks)
	for i := range tasks {
		k, m := &tasks[i], r.team.members[i]
		if k.batch.NumNodes() == 0 || m.outcome.err != nil {
			k.batch.Release()
			continue
		}
		l := leg{of: t, member: i, last: k.last}
		if k.score != nil {
			// The next step divides the labels anew.
			l.weights = append(r.buffer(), m.stepper.lossWeights(k.batch)...)
		}
		if k.batch.Repeats {
			k.batch.Release() // its memory stays as it is as long as its source is open
		}
		r.flying = append(r.flying, l)
	}
	return err
}

// buffer returns memory for weights that nobody uses.
func (r *run) buffer() []float32 {
	k := len(r.spare) - 1
	if k < 0 {
		return make([]float32, 0, 1)
	}
	b := r.spare[k]
	r.spare = r.spare[:k]
	return b[:0]
}

// updateAll queues an update with the gradients of all devices.
func (r *run) updateAll(t *takeOff, u *pending) error {
	if err := r.team.sum(u.devices); err != nil {
		return err
	}
	if err := r.stepper.startUpdate(t.step); err != nil {
		return err
	}
	r.flying = append(r.flying, leg{of: t, last: true})
	return r.team.share()
}

// settle takes in outcomes until at most so many are left. With none left the devices rest.
func (r *run) settle(left int) error {
	for len(r.flying) > left {
		l := r.flying[0]
		r.flying = append(r.flying[:0], r.flying[1:]...)
		if l.member >= 0 {
			if err := r.arrive(&l); err != nil {
				return err
			}
		}
		if l.last {
			r.F1Sum += l.of.f1
			r.F1Count += l.of.scored
			r.stepped(l.of)
			r.grounded = append(r.grounded, l.of)
		}
	}
	r.notePageable()
	if left == 0 {
		return r.team.land()
	}
	return nil
}

// arrive takes in the outcome of a leg.
func (r *run) arrive(l *leg) error {
	m := r.team.members[l.member]
	f, err := m.stepper.Finish()
	if err == nil && l.weights != nil {
		r.scoreLogits(&m.f1, f.Batch, f.Logits, l.weights)
		l.of.f1 += m.f1.last
		l.of.scored++
	}
	if l.weights != nil {
		r.spare = append(r.spare, l.weights)
	}
	if f.Batch != nil && !f.Batch.Repeats {
		f.Batch.Release()
	}
	if err == nil {
		l.of.sum.add(f.Step)
	}
	return err
}

// notePageable says, once, that page-locked memory has run out.
func (r *run) notePageable() {
	c, ok := r.Backend.(tensor.Counter)
	if !ok || r.pageable {
		return
	}
	if n := c.Counters().PageableBytes; n > 0 {
		r.pageable = true
		r.Log.Warn("page-locked memory has run out: other memory is used, which copies to the device reach more slowly; raise the limit on locked memory (ulimit -l), or use fewer --num_cpu_core", "bytes", n)
	}
}

// count returns what the device was given so far.
func (r *run) count() tensor.Counters {
	if c, ok := r.Backend.(tensor.Counter); ok {
		return c.Counters()
	}
	return tensor.Counters{}
}

// logWork says what the device was given in so many steps.
func (r *run) logWork(before tensor.Counters, steps uint64) {
	c := r.count().Sub(before)
	if c.Launches == 0 || steps == 0 {
		return
	}
	each := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/float64(steps)) }
	r.Log.Debug("work of the device a step", "launches", each(c.Launches), "graphs", each(c.Graphs), "graphs_made", c.Executables,
		"uploads", each(c.Uploads), "upload_bytes", each(c.UploadBytes), "downloads", each(c.Downloads), "waits", each(c.Waits), "allocations", c.Allocations)
}

// land ends what is in flight after an error, before the source of its batches is closed. After an
// interruption the outcomes are taken in: the state that is saved has those updates.
func (r *run) land(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if e := r.settle(0); e != nil {
			err = e
		}
	}
	for _, m := range r.team.members {
		for _, b := range m.stepper.Abandon() {
			b.Release()
		}
	}
	r.flying = r.flying[:0]
	return err
}
