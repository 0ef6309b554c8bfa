package trainer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// inFlight is how many updates the device may be behind: while it computes one, the host has given it
// the next.
const inFlight = 2

// ahead is what a stepper needs to be ahead of its device.
type ahead struct {
	q      tensor.Ahead
	copies tensor.Copies
	// seen has the loss, the squared norm of the gradients, and whether one of them was not finite, in
	// this step or before. Then no update changes anything any more: the host, which learns of it a
	// step later, finds the weights as they were.
	seen    tensor.Tensor
	holds   bool // an update is queued whose numbers the host has not seen
	flights [inFlight]flight
	first   int // oldest of n
	n       int
}

// flight is an update that was queued and whose outcome nobody has asked for.
type flight struct {
	batch  *loader.Batch
	index  uint64
	step   Step
	mark   tensor.Mark
	seen   hostFloats
	logits hostFloats
	scored bool
}

// Finished is the outcome of an update.
type Finished struct {
	Step
	Batch  *loader.Batch // the caller's again
	Index  uint64
	Logits []float32 // n×C, if they were asked for; valid until the next but one Start
}

// hostFloats is memory that the device writes to while the host goes on.
type hostFloats struct {
	from   tensor.HostAllocator // nil: the Go heap
	raw    []byte
	values []float32
}

// take returns n values with undefined contents. Where page-locked memory has run out they lie
// elsewhere.
func (h *hostFloats) take(from tensor.HostAllocator, n int) []float32 {
	if cap(h.values) < n {
		h.free()
		if from != nil {
			if raw, err := from.AllocHost(int64(4 * (n + n/8))); err == nil {
				h.from, h.raw, h.values = from, raw, floatsOf(raw)
			}
		}
		if h.raw == nil {
			h.values = make([]float32, n+n/8)
		}
	}
	h.values = h.values[:n]
	return h.values
}

func (h *hostFloats) free() {
	if h.raw != nil {
		_ = h.from.FreeHost(h.raw) // a device that is lost says so elsewhere
	}
	*h = hostFloats{}
}

// goAhead lets the stepper be ahead of its device, if that can be.
func (s *Stepper) goAhead() error {
	q, ok := s.q.(tensor.Ahead)
	c, copier := s.model.Backend.(tensor.Copier)
	checks, checked := s.opt.(checker)
	if !ok || !copier || !checked {
		return nil
	}
	copies, err := c.NewCopies(s.q)
	if err != nil {
		return err
	}
	a := &ahead{q: q, copies: copies, seen: s.model.arena.Alloc(tensor.F32, 1, 3)}
	s.ahead, s.place.beside = a, copies
	s.q.Fill(0, a.seen)
	checks.SetCheck(func(_ tensor.Queue, norm tensor.Tensor) error {
		if a.holds {
			a.q.Watch(s.lossT, norm, a.seen)
			a.q.Hold(a.seen.ColRange(2, 3))
		}
		return nil
	})
	return s.q.Err()
}

func (a *ahead) close(s *Stepper) error {
	err := s.q.Sync()
	for i := range a.flights {
		a.flights[i].seen.free()
		a.flights[i].logits.free()
	}
	return errors.Join(err, a.copies.Close())
}

// Ahead reports whether Start returns before the device has computed.
func (s *Stepper) Ahead() bool { return s.ahead != nil }

// Started returns how many updates were started whose outcome nobody has asked for.
func (s *Stepper) Started() int { return s.ahead.n }

// Start queues the update number index on b and returns without waiting for it, at most two of them
// before their outcome is asked for by Finish. The batch is the stepper's until then, unless it
// repeats. With logits set the outcome has the logits from before the update. It is for steppers that
// are Ahead; a batch without nodes must go to Step.
func (s *Stepper) Start(b *loader.Batch, index uint64, logits bool) error {
	return s.start(b, index, nil, logits)
}

