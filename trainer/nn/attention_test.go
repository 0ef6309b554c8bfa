package nn_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func TestAttention(t *testing.T) {
	one, four := open(t, 1), open(t, 4)
	check := func(kind string, s nn.Spec) {
		name := fmt.Sprintf("%s order %d heads %d %s %s act %d dropout %g", kind, s.Order, s.Heads, s.Bias, s.Aggr, s.Act, s.Dropout)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nntest.Check(t, kind, s, one, four)
		})
	}
	for _, kind := range []string{"gat", "gaan", "gat_tf", "gat_softmax"} {
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

func TestAttentionStepAllocatesNothing(t *testing.T) {
	for _, kind := range []string{"gat", "gaan", "gat_tf", "gat_softmax"} {
		m := sage()
		m.Layer, m.Dim, m.Heads, m.JK = kind, 8, 4, "concat"
		m.Orders = []int{1, 0, 1, 0}
		if kind == "gat" {
			m.Orders = []int{2, 1, 0}
			m.JK = ""
		}
		r := benchTrainee(t, 2, 300, 5, m)
		step := func() {
			if err := r.run(); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(20, step); n > 0.5 {
			t.Errorf("%s: a step allocates %v times, want 0", kind, n)
		}
		if r.step.Live() != 0 || r.store.Bytes() != 0 {
			t.Errorf("%s: %d tensors live, %d bytes stored after steps, want none", kind, r.step.Live(), r.store.Bytes())
		}
	}
}

// BenchmarkStepLayers is one update of the plain layer and of attention at the size of Flickr's
// random-walk subgraphs.
func BenchmarkStepLayers(b *testing.B) {
	for _, kind := range []string{"high_order", "gat", "gaan", "gat_tf", "gat_softmax", "gatv2", "gcn", "sage", "gin", "gcnii"} {
		b.Run(kind, func(b *testing.B) {
			m := nn.ModelSpec{
				Layer: kind, In: 500, Dim: 256, Classes: 7, Orders: []int{1, 1, 0}, Act: tensor.ReLU,
				Aggr: "concat", Bias: "norm", Dropout: 0.2,
			}
			switch {
			case strings.HasPrefix(kind, "ga"):
				m.Heads = 8
			case kind == "gcnii":
				m.Orders = []int{0, 1, 1}
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
