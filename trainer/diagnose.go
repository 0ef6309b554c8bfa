package trainer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// ErrNotFinite is wrapped by the error of a step whose loss or gradient is NaN or infinite.
var ErrNotFinite = errors.New("not finite")

// notFinite explains a value that is not finite, or what kept it from being computed.
func (s *Stepper) notFinite(what string, value float64, b *loader.Batch, index uint64, cause error, where func(*loader.Batch) string) error {
	if cause != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, cause)
	}
	return fmt.Errorf("step %d, batch %d (phase %d): the %s is %v, %w: %s; lower lr, or check the features and labels with small batches",
		index, b.Index, b.Phase, what, value, ErrNotFinite, where(b))
}

// whereGradient names the layer whose gradient was the first to go wrong: the last such
// layer of the model, since the backward pass begins there.
func (s *Stepper) whereGradient(b *loader.Batch) string {
	for k := s.model.Seq.Len() - 1; k >= 0; k-- {
		for _, p := range s.model.Seq.Layer(k).Params() {
			if !p.Trained() {
				continue
			}
			if i := s.firstBad(p.Grad); i >= 0 {
				return fmt.Sprintf("the gradient of %s in %s is the first to have such a value, at row %d, column %d",
					p.Name, layerName(s.model.Seq, k), i/p.Value.Cols, i%p.Value.Cols)
			}
		}
	}
	s.reset()
	if x, _ := s.inputs(b); s.allZero(x) {
		// Rows of length 0 have no direction: their gradients grow by the inverse of the
		// guards against dividing by 0.
		return "all features of its nodes are 0 after standardisation, as those that are the same for every training node become; " +
			"give the nodes features that differ, for example their degrees"
	}
	return "every gradient is finite, but the sum of their squares is too large"
}

func (s *Stepper) allZero(t tensor.Tensor) bool {
	host := Download(s.q, t, nil)
	return s.q.Sync() == nil && !slices.ContainsFunc(host, func(x float32) bool { return x != 0 })
}

// whereLoss names the first parameter, weight of the batch or, running the forward pass
// again, input or layer that has a value that is not finite.
func (s *Stepper) whereLoss(b *loader.Batch) string {
	for _, p := range s.model.Seq.Params() {
		if i := s.firstBad(p.Value); i >= 0 {
			return fmt.Sprintf("parameter %s has its first such value at row %d, column %d", p.Name, i/p.Value.Cols, i%p.Value.Cols)
		}
	}
	if i := firstNotFinite(b.LossNorm); i >= 0 {
		return fmt.Sprintf("the loss weight of node %d is %v", b.Nodes[i], b.LossNorm[i])
	}
	if i := firstNotFinite(b.AdjNorm); i >= 0 {
		return fmt.Sprintf("the weight of edge %d of the batch is %v", i, b.AdjNorm[i])
	}
	s.reset()
	store := s.ctx.Store
	s.ctx.Store = nil
	defer func() { s.ctx.Store = store }()
	h, graph := s.inputs(b)
	if i := s.firstBad(h); i >= 0 {
		return fmt.Sprintf("the features of node %d have one", b.Nodes[i/h.Cols])
	}
	dropped := s.ctx.Dropped
	defer func() { s.ctx.Dropped = dropped }()
	for k := range s.model.Seq.Len() {
		s.ctx.Layer, s.ctx.Dropped = k, dropped && k == 0
		y := s.model.Seq.Layer(k).Forward(&s.ctx, graph, h)
		s.ctx.EndLayer()
		if i := s.firstBad(y); i >= 0 {
			return fmt.Sprintf("the output of %s is the first to have one, at node %d", layerName(s.model.Seq, k), b.Nodes[i/y.Cols])
		}
		h = y
		if i, ok := s.model.Seq.Initial(); ok && i == k {
			s.ctx.Initial = y
			defer func() { s.ctx.Initial = tensor.Tensor{} }()
		}
	}
	return "all parameters and outputs are finite, so it began in the loss"
}

// firstBad returns the row-major position of the first NaN or infinity of t, or -1.
func (s *Stepper) firstBad(t tensor.Tensor) int {
	host, err := downloadExact(s.q, t)
	if err != nil {
		return -1
	}
	return firstNotFinite(host)
}

func firstNotFinite[T float32 | float64](s []T) int {
	return slices.IndexFunc(s, func(x T) bool { return !finite(float64(x)) })
}
