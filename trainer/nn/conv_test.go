package nn_test

import (
	"fmt"
	"testing"

	"go.yaml.in/yaml/v3"

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
			t.Parallel()
			nntest.Check(t, kind, s, one, four)
		})
	}
}

// yamlKeys are further keys of a layer as a configuration has them, for example "eps: 0.1".
type yamlKeys string

func (k yamlKeys) Decode(into any) error { return yaml.Unmarshal([]byte("{"+string(k)+"}"), into) }

func TestSAGE(t *testing.T) {
	checkConv(t, "sage", convSpecs(), nil)
	t.Run("normalize", func(t *testing.T) { checkConv(t, "sage", convSpecs(), yamlKeys("normalize: true")) })
}

func TestGIN(t *testing.T) {
	checkConv(t, "gin", convSpecs(), nil)
	for _, keys := range []yamlKeys{"eps: 0.3", "train_eps: true, eps: -0.2", "mlp_norm: batch", "mlp_norm: batch, train_eps: true"} {
		t.Run(string(keys), func(t *testing.T) { checkConv(t, "gin", convSpecs()[4:8], keys) })
	}
}

func TestGCNII(t *testing.T) {
	specs := convSpecs()
	for i := range specs {
		specs[i].In, specs[i].Depth = specs[i].Dim, i
	}
	checkConv(t, "gcnii", specs, nil)
	for _, keys := range []yamlKeys{"shared_weights: false", "alpha: 0.5, theta: 1.5", "beta: 1, shared_weights: false", "alpha: 0", "alpha: 1, beta: 0"} {
		t.Run(string(keys), func(t *testing.T) { checkConv(t, "gcnii", specs[5:8], keys) })
	}
}

func TestGATv2(t *testing.T) {
	for _, heads := range []int{0, 2, 4} {
		specs := convSpecs()
		for i := range specs {
			if specs[i].Dim == 4 {
				specs[i].Heads = heads
			}
		}
		t.Run(fmt.Sprintf("%d heads", heads), func(t *testing.T) { checkConv(t, "gatv2", specs, nil) })
	}
	specs := convSpecs()
	for i := range specs {
		specs[i].Heads, specs[i].AttDropout = 3, 0.4*float32(i%2)
	}
	t.Run("mean", func(t *testing.T) { checkConv(t, "gatv2", specs, yamlKeys("heads: mean")) })
	t.Run("shared", func(t *testing.T) { checkConv(t, "gatv2", specs[4:8], yamlKeys("heads: mean, share_weights: true")) })
}

func TestAttentionDropout(t *testing.T) {
	checkConv(t, "gat_softmax", []nn.Spec{
		{In: 5, Dim: 4, Order: 1, Heads: 2, Bias: "bias", Aggr: "concat", Act: tensor.LeakyReLU, AttDropout: 0.5},
		{In: 5, Dim: 8, Order: 1, Heads: 8, Bias: "norm", Aggr: "concat", Act: tensor.Identity, Dropout: 0.2, AttDropout: 0.3},
	}, nil)
}

func TestGCN(t *testing.T) { checkConv(t, "gcn", convSpecs(), nil) }
