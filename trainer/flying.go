package trainer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// takeOff is what a run knows of an update when it is queued.
type takeOff struct {
	epoch, phase int
	step         uint64
	rate         float64
	waited       time.Duration
	began        time.Time
	weights      []float32 // of the nodes in the loss, for its score
}

// heldBack returns how many batches the run holds beside the one that it works on.
func (r *run) heldBack() int {
	if r.stepper.Ahead() {
		return inFlight - 1
	}
	return 0
}

// stepAhead queues an update and takes in the outcome of the one before.
func (r *run) stepAhead(b *loader.Batch, t takeOff, scored bool) error {
	if err := r.stepper.Start(b, t.step, scored); err != nil {
		b.Release()
		return err
	}
	if scored {
		// The next step divides the labels anew.
		w := &r.scoredBy[t.step%inFlight]
		*w = append((*w)[:0], r.stepper.lossWeights(b)...)
		t.weights = *w
	}
	if b.Repeats {
		b.Release() // its memory stays as it is as long as its source is open
	}
	r.flying = append(r.flying, t)
	r.advance(1)
	return r.settle(inFlight - 1)
}

// settle takes in outcomes until at most so many are left.
func (r *run) settle(left int) error {
	for len(r.flying) > left {
		t := r.flying[0]
		r.flying = append(r.flying[:0], r.flying[1:]...)
		f, err := r.stepper.Finish()
		if err == nil && f.Logits != nil {
			c := &r.team.members[0].f1
			r.scoreLogits(c, f.Batch, f.Logits, t.weights)
			r.F1Sum += c.last
			r.F1Count++
		}
		if !f.Batch.Repeats {
			f.Batch.Release()
		}
		if err != nil {
			return err
		}
		r.stepped(t, f.Step)
	}
	r.notePageable()
	return nil
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
	for _, b := range r.stepper.Abandon() {
		b.Release()
	}
	r.flying = r.flying[:0]
	return err
}
