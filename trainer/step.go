package trainer

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Step is the outcome of one weight update; the zero Step is that of a batch without nodes.
type Step struct {
	Loss         float64 // sum over the batch of lambda_v times the node's loss, before the update
	WeightSum    float64 // sum of lambda_v: what the loss is an average over
	Nodes, Edges int
	PeakBytes    int64 // high-water mark of the step's arena
	SavedBytes   int64 // what the store held at the turn from forward to backward
}

// Stepper does weight updates of one model. In the steady state it allocates nothing. It is
// not safe for concurrent use.
type Stepper struct {
	model *Model
	opt   optim.Optimizer
	loss  loss.Loss
	arena tensor.Arena
	q     tensor.Queue
	store nn.Store
	place placer
	ctx   nn.Context
	feats tensor.Tensor // all rows on the device; absent: batches bring theirs

	featBytes int64 // that they take of the model's memory

	entries  entries
	lossT    tensor.Tensor // the loss, then the squared norm of the gradients
	lossHost scalar

	classWeight []float32 // of softmax; nil: all the same
	watch       stopwatch
	traced      func(layer int) // tells the stopwatch; nil: nobody
	exchange    exchange
	ahead       *ahead // nil: the device computes no later than the host
	checks      bool   // the optimizer asks whether the norm is finite
	tables      nodeTables

	targets, weights tensor.Tensor // of the running step's loss

	nodes     tensor.Tensor // what regather gathers
	given     tensor.Tensor // labels among them
	labels    *labelInputs  // nil: labels are no features
	drop      tensor.Drop
	regather  func(dst tensor.Tensor)
	rowByRow  func(t *tensor.Tensor) // regather for operations that make rows; nil if there are none
	makeAgain makesAgain             // the store, if it can do without features
	changing  []int                  // slots whose contents differ from step to step though the batch does not
}

// makesAgain is a store that drops a tensor which can be made again.
type makesAgain interface {
	MakesAgain(t tensor.Tensor, make func(dst tensor.Tensor), rows func(t *tensor.Tensor))
}

