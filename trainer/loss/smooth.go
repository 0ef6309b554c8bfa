package loss

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// smooth is softmax or sigmoid with class weights and smoothed labels.
type smooth struct {
	Loss
	share     float32
	weights   tensor.Tensor // 1×C
	weightSum float64       // of weights
}

// Smooth returns base with smoothed labels (Szegedy et al., arXiv:1512.00567, section 7) and
// weights of the classes, as PyTorch's CrossEntropyLoss has them: a target t counts as
// (1-share) t + share u with u the same for every class, 1/C under softmax and 1/2 under
// sigmoid, and what a class adds to the loss is multiplied by its weight. weights (1×C) belongs
// to the caller and holds values, one for each class. Only softmax and sigmoid can be base.
func Smooth(base Loss, share float64, values []float64, weights tensor.Tensor) (Loss, error) {
	switch base.(type) {
	case Softmax, Sigmoid:
	default:
		return nil, fmt.Errorf("loss %s: class weights and smoothed labels are for softmax and sigmoid", base.Name())
	}
	s := &smooth{Loss: base, share: float32(share), weights: weights}
	for _, w := range values {
		s.weightSum += w
	}
	return s, nil
}

// Eval implements Loss.
func (s *smooth) Eval(q tensor.Queue, logits, target, weight, out, dlogits tensor.Tensor) {
	if s.AcceptsMulti() {
		q.SmoothSigmoidXent(s.share, s.weights, logits, target, weight, out, dlogits)
		return
	}
	q.SmoothSoftmaxXent(s.share, s.weights, logits, target, weight, out, dlogits)
}

// Uninformed counts a node of softmax with the weight of its class, which weightSum has in it.
func (s *smooth) Uninformed(classes int, weightSum float64) float64 {
	if s.AcceptsMulti() {
		return weightSum * s.weightSum * math.Ln2
	}
	return s.Loss.Uninformed(classes, weightSum)
}
