package nn_test

import (
	"fmt"
	"slices"
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
			for k, in := range []int{4, 5} { // residuals of the same width and of another
				if kind == "gcnii" && in != 4 {
					continue
				}
				s := nn.Spec{In: in, Dim: 4, Order: 1, Bias: "bias", Aggr: "mean", Act: tensor.LeakyReLU, Dropout: 0.3 * float32(1-k)}
				t.Run(fmt.Sprintf("%s in %d dropout %g", name, in, s.Dropout), func(t *testing.T) {
					t.Parallel()
					nntest.Check(t, name, s, one, four)
				})
			}
		}
	}
}

// blockModels are models of every new kind of layer, with norm, residual and heads.
func blockModels() map[string]nn.ModelSpec {
	of := func(layer, norm, residual, head string, orders ...int) nn.ModelSpec {
		m := sage()
		m.Layer, m.Norm, m.Residual, m.Head, m.Orders, m.Bias, m.Aggr = layer, norm, residual, head, orders, "bias", "mean"
		return m
	}
	att := of("gatv2", "batch", "identity", "none", 1, 1, 1)
	att.Heads, att.AttDropout = 2, 0.2
	softmax := of("gat_softmax", "", "project", "l2norm", 1, 1)
	softmax.Heads, softmax.AttDropout = 2, 0.2
	own := of("gcnii", "batch", "identity", "linear", 0, 1, 0, 1)
	own.Extra = yamlKeys("shared_weights: false")
	gin := of("gin", "batch", "", "l2norm", 1, 1)
	gin.Extra = yamlKeys("train_eps: true, mlp_norm: batch")
	plain := of("gcn", "", "", "l2norm", 1, 1)
	plain.Bias = "norm"
	return map[string]nn.ModelSpec{
		"gcn": of("gcn", "batch", "project", "none", 1, 1), "gcn plain": plain, "sage": of("sage", "batch", "identity", "linear", 1, 1),
		"gin": gin, "gcnii": own, "gcnii shared": of("gcnii", "", "", "linear", 0, 1, 1),
		"gatv2": att, "gat_softmax": softmax, "high_order": of("", "batch", "identity", "l2norm", 1, 0, 1),
	}
}

func TestBlockStepAllocatesNothing(t *testing.T) {
	for name, m := range blockModels() {
		r := benchTrainee(t, 2, 300, 5, m)
		step := func() {
			if err := r.run(); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(20, step); n > 0.5 {
			t.Errorf("%s: a step allocates %v times, want 0", name, n)
		}
		if r.step.Live() != 0 || r.store.Bytes() != 0 {
			t.Errorf("%s: %d tensors live, %d bytes stored after steps, want none", name, r.step.Live(), r.store.Bytes())
		}
	}
}

// TestBlockFusedDropout: dropping out on the way gives the bits of dropping out on arrival.
func TestBlockFusedDropout(t *testing.T) {
	for name, m := range blockModels() {
		if m.Layer == "gcnii" {
			continue // the container must see which layers read the initial representation
		}
		want := trainDropped(t, m, true, false)
		for _, dropped := range []bool{false, true} {
			got := trainDropped(t, m, false, dropped)
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("%s, input dropped %t: parameter %d differs from that of dropout on arrival", name, dropped, i)
				}
			}
		}
	}
}

func TestBlockErrors(t *testing.T) {
	of := func(change func(*nn.ModelSpec)) nn.ModelSpec {
		m := sage()
		m.Bias = "bias"
		change(&m)
		return m
	}
	for _, c := range []struct {
		name string
		m    nn.ModelSpec
		want string
	}{
		{"norm", of(func(m *nn.ModelSpec) { m.Norm = "layer" }), `norm "layer": unknown, there is batch`},
		{"residual", of(func(m *nn.ModelSpec) { m.Residual = "yes" }), `residual "yes": unknown, there is identity, project`},
		{"bias", of(func(m *nn.ModelSpec) { m.Norm, m.Bias = "batch", "norm" }), `bias "norm": with norm or residual it must be bias`},
		{"head", of(func(m *nn.ModelSpec) { m.Head = "mlp" }), `head "mlp": unknown, there is l2norm, linear, none`},
		{"wide", of(func(m *nn.ModelSpec) { m.Head, m.Orders = "none", []int{0, 1} }), "head none: the last layer gives 8 columns for 4 classes; use aggr: mean"},
		{"jk none", of(func(m *nn.ModelSpec) { m.Head, m.JK, m.Orders = "none", "concat", []int{1, 0, 1, 0} }), `head none: jk "concat" needs a classifier`},
		{"no initial", of(func(m *nn.ModelSpec) { m.Layer, m.Orders, m.In = "gcnii", []int{1}, 6 }), "layer layers.0 (gcnii): arch must begin with 0, the layer reads what that gives"},
		{"widths", of(func(m *nn.ModelSpec) { m.Layer, m.Orders = "gcnii", []int{1} }), "layer layers.0 (gcnii): input width 10: must be the width, 6; let arch begin with 0"},
		{"jk initial", of(func(m *nn.ModelSpec) { m.Layer, m.Orders, m.JK = "gcnii", []int{0, 1, 1}, "concat" }), `jk "concat": layers that read an initial representation have none`},
		{"alpha", of(func(m *nn.ModelSpec) { m.Layer, m.Orders, m.Extra = "gcnii", []int{0, 1}, yamlKeys("alpha: 2") }), "layer layers.1 (gcnii): alpha 2: must be 0 to 1"},
		{"mlp_norm", of(func(m *nn.ModelSpec) { m.Layer, m.Orders, m.Extra = "gin", []int{1}, yamlKeys("mlp_norm: x") }), `layer layers.0 (gin): mlp_norm "x": unknown, there is batch, none`},
		{"heads", of(func(m *nn.ModelSpec) { m.Layer, m.Heads, m.Orders = "gcn", 2, []int{1} }), "layer layers.0 (gcn): 2 heads: the layer has no attention"},
		{"order", of(func(m *nn.ModelSpec) { m.Layer, m.Orders = "sage", []int{2} }), "layer layers.0 (sage): order 2: must be 0 or 1"},
		{"join", of(func(m *nn.ModelSpec) { m.Layer, m.Orders, m.Extra = "gatv2", []int{1}, yamlKeys("heads: sum") }), `layer layers.0 (gatv2): heads "sum": unknown, there is concat, mean`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := nn.Build(c.m, &nn.ShapeBuilder{}); err == nil || err.Error() != c.want {
				t.Errorf("Build = %v, want %s", err, c.want)
			}
		})
	}
}
