package optim

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Optimizer turns gradients into new values and zeroes the gradients.
type Optimizer interface {
	// Step queues one update of params, always the ones the optimizer was made for.
	Step(q tensor.Queue, params []*nn.Param) error
	// State returns the optimizer's tensors in a fixed order: a checkpoint downloads them,
	// resuming uploads into them.
	State() []Named
	// Count returns the number of updates so far; SetCount restores it.
	Count() uint64
	SetCount(n uint64)
	// SetLR sets the learning rate of the updates to come: what a schedule does between them.
	SetLR(lr float64)
}

// Named is one tensor of an optimizer's state.
type Named struct {
	Name  string // for example "adam.m.layers.0.hops.0.weight"
	Value tensor.Tensor
}

// How AdamConfig.Clip is applied.
const (
	ClipNorm  = "norm"  // all gradients times min(1, Clip/(global norm + 1e-6))
	ClipValue = "value" // every element clamped to [-Clip, Clip]
)

// Common are the constants that all optimizers have.
type Common struct {
	LR float64
	// WeightDecay adds WeightDecay*w to the gradient of every trained parameter before
	// clipping: the gradient of WeightDecay/2 |w|² in the loss. AdamW scales w instead.
	WeightDecay float64
	Clip        float64 // 0: none
	ClipBy      string  // ClipNorm or ClipValue
}

func finite(v float64) bool { return v >= 0 && v <= math.MaxFloat32 }

// check says which value is wrong.
func (c Common) check() error {
	switch {
	case !finite(c.LR):
		return fmt.Errorf("lr %v: must be a number of at least 0", c.LR)
	case !finite(c.WeightDecay):
		return fmt.Errorf("weight_decay %v: must be a number of at least 0", c.WeightDecay)
	case !finite(c.Clip):
		return fmt.Errorf("grad_clip %v: must be a number of at least 0", c.Clip)
	case c.Clip > 0 && c.ClipBy != ClipNorm && c.ClipBy != ClipValue:
		return fmt.Errorf("grad_clip_type %q: unknown, there is norm, value", c.ClipBy)
	}
	return nil
}

// clip returns the bounds of norm and value, 0 for none.
func (c *Common) clip() (norm, value float32) {
	switch c.ClipBy {
	case ClipNorm:
		norm = float32(c.Clip)
	case ClipValue:
		value = float32(c.Clip)
	}
	return norm, value
}

// slots are the tensors of one purpose.
type slots struct {
	name   string          // "adam.m."
	parts  []tensor.Tensor // alike to those that are updated
	values []tensor.Tensor // one for every trained parameter, in order; parts of parts
}

// part is what one operation updates: all parameters, where they lie one behind the other, else one.
type part struct{ value, grad tensor.Tensor }

// base is what all optimizers share: whose parameters they update, their state and the norm
// of the gradients.
type base struct {
	common *Common
	name   string
	params []*nn.Param
	parts  []part
	slots  []slots
	sumsq  tensor.Tensor
	count  uint64
	check  func(q tensor.Queue, sumsq tensor.Tensor) error
}

// newBase allocates the slots of those names in a and queues zeros for them.
func newBase(name string, common *Common, a tensor.Arena, q tensor.Queue, params []*nn.Param, names ...string) (base, error) {
	o := base{common: common, name: name, sumsq: a.Alloc(tensor.F32, 1, 1)}
	for _, p := range params {
		if p.Trained() {
			o.params = append(o.params, p)
		}
	}
	flat := nn.FlatOf(params)
	if flat != nil && len(o.params) > 0 {
		o.parts = []part{{flat.Trained(), flat.Grads}}
	} else {
		for _, p := range o.params {
			o.parts = append(o.parts, part{p.Value, p.Grad})
		}
	}
	for _, n := range names {
		s := slots{name: n}
		for _, p := range o.parts {
			t := a.Alloc(tensor.F32, p.value.Rows, p.value.Cols)
			if a.Err() == nil {
				q.Fill(0, t)
			}
			s.parts = append(s.parts, t)
		}
		for i, p := range o.params {
			if flat != nil {
				s.values = append(s.values, flat.At(p, s.parts[0]))
			} else {
				s.values = append(s.values, s.parts[i])
			}
		}
		o.slots = append(o.slots, s)
	}
	if err := a.Err(); err != nil {
		return base{}, fmt.Errorf("optimizer state: %w", err)
	}
	q.Fill(0, o.sumsq)
	return o, q.Err()
}

// begin adds the weight decay to the gradients, decay 0 for none, and their squares to the
// norm, which it returns if the update needs it. It counts the update.
func (o *base) begin(q tensor.Queue, params []*nn.Param, decay float64) (sumsq tensor.Tensor, err error) {
	if !o.owns(params) {
		return tensor.Tensor{}, fmt.Errorf("%s: step with other parameters than the optimizer was made for", o.name)
	}
	q.Fill(0, o.sumsq)
	for _, p := range o.parts {
		if decay > 0 {
			q.Axpby(float32(decay), p.value, 1, p.grad)
		}
		q.SumSquares(p.grad, o.sumsq)
	}
	if o.check != nil {
		if err := o.check(q, o.sumsq); err != nil {
			return tensor.Tensor{}, err
		}
	}
	o.count++
	if norm, _ := o.common.clip(); norm == 0 {
		return tensor.Tensor{}, nil
	}
	return o.sumsq, nil
}

// slot is part i of the tensors of one purpose, absent if there are none.
func (o *base) slot(purpose, i int) tensor.Tensor {
	if purpose >= len(o.slots) {
		return tensor.Tensor{}
	}
	return o.slots[purpose].parts[i]
}

func (o *base) owns(params []*nn.Param) bool {
	i := 0
	for _, p := range params {
		if !p.Trained() {
			continue
		}
		if i == len(o.params) || o.params[i] != p {
			return false
		}
		i++
	}
	return i == len(o.params)
}

// SetCheck makes f, if not nil, part of every update: it is called when the squared norm of the
// gradients, as SumSquares has it, is queued and nothing that changes parameters is. An error of f ends
// the step, which returns it; the update does not count.
func (o *base) SetCheck(f func(q tensor.Queue, sumsq tensor.Tensor) error) { o.check = f }

// SumSquares returns the 1×1 tensor that holds the squared global norm of the last step's
// gradients, before clipping; weight decay that is a part of them is included.
func (o *base) SumSquares() tensor.Tensor { return o.sumsq }

// State returns the slots of every trained parameter, named as in "adam.m.<param>".
func (o *base) State() []Named {
	s := make([]Named, 0, len(o.slots)*len(o.params))
	for i, p := range o.params {
		for _, slot := range o.slots {
			s = append(s, Named{slot.name + p.Name, slot.values[i]})
		}
	}
	return s
}

// Count returns the number of updates.
func (o *base) Count() uint64 { return o.count }

// SetCount sets the number of updates, after the state of a checkpoint was uploaded.
func (o *base) SetCount(n uint64) { o.count = n }

// SetLR sets the learning rate.
func (o *base) SetLR(lr float64) { o.common.LR = lr }
