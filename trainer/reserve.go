package trainer

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// PlanDraws is how many subgraphs of a phase are drawn to find a large one.
const PlanDraws = 20

// DeviceMemory says what training takes of a device with memory of its own, in bytes.
type DeviceMemory struct {
	Size    Size  // of the step, rounded up
	Model   int64 // parameters, gradients, optimizer, what the device has of all nodes, a batch that repeats
	Step    int64 // tensors of a step
	Scratch int64 // of the operations
	Copies  int64 // a step's arrays, and those of the next one
	Total   int64 // with what queues and libraries take
}

// OnDevice is what a device keeps of all nodes.
type OnDevice struct {
	Nodes    int
	Features tensor.DType // 0: none
	Weights  bool         // in the loss
	Repeats  bool         // every batch is the same
}

// reservation is memory that is taken before it is needed.
type reservation struct{ model, step, scratch, set int64 }

// RoundUp returns the size that memory is planned for: with nodes and edges rounded up to the next
// eighth of a power of two, so that few of the subgraphs that nobody has drawn yet are larger.
func (z Size) RoundUp() Size {
	z.Nodes, z.Edges = int(eighth(int64(z.Nodes))), eighth(z.Edges)
	return z
}

func eighth(n int64) int64 {
	if n < 8 {
		return n
	}
	step := int64(1) << (bits.Len64(uint64(n)) - 4)
	return (n + step - 1) / step * step
}

// PlanDevice returns what training with steps of that size takes of p's device. It needs no memory of
// it.
func PlanDevice(c *trainconfig.Config, size Size, on OnDevice, p tensor.Planner) (*DeviceMemory, error) {
	// The first pass finds out what each part takes, the second takes that in one piece each.
	res, _, err := dryRun(c, size, on, p, reservation{}, true)
	if err != nil {
		return nil, err
	}
	_, total, err := dryRun(c, size, on, p, res, true)
	return &DeviceMemory{Size: size, Model: res.model, Step: res.step, Scratch: res.scratch, Copies: 2 * res.set, Total: total}, err
}