// NewStepper returns a stepper that draws dropout masks from seed and allocates a step's
// tensors in arena, which is empty between steps. feats, if not nil, lie in memory and are put on
// the device once (aliased where memory is shared); without them the batches bring their rows.
func NewStepper(m *Model, opt optim.Optimizer, arena tensor.Arena, feats formats.FeatureStore, seed uint64, options ...StepperOption) (*Stepper, error) {
	l, err := loss.New(m.Loss)
	if err != nil {
		return nil, err
	}
	q, err := m.Backend.NewQueue()
	if err != nil {
		return nil, err
	}
	s := &Stepper{
		model: m, opt: opt, loss: l, arena: arena, q: q, store: actmem.NewKeep(arena),
		place: placer{b: m.Backend}, lossT: m.arena.Alloc(tensor.F32, 1, 1),
		entries: newEntries(m),
	}
	err = loss.Check(l, q)
	for _, o := range options {
		err = errors.Join(err, o(s))
	}
	s.ctx = nn.Context{Q: q, A: arena, Store: s.store, Train: true, Seed: seed}
	s.makeAgain, _ = s.store.(makesAgain)
	s.regather = s.gather
	if rows, ok := q.(tensor.RowOps); ok {
		s.rowByRow = func(t *tensor.Tensor) { rows.Gathered(s.feats, s.nodes, s.drop, t) }
	}
	s.changing = append(s.changing, slotGiven)
	if s.labels != nil {
		s.changing = append(s.changing, slotWeight)
	}
	if m.edgeDropout > 0 {
		s.changing = append(s.changing, slotIndptr, slotIndices, slotValues, slotTransIndptr, slotTransIndices, slotTransValues, slotOnes, slotSym, slotTransSym)
	}
	if err == nil && feats != nil {
		err = s.keepFeatures(feats)
	}
	if err == nil {
		err = s.goAhead()
	}
	if s.ahead == nil {
		s.checkNow()
	}
	if err = errors.Join(err, m.arena.Err()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// gather writes the features of the step's nodes.
func (s *Stepper) gather(dst tensor.Tensor) {
	s.q.GatherRows(s.feats, s.nodes, s.drop, dst)
	if s.labels != nil {
		s.labels.write(s.q, s.given, s.drop, dst)
	}
}

// SetTracer tells t where the time of every step from now on goes; nil tells nobody.
func (s *Stepper) SetTracer(t Tracer) {
	s.watch.to = t
	s.traced = s.watch.layers(s.model.Seq)
	s.hook()
}

// Close frees the stepper's queue; every update must have its outcome.
func (s *Stepper) Close() error {
	if s.ahead == nil {
		return s.q.Close()
	}
	return errors.Join(s.ahead.close(s), s.q.Close())
}

// Score receives the logits (n×C, on the device of q) of a step before its update. They are
// valid during the call.
type Score func(b *loader.Batch, logits tensor.Tensor, q tensor.Queue) error

// Step does the update number index (counted over the whole run, from 0) on b. score may be
// nil. A batch without nodes has nothing to teach: it updates nothing, not even the
// optimizer's count. A panic of a layer comes back as a *LayerPanic; a loss or gradient that
// is not finite comes back as an error that wraps ErrNotFinite and says where it began, with
// the weights as they were. After an error the Stepper must not be used again: gradients may
// hold a part of the step.
func (s *Stepper) Step(b *loader.Batch, index uint64, score Score) (Step, error) {
	return s.step(b, index, 1, true, score)
}

// Accumulate is the part of Step before the update: it adds the gradients of b to those that are there,
// its loss counting share. The loss that it returns is the whole one. index keys the random draws.
func (s *Stepper) Accumulate(b *loader.Batch, index uint64, share float32, score Score) (Step, error) {
	return s.step(b, index, share, false, score)
}

// Update does the update number index with the gradients that Accumulate has gathered.
func (s *Stepper) Update(index uint64) error {
	if s.ahead != nil {
		if err := s.startUpdate(index); err != nil {
			return err
		}
		_, err := s.Finish()
		return err
	}
	s.watch.start(index)
	err := errors.Join(s.opt.Step(s.q, s.model.Seq.Params()), s.q.Sync())
	s.watch.lap(LaneCompute, "update")
	var bad *badNorm
	if errors.As(err, &bad) && bad.cause == nil {
		return sumNotFinite(bad.norm, index)
	}
	return err
}

// sumNotFinite says that an update was not done though the gradients of each of its subgraphs were
// finite.
func sumNotFinite(norm float64, index uint64) error {
	return fmt.Errorf("step %d: the squared norm of the sum of the gradients is %v, %w: that of every subgraph is finite; lower lr, or accumulate fewer subgraphs",
		index, norm, ErrNotFinite)
}

// checker is an optimizer that has the norm of the gradients looked at before it changes anything.
type checker interface {
	SetCheck(f func(q tensor.Queue, norm tensor.Tensor) error)
}

// badNorm says that an update was not done: the norm is not finite, or is not known.
type badNorm struct {
	norm  float64
	cause error
}

// Error says so.
func (e *badNorm) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return fmt.Sprintf("the squared gradient norm is %v", e.norm)
}

// checkNow has the host look at every norm before the update, where the optimizer can wait for that:
// the norm that it needs anyway serves for both.
func (s *Stepper) checkNow() {
	c, ok := s.opt.(checker)
	if !ok {
		return
	}
	s.checks = true
	c.SetCheck(func(q tensor.Queue, norm tensor.Tensor) error {
		v, err := s.lossHost.fetch(q, norm)
		if err = errors.Join(err, s.arena.Err(), s.model.arena.Err()); err != nil || !finite(v) {
			return &badNorm{v, err}
		}
		return nil
	})
}

// updateNow does the optimizer's step after the backward pass over g.
func (s *Stepper) updateNow(g nn.Graph) error {
	if err := g.Err(); err != nil {
		return &badNorm{cause: err}
	}
	return s.opt.Step(s.q, s.model.Seq.Params())
}

func (s *Stepper) step(b *loader.Batch, index uint64, share float32, update bool, score Score) (st Step, err error) {
	if b.NumNodes() == 0 {
		return st, nil
	}
	if s.ahead != nil {
		if err := s.start(b, queued{index: index, share: share, update: update, score: score}); err != nil {
			return st, err
		}
		f, err := s.Finish()
		return f.Step, err
	}
	defer s.reset()
	defer s.failed(b, index, &err)
	logits, dlogits, graph := s.forward(b, index)
	if score != nil {
		if err := score(b, logits, s.q); err != nil {
			return st, err
		}
	}
	s.arena.Release(logits)
	st = s.outcome(b)
	if st.Loss, err = s.lossNow(); err != nil || !finite(st.Loss) {
		return st, s.notFinite("loss", st.Loss, b, index, err, s.whereLoss)
	}
	s.watch.lap(LaneCompute, "forward")
	if share != 1 {
		s.q.Scale(share, dlogits)
	}
	s.model.Seq.BackwardOf(&s.ctx, graph, dlogits, false)
	if !update || !s.checks {
		if norm, err := s.gradNorm(graph); err != nil || !finite(norm) {
			return st, s.notFinite("squared gradient norm", norm, b, index, err, s.whereGradient)
		}
	}
	s.watch.lap(LaneCompute, "backward")
	if update {
		if err := s.updateNow(graph); err != nil {
			var bad *badNorm
			if errors.As(err, &bad) {
				err = s.notFinite("squared gradient norm", bad.norm, b, index, bad.cause, s.whereGradient)
			}
			return st, err
		}
	}
	s.place.done(s.arena)
	st.PeakBytes = s.arena.Peak()
	err = s.finish(b, index)
	s.watch.lap(LaneCompute, "update")
	s.watch.stop(LaneCompute, "step")
	return st, err
}

// failed makes an error of a panic, and waits for the device after an error: it may still read the
// batch, which the caller now releases. It has to be deferred itself.
func (s *Stepper) failed(b *loader.Batch, index uint64, err *error) {
	if p := recover(); p != nil {
		*err = &LayerPanic{
			During: fmt.Sprintf("step %d, batch %d", index, b.Index), Layer: layerName(s.model.Seq, s.ctx.Layer),
			Value: p, Stack: string(debug.Stack()),
		}
	}
	if *err == nil {
		return
	}
	s.drain()
	if few := s.arena.Err(); few != nil {
		*err = fmt.Errorf("step %d, batch %d: %w", index, b.Index, few) // the cause of what operations say
	}
}

// drain waits for all that the device was given; what fails then was told before.
func (s *Stepper) drain() {
	_ = s.q.Sync() // first: it frees a device that would wait for another for ever
	if s.ahead != nil {
		_ = s.ahead.copies.Sync()
	}
}

// forward begins the step number index: it queues everything up to the loss and its gradient.
func (s *Stepper) forward(b *loader.Batch, index uint64) (logits, dlogits tensor.Tensor, graph *nn.Batch) {
	s.ctx.Step = index
	s.store.Begin(s.ctx.Seed, index)
	s.arena.ResetPeak()
	s.deferring(true)
	s.watch.start(index)
	x, graph := s.inputs(b)
	s.watch.lap(LaneCopy, "inputs")
	logits = s.model.Seq.ForwardOf(&s.ctx, graph, x) // the store holds what the backward pass needs of it
	s.ctx.Layer = s.model.Seq.Len()
	dlogits = s.arena.Alloc(tensor.F32, logits.Rows, logits.Cols)
	s.loss.Eval(s.q, logits, s.targets, s.weights, s.lossT, dlogits)
	return logits, dlogits, graph
}

// outcome returns what the host knows of a step after the forward pass.
func (s *Stepper) outcome(b *loader.Batch) Step {
	return Step{Nodes: b.NumNodes(), Edges: b.NumEdges(), SavedBytes: s.store.Bytes(), WeightSum: s.weightSum(s.lossWeights(b), b.Class)}
}

// inputs places the batch on the device.
func (s *Stepper) inputs(b *loader.Batch) (tensor.Tensor, *nn.Batch) {
	s.ctx.Layer = -1
	s.place.begin(b, s.model.arena, s.changing...)
	n := b.NumNodes()
	resident := s.feats.Present()
	var x tensor.Tensor
	if resident || s.tables.any() {
		s.nodes = s.place.ints(s.arena, s.q, slotNodes, b.Nodes)
	}
	if resident {
		if s.labels != nil {
			s.labels.divide(&s.ctx, b, s.model.Classes)
			s.given = s.place.ints(s.arena, s.q, slotGiven, s.labels.given)
		}
	} else {
		x = s.place.put(s.arena, s.q, slotFeatures, tensor.F32, n, len(b.Features)/n, bytesOf(b.Features))
		s.arena.Retain(x) // the placer has a reference of its own, in this arena or in the model's
	}
	graph := s.entries.of(s, b)
	s.targets, s.weights = s.target(b), s.weightsOf(b)
	s.place.ready()
	if resident {
		x = s.arena.Alloc(tensor.F32, n, s.feats.Cols)
		s.drop = s.model.Seq.InputDrop(&s.ctx)
		s.ctx.Dropped = s.drop.P > 0
		s.regather(x)
		if s.makeAgain != nil {
			rows := s.rowByRow
			if s.labels != nil {
				rows = nil // labels are written beside them
			}
			s.makeAgain.MakesAgain(x, s.regather, rows)
		}
	}
	s.fromTables(n)
	return x, graph
}

// target places what the loss compares with, unless it is on the device for all nodes.
func (s *Stepper) target(b *loader.Batch) tensor.Tensor {
	switch {
	case s.tables.labels.Present():
		return tensor.Tensor{}
	case b.Multi != nil:
		return s.place.put(s.arena, s.q, slotMulti, tensor.U8, b.NumNodes(), s.model.Classes, b.Multi)
	}
	return s.place.ints(s.arena, s.q, slotClass, b.Class)
}

// weightsOf places what nodes weigh in the loss, unless it is on the device for all nodes.
func (s *Stepper) weightsOf(b *loader.Batch) tensor.Tensor {
	if s.tables.weights.Present() && s.labels == nil {
		return tensor.Tensor{}
	}
	return s.place.column(s.arena, s.q, slotWeight, s.lossWeights(b))
}

// lossNow fetches the loss. It waits for the device; a backend that runs asynchronously
// pays one round trip, which buys gradients that are still clean if the loss went wrong.
func (s *Stepper) lossNow() (float64, error) {
	v, err := s.lossHost.fetch(s.q, s.lossT)
	return v, errors.Join(err, s.arena.Err(), s.model.arena.Err())
}

// gradNorm returns the squared norm of all gradients, before weight decay and clipping: a
// gradient that is not finite must not reach the weights.
func (s *Stepper) gradNorm(g nn.Graph) (float64, error) {
	s.q.Fill(0, s.lossT)
	for _, g := range s.model.grads {
		s.q.SumSquares(g, s.lossT)
	}
	norm, err := s.lossNow()
	return norm, errors.Join(err, g.Err())
}

// finish waits for the update and checks what must hold after every step.
func (s *Stepper) finish(b *loader.Batch, index uint64) error {
	if err := errors.Join(s.q.Sync(), s.arena.Err()); err != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
	}
	if live := s.arena.Live(); live != 0 {
		return fmt.Errorf("step %d, batch %d: %d tensors were never released", index, b.Index, live)
	}
	return nil
}

