package trainer

import (
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// nodeTables are what a device with memory of its own keeps of all nodes beside their features, so that
// a step brings no more than the numbers of its nodes.
type nodeTables struct {
	labels  tensor.Tensor // N×1 I32 or N×C U8; absent: batches bring theirs
	weights tensor.Tensor // N×1 F32, lambda_v; absent: likewise
	bytes   int64         // that they take of the model's memory
}

func (t *nodeTables) any() bool { return t.labels.Present() || t.weights.Present() }

// keepsTables reports whether the device keeps what it can of all nodes: one to which copies go beside
// its work.
func (s *Stepper) keepsTables() bool {
	_, ok := s.model.Backend.(tensor.Copier)
	return ok
}

// KeepLabels puts the labels of all nodes on the device, if that is a tensor.Copier.
func (s *Stepper) KeepLabels(l *formats.Labels) error {
	switch {
	case !s.keepsTables():
		return nil
	case l.IsMulti():
		return s.keep(&s.tables.labels, tensor.U8, len(l.Multi)/l.NumClasses, l.NumClasses, l.Multi)
	}
	return s.keep(&s.tables.labels, tensor.I32, len(l.Class), 1, bytesOf(l.Class))
}

// KeepWeights puts the weights that all nodes have in the loss on the device, if that is a
// tensor.Copier. nil: batches bring theirs. It may be called between steps that have their outcome.
func (s *Stepper) KeepWeights(w []float32) error {
	switch {
	case !s.keepsTables():
		return nil
	case w == nil && !s.tables.weights.Present():
		return nil
	case w == nil:
		before := s.model.arena.Bytes()
		s.model.arena.Release(s.tables.weights)
		s.tables.bytes -= before - s.model.arena.Bytes()
		s.tables.weights = tensor.Tensor{}
		return nil
	}
	return s.keep(&s.tables.weights, tensor.F32, len(w), 1, bytesOf(w))
}

// keepWeights puts the weights of a phase on the devices, unless they depend on the subgraph or are not
// known here (nil).
func (r *run) keepWeights(n *samplers.Norm) error {
	var w []float32
	if n != nil && !n.UniformLoss && !r.Config.Params.Inputs.UseLabels {
		w = n.Loss
	}
	for _, m := range r.team.members {
		if err := m.stepper.KeepWeights(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stepper) keep(t *tensor.Tensor, dt tensor.DType, rows, cols int, src []byte) error {
	if !t.Present() {
		before := s.model.arena.Bytes()
		*t = s.model.arena.Alloc(dt, rows, cols)
		s.tables.bytes += s.model.arena.Bytes() - before
		if err := s.model.arena.Err(); err != nil {
			return err
		}
	}
	s.q.Upload(src, *t)
	return s.q.Sync()
}

// fromTables makes the running step's targets and weights of the tables, as far as the batch did not
// bring them.
func (s *Stepper) fromTables(n int) {
	for _, f := range []struct {
		table tensor.Tensor
		to    *tensor.Tensor
	}{{s.tables.labels, &s.targets}, {s.tables.weights, &s.weights}} {
		if f.to.Present() {
			continue
		}
		*f.to = s.arena.Alloc(f.table.Type, n, f.table.Cols)
		s.q.GatherRows(f.table, s.nodes, tensor.Drop{}, *f.to)
		s.place.copies = append(s.place.copies, *f.to) // released with what batches bring
	}
}
