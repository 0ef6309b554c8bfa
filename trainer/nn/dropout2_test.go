package nn_test

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// run returns the output and, in training, the gradient of the input.
func (r *jkRig) run(t *testing.T, train bool, classes int) (out, grad []float32) {
	t.Helper()
	c := &nn.Context{Q: r.q, A: r.step, Train: train, Seed: 1, Step: 2}
	if train {
		c.Store = actmem.NewKeep(r.step)
	}
	y := r.seq.Forward(c, r.graph, r.x)
	out = nntest.Download(r.q, y)
	r.step.Release(y)
	if train {
		dx := r.seq.Backward(c, r.graph, nntest.Upload(r.q, r.params, tensor.F32, 30, classes, r.dy), true)
		grad = nntest.Download(r.q, dx)
		r.step.Release(dx)
	}
	if n := r.step.Live(); n != 0 {
		t.Errorf("training %t: %d tensors are live", train, n)
	}
	return out, grad
}

// A layer with dropout2 is one with dropout on 1-p times the input, in training, where what is kept
// then has the input's values, and in evaluation.
func TestDropout2(t *testing.T) {
	const p = 0.25 // of which nothing is rounded
	times := func(x []float32) []float32 {
		y := slices.Clone(x)
		for i := range y {
			y[i] *= 1 - p
		}
		return y
	}
	for _, layer := range []string{"high_order", "sage", "gat"} {
		m := nn.ModelSpec{Layer: layer, In: 5, Classes: 3, Orders: []int{1}, Aggr: "mean", Bias: "bias", Dropout: p, Head: "none", Dim: 3}
		plain := newJK(t, m)
		m.Dropout2 = true
		scaled := newJK(t, m)
		nntest.Set(plain.q, plain.x, times(nntest.Download(plain.q, plain.x)))
		for _, train := range []bool{true, false} {
			want, slope := plain.run(t, train, m.Classes)
			got, grad := scaled.run(t, train, m.Classes)
			if !slices.Equal(got, want) {
				t.Errorf("%s, training %t: output %v, want %v", layer, train, got, want)
			}
			if !slices.Equal(grad, times(slope)) {
				t.Errorf("%s: gradient of the input %v, want %v", layer, grad, times(slope))
			}
		}
	}
}
