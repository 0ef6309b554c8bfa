package trainer

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// EvalWay says where evaluations on a device with memory of its own have what they read.
type EvalWay string

// Ways.
const (
	EvalResident EvalWay = "resident" // the graph stays on the device, matrices of all nodes are there
	EvalParts    EvalWay = "parts"    // matrices of all nodes are there, the graph comes in parts
	EvalHost     EvalWay = "host"     // both lie in the memory of the host; tiles get the rows they need
	EvalNone     EvalWay = "none"     // there is too little memory for any
)

// Way returns how evaluations of m go, as Settle has decided, or the error of Check.
func (e *Evaluator) Way(m *Model) (EvalWay, error) {
	switch p, err := e.plan(m.Seq, m.Seq.Len()); {
	case err != nil:
		return EvalNone, err
	case p.host != nil:
		return EvalHost, nil
	case e.kept.on:
		return EvalResident, nil
	}
	return EvalParts, nil
}

// EvaluationMemory says how evaluations go beside training.
type EvaluationMemory struct {
	Way   EvalWay
	Graph int64 // bytes of the graph that stays on the device; 0: none does
	Least int64 // with EvalNone: bytes that they would need
}

// PlanEvaluation returns how evaluations on all of d go on p's device, whose features lie where on says
// and which has free bytes beside what steps take: their own tensors, step bytes, are the evaluations',
// too, whose operations need as much scratch memory as those of steps.
func PlanEvaluation(c *trainconfig.Config, d *formats.Dataset, on OnDevice, p tensor.Planner, step, scratch, free int64) (m *EvaluationMemory, err error) {
	b := p.Dry()
	feats, err := Features(c, d)
	if err != nil {
		return nil, err
	}
	model, err := NewModel(c, feats.Dim(), d.Labels.NumClasses, b, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	a, err := b.NewArena()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if on.Features == 0 {
		feats = hostOnly{feats}
	}
	e, err := NewEvaluator(d.Full, feats, b, a)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if on.Features != 0 {
		e.Lend(model.arena.Alloc(on.Features, feats.Rows(), feats.Dim()))
	}
	beside, err := e.planScratch(b.(tensor.Planner), scratch)
	if err != nil {
		return nil, err
	}
	beside += tableBytes(d.NumNodes())
	if free < beside {
		return &EvaluationMemory{Way: EvalNone, Least: beside}, nil
	}
	e.boundBy(step, free-beside)
	m = &EvaluationMemory{}
	err = e.Settle(model)
	var few *MemoryError
	switch {
	case errors.As(err, &few):
		m.Way, m.Least = EvalNone, few.Least+beside
		return m, nil
	case err != nil:
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	if e.kept.on {
		m.Graph = e.kept.bytes
	}
	m.Way, err = e.Way(model)
	return m, err
}

// planScratch is reserveScratch on a device that only counts, and returns what that takes.
func (e *Evaluator) planScratch(p tensor.Planner, bytes int64) (int64, error) {
	before, _ := p.HeldBytes()
	err := e.reserveScratch(bytes)
	after, _ := p.HeldBytes()
	return after - before, err
}
