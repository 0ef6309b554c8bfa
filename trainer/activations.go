package trainer

import (
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// StepperOption changes how a Stepper works.
type StepperOption func(*Stepper) error

// WithActivations makes the stepper keep activations as c says; without it they stay as they
// are.
func WithActivations(c actmem.Config) StepperOption {
	return func(s *Stepper) (err error) {
		s.store, err = actmem.New(c, s.arena, s.q)
		return err
	}
}

// ActivationStore translates a configuration's words.
func ActivationStore(a trainconfig.Activations) actmem.Config {
	if a.AMP && a.Bits == 0 {
		return actmem.Config{Bits: tensor.BF16Bits, Kept: a.KeptFrac}
	}
	return actmem.Config{Bits: a.Bits, Kept: a.KeptFrac, Group: a.GroupSize(), FullStats: a.Stats == "fp32", Simulate: a.Simulate}
}
