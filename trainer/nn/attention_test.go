package nn_test

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func TestAttention(t *testing.T) {
	one, four := open(t, 1), open(t, 4)
	check := func(kind string, s nn.Spec) {
		name := fmt.Sprintf("%s order %d heads %d %s %s act %d dropout %g", kind, s.Order, s.Heads, s.Bias, s.Aggr, s.Act, s.Dropout)
		t.Run(name, func(t *testing.T) { nntest.Check(t, kind, s, one, four) })
	}
	for _, kind := range []string{"gat", "gaan", "gat_tf"} {
		for _, order := range []int{0, 1, 2} {
			if kind != "gat" && order == 2 {
				continue
			}
			for _, bias := range []string{"bias", "norm", "norm-nn"} {
				check(kind, nn.Spec{In: 4, Dim: 8, Order: order, Heads: 2, Bias: bias, Aggr: "concat", Act: tensor.LeakyReLU})
			}
			check(kind, nn.Spec{In: 5, Dim: 6, Order: order, Heads: 1, Bias: "norm", Aggr: "mean", Act: tensor.Identity})
			check(kind, nn.Spec{In: 5, Dim: 8, Order: order, Heads: 2, Bias: "norm", Aggr: "concat", Act: tensor.LeakyReLU, Dropout: 0.3})
			check(kind, nn.Spec{In: 5, Dim: 8, Order: order, Heads: 8, Bias: "bias", Aggr: "mean", Act: tensor.LeakyReLU})
		}
	}
}

// BenchmarkStepLayers is one update of the plain layer and of attention at the size of Flickr's
// random-walk subgraphs.
func BenchmarkStepLayers(b *testing.B) {
	for _, kind := range []string{"high_order", "gat", "gaan", "gat_tf"} {
		b.Run(kind, func(b *testing.B) {
			m := nn.ModelSpec{
				Layer: kind, In: 500, Dim: 256, Classes: 7, Orders: []int{1, 1, 0}, Act: tensor.ReLU,
				Aggr: "concat", Bias: "norm", Dropout: 0.2, Heads: 8,
			}
			r := benchTrainee(b, 0, 12000, 5, m)
			b.ReportAllocs()
			for b.Loop() {
				if err := r.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
