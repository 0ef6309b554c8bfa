package trainer

import (
	"errors"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// ErrNotFinite is wrapped by the error of a step whose loss or gradient is NaN or infinite.
var ErrNotFinite = errors.New("not finite")

// notFinite explains a value that is not finite: it names the first parameter or, running
// the forward pass again, the first layer whose output has such a value.
func (s *Stepper) notFinite(what string, value float64, b *loader.Batch, index uint64, cause error) error {
	if cause != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, cause)
	}
	where := s.whereNotFinite(b)
	return fmt.Errorf("step %d, batch %d (phase %d): the %s is %v, %w: %s; lower lr, or check the features and labels with small batches",
		index, b.Index, b.Phase, what, value, ErrNotFinite, where)
}

func (s *Stepper) whereNotFinite(b *loader.Batch) string {
	for _, p := range s.model.Seq.Params() {
		if i := s.firstBad(p.Value); i >= 0 {
			return fmt.Sprintf("parameter %s has its first such value at row %d, column %d", p.Name, i/p.Value.Cols, i%p.Value.Cols)
		}
	}
	s.reset()
	store := s.ctx.Store
	s.ctx.Store = nil
	defer func() { s.ctx.Store = store }()
	h, graph := s.inputs(b)
	if i := s.firstBad(h); i >= 0 {
		return fmt.Sprintf("the features of node %d have one", b.Nodes[i/h.Cols])
	}
	for k := range s.model.Seq.Len() {
		s.ctx.Layer = k
		y := s.model.Seq.Layer(k).Forward(&s.ctx, graph, h)
		s.ctx.EndLayer()
		if i := s.firstBad(y); i >= 0 {
			return fmt.Sprintf("the output of %s is the first to have one, at node %d", s.model.Seq.Name(k), b.Nodes[i/y.Cols])
		}
		h = y
	}
	return "all parameters and outputs are finite, so it began in the loss or the backward pass"
}

// firstBad returns the row-major position of the first NaN or infinity of t, or -1.
func (s *Stepper) firstBad(t tensor.Tensor) int {
	host := make([]float32, t.Rows*t.Cols)
	s.q.Download(t, bytesOf(host))
	if s.q.Sync() != nil {
		return -1
	}
	for i, x := range host {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return i
		}
	}
	return -1
}
