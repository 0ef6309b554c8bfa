package nn_test

import (
	"fmt"
	"testing"

	_ "github.com/saint-gnn/saint/internal/cpu"
	_ "github.com/saint-gnn/saint/internal/cpu64"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func open(tb testing.TB, threads int) tensor.Backend {
	tb.Helper()
	b, err := tensor.Open("cpu", tensor.Options{Threads: threads})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

func TestHighOrder(t *testing.T) {
	one, four := open(t, 1), open(t, 4)
	var specs []nn.Spec
	for _, order := range []int{0, 1, 2} {
		for _, bias := range []string{"bias", "norm", "norm-nn"} {
			for _, aggr := range []string{"concat", "mean"} {
				// Width 3 aggregates first, width 9 projects first.
				for _, in := range []int{3, 9} {
					specs = append(specs, nn.Spec{In: in, Dim: 4, Order: order, Bias: bias, Aggr: aggr, Act: tensor.LeakyReLU})
				}
			}
		}
	}
	specs = append(
		specs,
		nn.Spec{In: 3, Dim: 4, Order: 3, Bias: "norm", Aggr: "mean", Act: tensor.Identity},
		nn.Spec{In: 40, Dim: 4, Order: 3, Bias: "norm", Aggr: "concat", Act: tensor.ReLU},
		nn.Spec{In: 9, Dim: 4, Order: 1, Bias: "norm", Aggr: "concat", Act: tensor.ReLU, Dropout: 0.3},
		nn.Spec{In: 3, Dim: 4, Order: 1, Bias: "norm-nn", Aggr: "mean", Act: tensor.ReLU, Dropout: 0.5},
		nn.Spec{In: 9, Dim: 4, Order: 0, Bias: "bias", Aggr: "concat", Act: tensor.Identity, Dropout: 0.1},
	)
	for _, s := range specs {
		t.Run(fmt.Sprintf("order %d %s %s in %d act %d dropout %v", s.Order, s.Aggr, s.Bias, s.In, s.Act, s.Dropout), func(t *testing.T) {
			t.Parallel()
			nntest.Check(t, "high_order", s, one, four)
		})
	}
}

func TestL2Norm(t *testing.T) {
	nntest.Check(t, "l2norm", nn.Spec{In: 5}, open(t, 1), open(t, 4))
}