func (s *Stepper) start(b *loader.Batch, index uint64, score Score, keepLogits bool) (err error) {
	a := s.ahead
	if a.n == inFlight {
		panic("trainer: an update is started before the outcome of the one before the last was asked for")
	}
	f := &a.flights[(a.first+a.n)%inFlight]
	defer s.reset()
	defer s.failed(b, index, &err)
	logits, dlogits, graph := s.forward(b, index)
	if score != nil {
		if err := score(b, logits, s.q); err != nil {
			return err
		}
	}
	host, _ := s.model.Backend.(tensor.HostAllocator)
	if f.scored = keepLogits; keepLogits {
		s.q.Download(logits, bytesOf(f.logits.take(host, logits.Rows*logits.Cols)))
	}
	s.arena.Release(logits)
	f.batch, f.index, f.step = b, index, s.outcome(b)
	s.watch.lap(LaneCompute, "forward")
	s.model.Seq.Backward(&s.ctx, graph, dlogits, false)
	s.arena.Release(dlogits)
	s.watch.lap(LaneCompute, "backward")
	// What could not be allocated is known here: nothing has changed yet.
	if err := errors.Join(graph.Err(), s.arena.Err(), s.model.arena.Err(), s.q.Err()); err != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
	}
	if err := s.update(); err != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
	}
	s.place.done(s.arena)
	f.step.PeakBytes = s.arena.Peak()
	s.q.Download(a.seen, bytesOf(f.seen.take(host, 3)))
	f.mark = a.q.Mark()
	if live := s.arena.Live(); live != 0 {
		return fmt.Errorf("step %d, batch %d: %d tensors were never released", index, b.Index, live)
	}
	s.watch.lap(LaneCompute, "update")
	s.watch.stop(LaneCompute, "step")
	if err := s.q.Err(); err != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
	}
	a.n++
	return nil
}

// update queues the optimizer's step, which does nothing once something was not finite.
func (s *Stepper) update() error {
	s.ahead.holds = true
	defer func() {
		s.ahead.holds = false
		s.ahead.q.Hold(tensor.Tensor{})
	}()
	return s.opt.Step(s.q, s.model.Seq.Params())
}

// Finish waits for the oldest update that was started and returns its outcome. Its errors are those of
// Step.
func (s *Stepper) Finish() (Finished, error) {
	a := s.ahead
	f := &a.flights[a.first]
	a.first = (a.first + 1) % inFlight
	a.n--
	out := Finished{Step: f.step, Batch: f.batch, Index: f.index}
	f.batch = nil
	if err := a.q.Reached(f.mark); err != nil {
		s.drain()
		return out, fmt.Errorf("step %d, batch %d: %w", out.Index, out.Batch.Index, err)
	}
	loss, norm := float64(f.seen.values[0]), float64(f.seen.values[1])
	out.Loss = loss
	if f.scored {
		out.Logits = f.logits.values
	}
	switch {
	case !finite(loss):
		s.drain()
		return out, s.notFinite("loss", loss, out.Batch, out.Index, nil, func(b *loader.Batch) string { return s.whereLossAgain(b, out.Index) })
	case !finite(norm):
		s.drain()
		return out, s.notFinite("squared gradient norm", norm, out.Batch, out.Index, nil, func(b *loader.Batch) string { return s.whereGradientAgain(b, out.Index) })
	}
	return out, nil
}

// Abandon waits for the device and returns the batches of all updates that were started, after an
// error.
func (s *Stepper) Abandon() []*loader.Batch {
	if s.ahead == nil {
		return nil
	}
	s.drain()
	var all []*loader.Batch
	for ; s.ahead.n > 0; s.ahead.n-- {
		all = append(all, s.ahead.flights[s.ahead.first].batch)
		s.ahead.first = (s.ahead.first + 1) % inFlight
	}
	return slices.DeleteFunc(all, func(b *loader.Batch) bool { return b.Repeats })
}

// whereLossAgain is whereLoss after later steps, which have changed nothing but running statistics.
func (s *Stepper) whereLossAgain(b *loader.Batch, index uint64) string {
	s.ctx.Step = index
	defer s.reset()
	return s.whereLoss(b)
}

// whereGradientAgain is whereGradient after later steps, which have added to the gradients: they are
// made anew.
func (s *Stepper) whereGradientAgain(b *loader.Batch, index uint64) string {
	defer s.reset()
	for _, g := range s.model.grads {
		s.q.Fill(0, g)
	}
	_, dlogits, graph := s.forward(b, index)
	s.model.Seq.Backward(&s.ctx, graph, dlogits, false)
	if err := s.q.Sync(); err != nil {
		return fmt.Sprintf("where could not be found out (%v)", err)
	}
	return s.whereGradient(b)
}