// deferring lets the queue put operations off, if it can.
func (s *Stepper) deferring(on bool) {
	if d, ok := s.q.(tensor.Deferrer); ok {
		d.Defer(on)
	}
}

// reset leaves nothing behind, also after an error.
func (s *Stepper) reset() {
	s.deferring(false)
	s.exchange.on = false
	s.ctx.EndLayer()
	s.store.Reset()
	s.place.forget()
	s.arena.Reset()
	s.targets, s.weights = tensor.Tensor{}, tensor.Tensor{}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func sum(w []float32) float64 {
	t := 0.0
	for _, x := range w {
		t += float64(x)
	}
	return t
}

// LayerPanic is a panic of a layer, a bug in it, as an error.
type LayerPanic struct {
	During string // "step 12, batch 3" or "evaluation"
	Layer  string // its name in the model, or what stands before or after all layers
	Value  any
	Stack  string
}

// Error says where and what, without the stack.
func (e *LayerPanic) Error() string {
	return fmt.Sprintf("%s: %s panicked: %v", e.During, e.Layer, e.Value)
}

// layerName names position i of a model: -1 is its input, Len its loss or scores.
func layerName(m *nn.Sequential, i int) string {
	switch {
	case i < 0:
		return "the input"
	case i >= m.Len():
		return "what follows the last layer"
	default:
		return "layer " + m.Name(i)
	}
}
