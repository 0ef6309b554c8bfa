package nn_test

import (
	"testing"

	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// A layer with dropout2 is one with dropout on 1-p times the input, in training, where what is kept
// then has the input's values, and in evaluation.
func TestDropout2(t *testing.T) {
	const p = 0.25 // of which nothing is rounded
	for _, layer := range []string{"high_order", "sage", "gat"} {
		m := nn.ModelSpec{Layer: layer, In: 5, Classes: 3, Orders: []int{1}, Aggr: "mean", Bias: "bias", Dropout: p, Head: "none", Dim: 3}
		plain := newJK(t, m)
		m.Dropout2 = true
		scaled := newJK(t, m)
		x := nntest.Download(plain.q, plain.x)
		for i := range x {
			x[i] *= 1 - p
		}
		nntest.Set(plain.q, plain.x, x)
		for _, train := range []bool{true, false} {
			var out, grad [2][]float32
			for i, r := range []*jkRig{plain, scaled} {
				c := &nn.Context{Q: r.q, A: r.step, Store: actmem.NewKeep(r.step), Train: train, Seed: 1, Step: 2}
				if !train {
					c.Store = nil
				}
				y := r.seq.Forward(c, r.graph, r.x)
				out[i] = nntest.Download(r.q, y)
				r.step.Release(y)
				if !train {
					continue
				}
				dx := r.seq.Backward(c, r.graph, nntest.Upload(r.q, r.params, tensor.F32, 30, m.Classes, r.dy), true)
				grad[i] = nntest.Download(r.q, dx)
				r.step.Release(dx)
			}
			for i, v := range out[0] {
				if out[1][i] != v {
					t.Fatalf("%s, training %t: output %d = %v, want %v", layer, train, i, out[1][i], v)
				}
			}
			for i, v := range grad[0] {
				if grad[1][i] != v*(1-p) {
					t.Fatalf("%s: gradient %d of the input = %v, want %v", layer, i, grad[1][i], v*(1-p))
				}
			}
			if n := scaled.step.Live(); n != 0 {
				t.Errorf("%s, training %t: %d tensors are live", layer, train, n)
			}
		}
	}
}
