package trainer

import (
	"errors"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// NewOptimizer returns the optimizer that the parameters of a configuration ask for; see
// optim.NewAdam for what the other arguments are.
func NewOptimizer(p *trainconfig.Params, a tensor.Arena, q tensor.Queue, params []*nn.Param) (optim.Optimizer, error) {
	common := optim.Common{LR: p.LR, WeightDecay: p.WeightDecay, Clip: p.GradClip, ClipBy: p.GradClipType}
	o := p.Optimizer
	switch o.Kind {
	case "sgd":
		return optim.NewSGD(optim.SGDConfig{Common: common, Momentum: o.Momentum, Nesterov: o.Nesterov}, a, q, params)
	case "rmsprop":
		return optim.NewRMSProp(optim.RMSPropConfig{Common: common, Alpha: o.Alpha, Eps: o.Eps, Momentum: o.Momentum}, a, q, params)
	default:
		return optim.NewAdam(optim.AdamConfig{
			Common: common, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Decoupled: o.Kind == "adamw",
		}, a, q, params)
	}
}

// CheckOptions says whether the training options of a configuration fit the data. The error
// is a *trainconfig.Error with the key's position.
func CheckOptions(c *trainconfig.Config, d *formats.Dataset) error {
	p := &c.Params
	if n := len(p.ClassWeights.List); n > 0 && n != d.Labels.NumClasses {
		return p.Section.Errorf("class_weights", "class_weights has %d numbers, but the data has %d classes", n, d.Labels.NumClasses)
	}
	if len(d.ValNodes) > 0 {
		return nil
	}
	if p.Patience > 0 {
		return p.Section.Errorf("patience", "patience needs a validation score, but the data has no validation nodes")
	}
	if p.Schedule.Kind == "plateau" {
		return p.Section.Errorf("schedule", "schedule plateau needs a validation score, but the data has no validation nodes")
	}
	return nil
}

// smoothLoss makes the stepper's loss that of the configuration, if it asks for class weights
// or smoothed labels. Validation keeps the plain loss, which other runs can be compared with.
func (r *run) smoothLoss(s *Stepper) error {
	p := &r.Config.Params
	if !p.ClassWeights.Any() && p.LabelSmoothing == 0 {
		return nil
	}
	values := classWeights(p.ClassWeights, &r.Data.Labels, r.Data.TrainNodes)
	host := make([]float32, len(values))
	for i, w := range values {
		host[i] = float32(w)
	}
	onDevice := s.model.arena.Alloc(tensor.F32, 1, len(host))
	if err := s.model.arena.Err(); err != nil {
		return err
	}
	s.q.Upload(bytesOf(host), onDevice)
	smooth, err := loss.Smooth(s.loss, p.LabelSmoothing, values, onDevice)
	if err := errors.Join(err, s.q.Sync()); err != nil {
		return err
	}
	s.loss = smooth
	if p.ClassWeights.Any() && !smooth.AcceptsMulti() {
		s.classWeight = host
	}
	return nil
}

// classWeights returns one weight for each class. Balanced ones are N/(K n_c), with n_c the
// training nodes that have class c, N the sum of n_c and K the number of classes that occur, so
// that the mean over the training labels is 1; a class that does not occur has 1.
func classWeights(w trainconfig.ClassWeights, l *formats.Labels, train []int32) []float64 {
	if w.List != nil {
		return w.List
	}
	values := make([]float64, l.NumClasses)
	if w.Balanced {
		for _, v := range train {
			if !l.IsMulti() {
				values[l.Class[v]]++
				continue
			}
			for c, has := range l.Multi[int(v)*l.NumClasses : (int(v)+1)*l.NumClasses] {
				values[c] += float64(has)
			}
		}
	}
	total, occur := 0.0, 0.0
	for _, n := range values {
		if n > 0 {
			total += n
			occur++
		}
	}
	for c, n := range values {
		values[c] = 1
		if n > 0 {
			values[c] = total / (occur * n)
		}
	}
	return values
}

// weightSum returns what the loss of the batch is an average over: its weights, times those
// of the classes under softmax.
func (s *Stepper) weightSum(lossNorm []float32, class []int32) float64 {
	if s.classWeight == nil {
		return sum(lossNorm)
	}
	t := 0.0
	for i, w := range lossNorm {
		if w != 0 {
			t += float64(w) * float64(s.classWeight[class[i]])
		}
	}
	return t
}
