package nn_test

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// convSpecs are what the layers of one hop are checked with.
func convSpecs() []nn.Spec {
	var specs []nn.Spec
	for _, bias := range []string{"bias", "norm", "norm-nn"} {
		for _, act := range []tensor.Act{tensor.Identity, tensor.LeakyReLU} {
			specs = append(specs, nn.Spec{In: 5, Dim: 4, Order: 1, Bias: bias, Aggr: "concat", Act: act})
		}
	}
	return append(specs,
		nn.Spec{In: 3, Dim: 6, Order: 1, Bias: "bias", Aggr: "concat", Act: tensor.ReLU, Dropout: 0.3},
		nn.Spec{In: 5, Dim: 4, Order: 1, Bias: "bias", Aggr: "concat", Act: tensor.Identity, Dropout: 0.3},
		nn.Spec{In: 5, Dim: 4, Order: 0, Bias: "norm", Aggr: "concat", Act: tensor.LeakyReLU})
}

func checkConv(t *testing.T, kind string, specs []nn.Spec, extra nn.Decoder) {
	t.Helper()
	one, four := open(t, 1), open(t, 4)
	for _, s := range specs {
		if s.Order > 0 {
			s.Extra = extra
		}
		t.Run(fmt.Sprintf("in %d order %d %s act %d dropout %g", s.In, s.Order, s.Bias, s.Act, s.Dropout), func(t *testing.T) {
			nntest.Check(t, kind, s, one, four)
		})
	}
}

func TestGCN(t *testing.T) { checkConv(t, "gcn", convSpecs(), nil) }
