package nn_test

import (
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// TestGATShared: one vector of attention gets the gradient of both of its uses.
func TestGATShared(t *testing.T) {
	checkConv(t, "gat_softmax", []nn.Spec{
		{In: 5, Dim: 4, Order: 1, Heads: 2, Bias: "bias", Aggr: "mean", Act: tensor.ReLU},
		{In: 5, Dim: 4, Order: 0, Bias: "bias", Aggr: "mean", Act: tensor.ReLU},
	}, yamlKeys("share_attention: true"))
}
