package optim

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// RMSPropConfig holds RMSprop's constants.
type RMSPropConfig struct {
	Common
	Alpha    float64 // of the mean of squares
	Eps      float64
	Momentum float64 // 0: none
}

// RMSProp divides gradients by the root of their running mean of squares (Tieleman and Hinton
// 2012) in PyTorch's form: Eps stands outside the root, momentum comes after the division. It
// is not safe for concurrent use.
type RMSProp struct {
	base
	cfg *RMSPropConfig
}

// NewRMSProp is NewAdam for RMSProp. Its state is "rmsprop.v.<param>" and, with momentum,
// "rmsprop.m.<param>".
func NewRMSProp(cfg RMSPropConfig, a tensor.Arena, q tensor.Queue, params []*nn.Param) (*RMSProp, error) {
	switch {
	case !(cfg.Alpha >= 0 && cfg.Alpha < 1):
		return nil, fmt.Errorf("rmsprop alpha %v: must be at least 0 and below 1", cfg.Alpha)
	case !(cfg.Momentum >= 0 && cfg.Momentum < 1):
		return nil, fmt.Errorf("rmsprop momentum %v: must be at least 0 and below 1", cfg.Momentum)
	case !(float32(cfg.Eps) > 0) || !finite(cfg.Eps):
		return nil, fmt.Errorf("rmsprop eps %v: must be above 0", cfg.Eps)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	names := []string{"rmsprop.v."}
	if cfg.Momentum > 0 {
		names = append(names, "rmsprop.m.")
	}
	o := &RMSProp{cfg: &cfg}
	var err error
	if o.base, err = newBase("rmsprop", &cfg.Common, a, q, params, names...); err != nil {
		return nil, err
	}
	return o, nil
}

// Step queues one update; see Adam's.
func (o *RMSProp) Step(q tensor.Queue, params []*nn.Param) error {
	sumsq, err := o.begin(q, params, o.cfg.WeightDecay)
	if err != nil {
		return err
	}
	h := tensor.RMSPropStep{
		LR: float32(o.cfg.LR), Alpha: float32(o.cfg.Alpha), Eps: float32(o.cfg.Eps), Momentum: float32(o.cfg.Momentum),
	}
	h.ClipNorm, h.ClipValue = o.cfg.clip()
	for i, p := range o.parts {
		q.RMSProp(h, sumsq, p.grad, o.slot(0, i), o.slot(1, i), p.value)
	}
	return q.Err()
}
