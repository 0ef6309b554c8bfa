package optim

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// SGDConfig holds the constants of stochastic gradient descent.
type SGDConfig struct {
	Common
	Momentum float64 // 0: none
	Nesterov bool
}

// SGD is stochastic gradient descent with the momentum of Sutskever et al. (ICML 2013) in
// PyTorch's form: m = Momentum m + g, w = w - LR m. It is not safe for concurrent use.
type SGD struct {
	base
	cfg *SGDConfig
}

// NewSGD is NewAdam for SGD. Its state is "sgd.m.<param>", or nothing without momentum.
func NewSGD(cfg SGDConfig, a tensor.Arena, q tensor.Queue, params []*nn.Param) (*SGD, error) {
	switch {
	case !(cfg.Momentum >= 0 && cfg.Momentum < 1):
		return nil, fmt.Errorf("sgd momentum %v: must be at least 0 and below 1", cfg.Momentum)
	case cfg.Nesterov && cfg.Momentum == 0:
		return nil, errors.New("sgd nesterov: needs momentum")
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	var names []string
	if cfg.Momentum > 0 {
		names = []string{"sgd.m."}
	}
	o := &SGD{cfg: &cfg}
	var err error
	if o.base, err = newBase("sgd", &cfg.Common, a, q, params, names...); err != nil {
		return nil, err
	}
	return o, nil
}

// Step queues one update; see Adam's.
func (o *SGD) Step(q tensor.Queue, params []*nn.Param) error {
	sumsq, err := o.begin(q, params, o.cfg.WeightDecay)
	if err != nil {
		return err
	}
	h := tensor.SGDStep{LR: float32(o.cfg.LR), Momentum: float32(o.cfg.Momentum), Nesterov: o.cfg.Nesterov}
	h.ClipNorm, h.ClipValue = o.cfg.clip()
	for i, p := range o.parts {
		q.SGD(h, sumsq, p.grad, o.slot(0, i), p.value)
	}
	return q.Err()
}
