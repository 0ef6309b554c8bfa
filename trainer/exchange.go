package trainer

import (
	"slices"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// mostParts is how many parts the gradients are cut into at most, to be exchanged one by one: an exchange
// has a price of its own.
const mostParts = 4

// cut is gradients that are final when the backward pass has come to the end of a layer.
type cut struct {
	layer int
	grads tensor.Tensor
}

// cuts divides the gradients, those of the last layers first. What is final only when all is belongs to no
// cut. There is none where parameters do not lie in the order of the layers.
func (m *Model) cuts() (all []cut) {
	f := nn.FlatOf(m.Seq.Params())
	if f == nil || !f.Grads.Present() {
		return nil
	}
	rows := f.Grads.Rows
	first := func(p *nn.Param) int { return int(p.Grad.Off-f.Grads.Off) / f.Grads.Cols }
	hi := rows
	for k := m.Seq.Len() - 1; k > 0; k-- {
		lo := hi
		for _, p := range m.Seq.Layer(k).Params() {
			if p.Trained() {
				lo = min(lo, first(p))
			}
		}
		before := 0 // where the parameters of the layers before begin at most, if there are any
		for i := range k {
			for _, p := range m.Seq.Layer(i).Params() {
				if p.Trained() {
					before = max(before, first(p)+1)
				}
			}
		}
		if before > lo || (hi-lo)*mostParts < rows {
			continue // a part of its own would have others' gradients, or be small
		}
		all = append(all, cut{k, f.Grads.RowRange(lo, hi)})
		hi = lo
	}
	return all
}

// restOf returns the gradients that are in no cut.
func (m *Model) restOf(cuts []cut) []tensor.Tensor {
	if len(cuts) == 0 {
		return slices.Clone(m.grads)
	}
	g := m.grads[0]
	last := cuts[len(cuts)-1].grads
	return []tensor.Tensor{g.RowRange(0, int(last.Off-g.Off)/g.Cols)}
}

// exchange is what a stepper knows of other devices that take gradients as soon as they are final.
type exchange struct {
	cuts []cut
	rest []tensor.Tensor
	tell func(part int) // nil: nobody takes them
	on   bool           // during this backward pass
	next int            // cut
}

// tellFinal has the stepper tell when the gradients of a cut are final, and then when the others are, of
// batches after which no more gradients are added.
func (s *Stepper) tellFinal(cuts []cut, tell func(part int)) {
	s.exchange = exchange{cuts: cuts, rest: s.model.restOf(cuts), tell: tell}
	s.hook()
}

// hook has the layers tell whoever wants to know that they are done.
func (s *Stepper) hook() {
	s.ctx.LayerDone = s.traced
	if s.exchange.tell != nil {
		s.ctx.LayerDone = s.layerDone
	}
}

// layerDone looks at the gradients that are final now before others take them.
func (s *Stepper) layerDone(layer int) {
	if s.traced != nil {
		s.traced(layer)
	}
	x := &s.exchange
	if x.on && x.next < len(x.cuts) && x.cuts[x.next].layer == layer {
		s.q.SumSquares(x.cuts[x.next].grads, s.ahead.norm)
		x.tell(x.next)
		x.next++
	}
}

// beginParts begins a backward pass whose gradients others take.
func (s *Stepper) beginParts() {
	s.exchange.on, s.exchange.next = true, 0
	s.q.Fill(0, s.ahead.norm)
}

// endParts ends it: what is left is final.
func (s *Stepper) endParts() {
	x := &s.exchange
	for _, g := range x.rest {
		s.q.SumSquares(g, s.ahead.norm)
	}
	s.ahead.q.Watch(s.lossT, s.ahead.norm, s.ahead.seen)
	x.tell(len(x.cuts))
}
