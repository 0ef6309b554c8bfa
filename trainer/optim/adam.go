package optim

import (
	"errors"
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

// AdamConfig holds Adam's constants.
type AdamConfig struct {
	LR           float64
	Beta1, Beta2 float64
	Eps          float64
	// WeightDecay adds WeightDecay*w to the gradient of every trained parameter before
	// clipping: the gradient of WeightDecay/2 |w|² in the loss.
	WeightDecay float64
	Clip        float64 // 0: none
	ClipBy      string  // ClipNorm or ClipValue
}

// DefaultAdam returns the reference's constants.
func DefaultAdam() AdamConfig {
	return AdamConfig{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Clip: 5, ClipBy: ClipNorm}
}

// check says which value is wrong.
func (c AdamConfig) check() error {
	finite := func(v float64) bool { return v >= 0 && v <= math.MaxFloat32 }
	switch {
	case !finite(c.LR):
		return fmt.Errorf("lr %v: must be a number of at least 0", c.LR)
	case !(c.Beta1 >= 0 && c.Beta1 < 1) || !(c.Beta2 >= 0 && c.Beta2 < 1):
		return fmt.Errorf("adam betas %v, %v: must be at least 0 and below 1", c.Beta1, c.Beta2)
	case !(c.Eps > 0) || !finite(c.Eps):
		return fmt.Errorf("adam eps %v: must be above 0", c.Eps)
	case !finite(c.WeightDecay):
		return fmt.Errorf("weight_decay %v: must be a number of at least 0", c.WeightDecay)
	case !finite(c.Clip):
		return fmt.Errorf("grad_clip %v: must be a number of at least 0", c.Clip)
	case c.Clip > 0 && c.ClipBy != ClipNorm && c.ClipBy != ClipValue:
		return fmt.Errorf("grad_clip_type %q: unknown, there is norm, value", c.ClipBy)
	}
	return nil
}

// Adam is the optimizer of Kingma and Ba (arXiv:1412.6980, Algorithm 1) with clipped
// gradients. It is not safe for concurrent use.
type Adam struct {
	cfg    AdamConfig
	params []*nn.Param
	m, v   []tensor.Tensor // one for every trained parameter, in order
	sumsq  tensor.Tensor
	count  uint64
}

var _ Optimizer = (*Adam)(nil)

// NewAdam returns an optimizer for params with moments 0, allocated in a, the arena of the
// parameters. q clears them; their first use may be on the same queue without a Sync.
func NewAdam(cfg AdamConfig, a tensor.Arena, q tensor.Queue, params []*nn.Param) (*Adam, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	o := &Adam{cfg: cfg, sumsq: a.Alloc(tensor.F32, 1, 1)}
	zeros := func(p *nn.Param) tensor.Tensor {
		t := a.Alloc(tensor.F32, p.Value.Rows, p.Value.Cols)
		if a.Err() == nil {
			q.Fill(0, t)
		}
		return t
	}
	for _, p := range params {
		if p.Trained() {
			o.params = append(o.params, p)
			o.m = append(o.m, zeros(p))
			o.v = append(o.v, zeros(p))
		}
	}
	if err := a.Err(); err != nil {
		return nil, fmt.Errorf("optimizer state: %w", err)
	}
	q.Fill(0, o.sumsq)
	return o, q.Err()
}

// Step queues one update. It returns an error if params are not the optimizer's own or if
// the queue failed before.
func (o *Adam) Step(q tensor.Queue, params []*nn.Param) error {
	if !o.owns(params) {
		return errors.New("adam: step with other parameters than the optimizer was made for")
	}
	q.Fill(0, o.sumsq)
	for _, p := range o.params {
		if o.cfg.WeightDecay > 0 {
			q.Axpby(float32(o.cfg.WeightDecay), p.Value, 1, p.Grad)
		}
		q.SumSquares(p.Grad, o.sumsq)
	}
	o.count++
	h := o.constants()
	sumsq := o.sumsq
	if h.ClipNorm == 0 {
		sumsq = tensor.Tensor{}
	}
	for i, p := range o.params {
		q.Adam(h, sumsq, p.Grad, o.m[i], o.v[i], p.Value)
	}
	return q.Err()
}

// constants returns those of update number count. The corrections use the betas as rounded
// to float32, which the device multiplies with, so that they cancel exactly.
func (o *Adam) constants() tensor.AdamStep {
	h := tensor.AdamStep{
		LR: float32(o.cfg.LR), Eps: float32(o.cfg.Eps),
		Beta1: float32(o.cfg.Beta1), Beta2: float32(o.cfg.Beta2),
	}
	t := float64(o.count)
	h.Corr1 = float32(1 - math.Pow(float64(h.Beta1), t))
	h.Corr2 = float32(1 - math.Pow(float64(h.Beta2), t))
	switch o.cfg.ClipBy {
	case ClipNorm:
		h.ClipNorm = float32(o.cfg.Clip)
	case ClipValue:
		h.ClipValue = float32(o.cfg.Clip)
	}
	return h
}

func (o *Adam) owns(params []*nn.Param) bool {
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

// SumSquares returns the 1×1 tensor that holds the squared global norm of the last step's
// gradients, weight decay included, before clipping.
func (o *Adam) SumSquares() tensor.Tensor { return o.sumsq }

// State returns "adam.m.<param>" and "adam.v.<param>" for every trained parameter.
func (o *Adam) State() []Named {
	s := make([]Named, 0, 2*len(o.params))
	for i, p := range o.params {
		s = append(s, Named{"adam.m." + p.Name, o.m[i]}, Named{"adam.v." + p.Name, o.v[i]})
	}
	return s
}

// Count returns the number of updates.
func (o *Adam) Count() uint64 { return o.count }

// SetCount sets the number of updates, after the state of a checkpoint was uploaded.
func (o *Adam) SetCount(n uint64) { o.count = n }
