package optim

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// AdamConfig holds the constants of Adam and AdamW.
type AdamConfig struct {
	Common
	Beta1, Beta2 float64
	Eps          float64
	// Decoupled makes it AdamW (Loshchilov and Hutter, arXiv:1711.05101): w is multiplied by
	// 1 - LR*WeightDecay before the update, and the gradients stay free of it.
	Decoupled bool
}

// DefaultAdam returns the reference's constants.
func DefaultAdam() AdamConfig {
	return AdamConfig{Common: Common{LR: 0.01, Clip: 5, ClipBy: ClipNorm}, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
}

// check says which value is wrong.
func (c AdamConfig) check() error {
	switch {
	case !(c.Beta1 >= 0 && c.Beta1 < 1) || !(c.Beta2 >= 0 && c.Beta2 < 1):
		return fmt.Errorf("adam betas %v, %v: must be at least 0 and below 1", c.Beta1, c.Beta2)
	case !(float32(c.Eps) > 0) || !finite(c.Eps):
		return fmt.Errorf("adam eps %v: must be above 0", c.Eps)
	}
	return c.Common.check()
}

// Adam is the optimizer of Kingma and Ba (arXiv:1412.6980, Algorithm 1) with clipped
// gradients. It is not safe for concurrent use.
type Adam struct {
	base
	cfg *AdamConfig
}

var _ Optimizer = (*Adam)(nil)

// NewAdam returns an optimizer for params with moments 0, allocated in a, the arena of the
// parameters. q clears them; their first use may be on the same queue without a Sync. Its state
// is "adam.m.<param>" and "adam.v.<param>".
func NewAdam(cfg AdamConfig, a tensor.Arena, q tensor.Queue, params []*nn.Param) (*Adam, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	o := &Adam{cfg: &cfg}
	var err error
	o.base, err = newBase("adam", &cfg.Common, a, q, params, "adam.m.", "adam.v.")
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Step queues one update. It returns an error if params are not the optimizer's own or if
// the queue failed before.
func (o *Adam) Step(q tensor.Queue, params []*nn.Param) error {
	decay := o.cfg.WeightDecay
	if o.cfg.Decoupled {
		decay = 0
	}
	sumsq, err := o.begin(q, params, decay)
	if err != nil {
		return err
	}
	h := o.constants()
	for i, p := range o.parts {
		if o.cfg.Decoupled && o.cfg.WeightDecay > 0 {
			q.Scale(float32(1-o.cfg.LR*o.cfg.WeightDecay), p.value)
		}
		q.Adam(h, sumsq, p.grad, o.slot(0, i), o.slot(1, i), p.value)
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
	h.ClipNorm, h.ClipValue = o.cfg.clip()
	return h
}
