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

// scaled returns x times f.
func scaled(x []float32, f float32) []float32 {
	y := slices.Clone(x)
	for i := range y {
		y[i] *= f
	}
	return y
}

// A layer with dropout2 is one with dropout on 1-p times the input, in training, where what is kept
// then has the input's values, and in evaluation.
func TestDropout2(t *testing.T) {
	for _, layer := range []string{"high_order", "sage", "gat"} {
		t.Run(layer, func(t *testing.T) { testDropout2(t, layer) })
	}
}

func testDropout2(t *testing.T, layer string) {
	const p = 0.25 // of which nothing is rounded
	m := nn.ModelSpec{Layer: layer, In: 5, Classes: 3, Orders: []int{1}, Aggr: "mean", Bias: "bias", Dropout: p, Head: "none", Dim: 3}
	plain := newJK(t, m)
	m.Dropout2 = true
	second := newJK(t, m)
	nntest.Set(plain.q, plain.x, scaled(nntest.Download(plain.q, plain.x), 1-p))
	for _, train := range []bool{true, false} {
		want, slope := plain.run(t, train, m.Classes)
		got, grad := second.run(t, train, m.Classes)
		if !slices.Equal(got, want) {
			t.Errorf("training %t: output %v, want %v", train, got, want)
		}
		if !slices.Equal(grad, scaled(slope, 1-p)) {
			t.Errorf("gradient of the input %v, want %v", grad, scaled(slope, 1-p))
		}
	}
}