// dryRun makes a model and a stepper as a run does and, if wanted, has them do a step, all without data.
func dryRun(c *trainconfig.Config, size Size, on OnDevice, p tensor.Planner, have reservation, step bool) (res reservation, total int64, err error) {
	b := p.Dry()
	width := size.Features
	if c.Params.Inputs.UseLabels {
		width += size.Classes
	}
	m, err := modelIn(c, width, size.Classes, b, 1, have.model)
	if err != nil {
		return res, 0, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	q, err := b.NewQueue()
	if err != nil {
		return res, 0, err
	}
	opt, err := NewOptimizer(&c.Params, m.arena, q, m.Seq.Params())
	if err = errors.Join(err, q.Close()); err != nil {
		return res, 0, err
	}
	arena, err := b.NewArena()
	if err != nil {
		return res, 0, err
	}
	defer func() { err = errors.Join(err, arena.Close()) }()
	s, err := NewStepper(m, opt, arena, nil, 1, WithActivations(ActivationStore(c.Params.Activations)), WithLabels(c.Params.Inputs))
	if err != nil {
		return res, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if size.Rows = on.Features == 0; !size.Rows {
		s.allocFeatures(on.Features, on.Nodes, width)
	}
	if p := &c.Params; p.ClassWeights.Any() || p.LabelSmoothing != 0 {
		m.arena.Alloc(tensor.F32, 1, size.Classes)
	}
	s.tables.alloc(m.arena, size, on)
	if s.entries.drop.share > 0 {
		// All edges may be there, in arrays of their own.
		s.entries.drop.share, size.Directed = 0, true
	}
	if step {
		if err := s.reserve(have); err != nil {
			return res, 0, err
		}
		batch := size.batch()
		batch.Repeats = on.Repeats
		if _, err := s.Measure(batch, 0); err != nil {
			return res, 0, err
		}
	}
	total, _ = b.(tensor.Planner).HeldBytes()
	return s.taken(), total, nil
}

// alloc makes room for the tables of a plan.
func (t *nodeTables) alloc(a tensor.Arena, size Size, on OnDevice) {
	if size.Multi {
		t.labels = a.Alloc(tensor.U8, on.Nodes, size.Classes)
	} else {
		t.labels = a.Alloc(tensor.I32, on.Nodes, 1)
	}
	if on.Weights {
		t.weights = a.Alloc(tensor.F32, on.Nodes, 1)
	}
}

// taken returns what the stepper's parts have needed.
func (s *Stepper) taken() (r reservation) {
	of := func(x any) int64 {
		if t, ok := x.(tensor.Reserver); ok {
			return t.Taken()
		}
		return 0
	}
	r = reservation{model: of(s.model.arena), step: of(s.arena), scratch: of(s.q)}
	if s.ahead != nil {
		r.set = of(s.ahead.copies)
	}
	return r
}

// reserve takes memory for steps to come; none may be under way.
func (s *Stepper) reserve(r reservation) error {
	take := func(x any, n int64) error {
		if t, ok := x.(tensor.Reserver); ok {
			return t.Reserve(n)
		}
		return nil
	}
	// In this order: what is largest should find the largest hole.
	for _, part := range []struct {
		of any
		n  int64
	}{{s.model.arena, r.model}, {s.arena, r.step}, {s.q, r.scratch}} {
		if err := take(part.of, part.n); err != nil {
			return err
		}
	}
	if s.ahead == nil {
		return nil
	}
	return s.ahead.copies.(tensor.Reserver).Reserve(r.set)
}

// onDevice returns what the run's device keeps of all nodes.
func (r *run) onDevice(weights, repeats bool) OnDevice {
	on := OnDevice{Nodes: r.Data.Features.Rows(), Weights: weights, Repeats: repeats}
	if in, ok := formats.StoredOf(r.Data.Features); ok {
		on.Features = tensor.F32
		if in.F16 != nil && tensor.TakesHalfRows(r.Backend) {
			on.Features = tensor.F16
		}
	}
	return on
}

// modelBytes returns what the model and all that lies beside it on the device take, 0 where that is
// not planned.
func (r *run) modelBytes() (int64, error) {
	p, ok := r.Backend.(tensor.Planner)
	if !ok {
		return 0, nil
	}
	res, _, err := dryRun(r.Config, r.size(), r.onDevice(r.keepsWeights(), false), p, reservation{}, false)
	return res.model, err
}

// keepsWeights reports whether the loss weights of all nodes will lie on the device, as far as that is
// known before there are any.
func (r *run) keepsWeights() bool {
	return r.Source == nil && !r.Config.Params.Inputs.UseLabels && r.Config.Params.NormLoss
}

// size is that of steps, but for nodes and edges.
func (r *run) size() Size {
	z := Size{Features: r.Data.Features.Dim(), Classes: r.Data.Labels.NumClasses, Multi: r.Data.Labels.IsMulti(), Directed: !r.env.Symmetric()}
	if r.Config.Params.Inputs.UseLabels {
		z.Features -= z.Classes // which plans add
	}
	return z
}

// reserve takes the memory of the device that the steps of a phase need: what the largest of some
// subgraphs needs, and a little more. What is too little is told before the first step.
func (r *run) reserve(ctx context.Context, c loader.Config, norm *samplers.Norm) error {
	p, ok := r.Backend.(tensor.Planner)
	if !ok {
		return nil
	}
	size, repeats, err := r.largest(ctx, c)
	if err != nil {
		return err
	}
	if !repeats {
		size = size.RoundUp()
	}
	weights := norm != nil && r.stepper.tables.weights.Present()
	res, _, err := dryRun(r.Config, size, r.onDevice(weights, repeats), p, reservation{}, true)
	if err != nil {
		return err
	}
	r.Log.Debug("memory of a step", "nodes", size.Nodes, "edges", size.Edges, "model", res.model, "step", res.step, "scratch", res.scratch, "copies", 2*res.set)
	for i, m := range r.team.members {
		if i == 1 && !r.team.ahead {
			res.step, res.set = res.step+res.set, 0 // others have the arrays of a step among its tensors
		}
		err := m.stepper.reserve(res)
		if i == 0 {
			err = r.stepsFirst(err, func() error { return m.stepper.reserve(res) })
		}
		if err != nil {
			return fmt.Errorf("a step of %d nodes and %d edges: %w", size.Nodes, size.Edges, err)
		}
	}
	if err := r.boundEvaluation(&res); err != nil {
		return err
	}
	r.taken = true
	return nil
}

// largest returns the size of the largest of the phase's first subgraphs, and whether all are the same.
func (r *run) largest(ctx context.Context, c loader.Config) (size Size, repeats bool, err error) {
	size = r.size()
	c.From, c.To, c.Labels, c.Features, c.Alloc, c.Tracer, c.NoTranspose = 0, min(c.To, PlanDraws), nil, nil, nil, nil, true
	if d, ok := c.Sampler.(samplers.Deterministic); ok && d.Deterministic() {
		repeats, c.To = true, min(c.To, 1)
	}
	if c.To == 0 {
		return size, repeats, nil
	}
	src, err := loader.Open(ctx, c)
	if err != nil {
		return size, repeats, err
	}
	defer src.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
	for range c.To {
		b, err := src.Next(ctx)
		if err != nil {
			return size, repeats, err
		}
		size.Nodes, size.Edges = max(size.Nodes, b.NumNodes()), max(size.Edges, int64(b.NumEdges()))
		b.Release()
	}
	return size, repeats, nil
}

// stepsFirst tries again what had too little memory, without what evaluations keep on the device.
func (r *run) stepsFirst(err error, again func() error) error {
	var few *tensor.OutOfMemoryError
	if !errors.As(err, &few) || r.eval == nil {
		return err
	}
	switch had, failed := r.eval.Evict(); {
	case failed != nil:
		return failed
	case had:
		return again()
	}
	return err
}

// boundEvaluation lets evaluations have what the steps have and what nobody has.
func (r *run) boundEvaluation(steps *reservation) error {
	if r.eval == nil {
		return nil
	}
	if err := errors.Join(r.scorer.Reserve(), r.eval.reserveScratch(steps.scratch)); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	settle := func() error { return r.eval.Settle(r.model) }
	if r.EvalMemory == 0 {
		settle = func() error { return r.eval.BoundByDevice(r.model, steps.step) }
	}
	if err := settle(); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	way, err := r.eval.Way(r.model)
	r.Log.Debug("evaluation", "way", way)
	return err
}
