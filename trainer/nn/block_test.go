package nn_test

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func TestBlock(t *testing.T) {
	one, four := open(t, 1), open(t, 4)
	for _, options := range [][2]string{{"batch", ""}, {"batch", "identity"}, {"batch", "project"}, {"", "identity"}, {"", "project"}} {
		for _, kind := range []string{"high_order", "gat", "gat_tf", "gat_softmax", "gcn", "sage", "gin", "gcnii"} {
			name := fmt.Sprintf("block %s %q %q", kind, options[0], options[1])
			nn.RegisterBlock(name, kind, options[0], options[1])
			for k, in := range []int{4, 5, 4, 5} {
				if kind == "gcnii" && in != 4 {
					continue
				}
				s := nn.Spec{In: in, Dim: 4, Order: 1, Bias: "bias", Aggr: "mean", Act: tensor.LeakyReLU, Dropout: 0.3 * float32(k/2)}
				t.Run(fmt.Sprintf("%s in %d dropout %g", name, in, s.Dropout), func(t *testing.T) { nntest.Check(t, name, s, one, four) })
			}
		}
	}
}
