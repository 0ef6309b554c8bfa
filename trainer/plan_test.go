package trainer

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	_ "github.com/saint-gnn/saint/internal/meta"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// settings are ways of keeping activations, as keys of params.
var settings = []string{
	"", "n_bits: 8", "n_bits: 4", "n_bits: 2", "n_bits: 1", "n_bits: 2; kept_frac: 0.5", "n_bits: 8; kept_frac: 0.125",
	"n_bits: 2; act_group: 48", "n_bits: 4; act_stats: fp32", "n_bits: 2; simulate: true", "act_fp: true; kept_frac: 0.25",
	"n_bits: 1; act_group: 1000; act_stats: fp32; kept_frac: 0.7", "amp: true", "amp: true; kept_frac: 0.5; dropout2: true",
}

// networks has every registered layer that a configuration can name, and more.
func networks() []string {
	list := []string{
		"dim: 16; arch: '1-1-0'; act: relu",
		"dim: 16; arch: '1-0-1-0'; aggr: mean; bias: norm-nn; act: leaky_relu",
		"dim: 32; arch: '2-1'; bias: bias; loss: sigmoid; act: relu",
		"dim: 24; arch: '0-0'; bias: bias",
		"dim: 16; arch: '1-0-1-0'; jk: concat; act: relu",
		"dim: 16; arch: '1-0-1-0'; jk: max_pool; act: relu",
		"dim: 16; arch: '1-1'; attention: 2; act: relu",
		"dim: 16; arch: '1-1'; attention: 2; gated_attention: true; act: relu",
		"dim: 16; arch: '1-1'; attention: 4; attention_variant: tf; act: leaky_relu",
	}
	for _, layer := range []string{"gcn", "sage", "gin", "high_order"} {
		list = append(list, "dim: 16; arch: '1-1-1'; act: relu; bias: bias; norm: batch; residual: project; head: linear; layer: "+layer)
	}
	list = append(list, "dim: 16; arch: '0-1-1'; act: relu; bias: bias; norm: batch; residual: identity; layer: gcnii")
	for _, name := range nn.Names() {
		if !slices.Contains([]string{"high_order", "l2norm", "jk_max_pool", "gcnii"}, name) {
			list = append(list, "dim: 16; arch: '1-1'; act: relu; layer: "+name)
		}
	}
	return list
}

// Every layer trains under every way of keeping activations, and takes the memory that the plan
// says, to the byte: at the turn, at the peak, and for every tensor.
func TestPlan(t *testing.T) {
	d := generate(t, small)
	cpu := backend(t, 2)
	meta, err := tensor.Open("meta", tensor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range networks() {
		for _, setting := range settings {
			params := "lr: 0.01; dropout: 0.2"
			if setting != "" {
				params += "; " + setting
			}
			c := parse(t, yaml(network, params, stepPhase))
			if _, err := NewModel(c, d.Features.Dim(), d.Labels.NumClasses, meta, 1); err != nil {
				t.Errorf("%s: %v", network, err)
				break
			}
			for _, resident := range []bool{true, false} {
				if testing.Short() && !resident && setting != "" {
					continue // the rows of a batch are kept in each way as resident ones are
				}
				t.Run("", func(t *testing.T) { testPlan(t, network+", "+setting, d, cpu, meta, params, network, resident) })
			}
		}
	}
}

// TestPlanDouble: the plan of a step in double precision holds too.
func TestPlanDouble(t *testing.T) {
	d := generate(t, small)
	cpu := doubleBackend(t, 2)
	meta, err := tensor.Open("meta64", tensor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range networks() {
		for _, resident := range []bool{true, false} {
			testPlan(t, network, d, cpu, meta, "lr: 0.01; dropout: 0.2; dtype: d", network, resident)
		}
	}
}

func testPlan(t *testing.T, name string, d *formats.Dataset, cpu, meta tensor.Backend, params, network string, resident bool) {
	t.Helper()
	c := parse(t, yaml(network, params, stepPhase))
	var feats formats.Resident
	var store formats.FeatureStore = rows{FeatureStore: d.Features}
	if resident {
		feats, store = d.Features.(formats.Resident), nil
	}
	s := newBench(t, c, d, cpu, feats)
	for i, b := range draw(t, c, d, store, 2) {
		got, err := s.Measure(b, uint64(i))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.empty(name)
		want, err := Plan(c, got.Size, meta)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Activations != want.Activations || got.Peak != want.Peak || got.Parameters != want.Parameters ||
			got.Gradients != want.Gradients || got.Optimizer != want.Optimizer || !slices.Equal(got.Held, want.Held) {
			t.Errorf("%s: a step took %+v, the plan was %+v", name, got, want)
		}
		sum := int64(0)
		for _, h := range got.Held {
			sum += h.Bytes
		}
		if sum != got.Activations {
			t.Errorf("%s: the tensors held have %d bytes, all together %d", name, sum, got.Activations)
		}
	}
}
