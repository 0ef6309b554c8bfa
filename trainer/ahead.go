package trainer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// inFlight is how many subgraphs the device may be behind: while it computes one, the host has given it
// the next. Each may have an update behind it that is queued for itself.
const (
	inFlight   = 2
	maxFlights = 2 * inFlight
)

// ahead is what a stepper needs to be ahead of its device.
type ahead struct {
	q      tensor.Ahead
	copies tensor.Copies
	// seen has the loss, the squared norm of the gradients, and whether one of them was not finite, in
	// this step or before. Then no update changes anything any more: the host, which learns of it a
	// step later, finds the weights as they were.
	seen    tensor.Tensor
	norm    tensor.Tensor // of gradients that more is added to
	holds   bool          // an update is queued whose numbers the host has not seen
	flights [maxFlights]flight
	first   int // oldest of n
	n       int
}

// queued says what is to be done with a batch.
type queued struct {
	index  uint64  // keys the random draws
	share  float32 // what its loss counts
	update bool    // the optimizer's step follows
	final  bool    // no more gradients follow: others may have them
	logits bool    // the outcome has them
	score  Score   // gets them; nil: none
}

// flight is work that was queued and whose outcome nobody has asked for: a subgraph, with an update or
// without, or an update alone.
type flight struct {
	batch  *loader.Batch // nil: an update alone
	index  uint64
	step   Step
	mark   tensor.Mark
	seen   hostFloats
	logits hostFloats
	scored bool
}

// Finished is the outcome of a subgraph and its update.
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
	if !ok || !copier || !checked && s.opt != nil {
		return nil
	}
	copies, err := c.NewCopies(s.q)
	if err != nil {
		return err
	}
	a := &ahead{q: q, copies: copies, seen: s.model.arena.Alloc(tensor.F32, 1, 3), norm: s.model.arena.Alloc(tensor.F32, 1, 1)}
	s.ahead, s.place.beside = a, copies
	s.q.Fill(0, a.seen)
	s.q.Fill(0, s.lossT) // an update may come before the first loss
	if s.opt == nil {
		return s.q.Err()
	}
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

// Started returns how much was started whose outcome nobody has asked for.
func (s *Stepper) Started() int { return s.ahead.n }

// Start queues the update number index on b and returns without waiting for it, at most two of them
// before their outcome is asked for by Finish. The batch is the stepper's until then, unless it
// repeats. With logits set the outcome has the logits from before the update. It is for steppers that
// are Ahead; a batch without nodes must go to Step.
func (s *Stepper) Start(b *loader.Batch, index uint64, logits bool) error {
	return s.start(b, queued{index: index, share: 1, update: true, logits: logits})
}

// take returns the next flight, which counts as soon as all of it is queued.
func (a *ahead) take() *flight {
	if a.n == maxFlights {
		panic("trainer: more is started than two subgraphs with an update each before the first outcome was asked for")
	}
	return &a.flights[(a.first+a.n)%maxFlights]
}

func (s *Stepper) start(b *loader.Batch, o queued) (err error) {
	a, index := s.ahead, o.index
	f := a.take()
	defer s.reset()
	defer s.failed(b, index, &err)
	logits, dlogits, graph := s.forward(b, index)
	if o.score != nil {
		if err := o.score(b, logits, s.q); err != nil {
			return err
		}
	}
	host, _ := s.model.Backend.(tensor.HostAllocator)
	if f.scored = o.logits; o.logits {
		s.q.Download(logits, bytesOf(f.logits.take(host, logits.Rows*logits.Cols)))
	}
	s.arena.Release(logits)
	f.batch, f.index, f.step = b, index, s.outcome(b)
	s.watch.lap(LaneCompute, "forward")
	if o.share != 1 {
		s.q.Scale(o.share, dlogits)
	}
	if o.final && s.exchange.tell != nil {
		s.beginParts()
	}
	s.model.Seq.Backward(&s.ctx, graph, dlogits, false)
	s.arena.Release(dlogits)
	s.watch.lap(LaneCompute, "backward")
	// What could not be allocated is known here: nothing has changed yet.
	if err := errors.Join(graph.Err(), s.arena.Err(), s.model.arena.Err(), s.q.Err()); err != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
	}
	switch {
	case o.update:
		if err := s.update(); err != nil {
			return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
		}
	case s.exchange.on:
		s.endParts()
	default:
		s.lookAt()
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

// lookAt has the device look at the gradients so far, to which more will be added.
func (s *Stepper) lookAt() {
	a := s.ahead
	s.q.Fill(0, a.norm)
	for _, g := range s.model.grads {
		s.q.SumSquares(g, a.norm)
	}
	a.q.Watch(s.lossT, a.norm, a.seen)
}

// startUpdate queues the update number index with the gradients that are there.
func (s *Stepper) startUpdate(index uint64) error {
	a := s.ahead
	f := a.take()
	s.watch.start(index)
	if err := s.update(); err != nil {
		s.drain()
		return fmt.Errorf("step %d: %w", index, err)
	}
	host, _ := s.model.Backend.(tensor.HostAllocator)
	f.batch, f.index, f.step, f.scored = nil, index, Step{}, false
	s.q.Download(a.seen, bytesOf(f.seen.take(host, 3)))
	f.mark = a.q.Mark()
	s.watch.lap(LaneCompute, "update")
	if err := s.q.Err(); err != nil {
		return fmt.Errorf("step %d: %w", index, err)
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

// Finish waits for the oldest of what was started and returns its outcome. Its errors are those of
// Step.
func (s *Stepper) Finish() (Finished, error) {
	a := s.ahead
	f := &a.flights[a.first]
	a.first = (a.first + 1) % maxFlights
	a.n--
	out := Finished{Step: f.step, Batch: f.batch, Index: f.index}
	f.batch = nil
	if err := a.q.Reached(f.mark); err != nil {
		s.drain()
		if out.Batch == nil {
			return out, fmt.Errorf("step %d: %w", out.Index, err)
		}
		return out, fmt.Errorf("step %d, batch %d: %w", out.Index, out.Batch.Index, err)
	}
	loss, norm := float64(f.seen.values[0]), float64(f.seen.values[1])
	if out.Batch == nil {
		if !finite(norm) {
			s.drain()
			return out, sumNotFinite(norm, out.Index)
		}
		return out, nil
	}
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

// Abandon waits for the device and returns the batches of all that was started, after an error.
func (s *Stepper) Abandon() []*loader.Batch {
	if s.ahead == nil {
		return nil
	}
	s.drain()
	var all []*loader.Batch
	for ; s.ahead.n > 0; s.ahead.n-- {
		all = append(all, s.ahead.flights[s.ahead.first].batch)
		s.ahead.first = (s.ahead.first + 1) % maxFlights
	}
	return slices.DeleteFunc(all, func(b *loader.Batch) bool { return b == nil || b.Repeats })
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
