package trainer

import (
	"strings"
	"testing"
)

// TestCheckModel: what a layer does not like is said once, at the key's place if it has one.
func TestCheckModel(t *testing.T) {
	for _, c := range []struct{ network, want string }{
		{"layer: nope", `test.yml:2:12: unknown layer "nope"; known are gaan, gat, `},
		{"layer: l2norm", `unknown layer "l2norm"`},
		{"layer: gin; eps: abc", `test.yml:3:10: eps: want a finite number, got "abc"`},
		{"layer: gin; mlp_norm: group", `layer layers.0 (gin): mlp_norm "group": unknown, there is batch, none`},
		{"layer: gcnii", "let arch begin with 0"},
		{"layer: gcn; attention: 4", "the layer has no attention"},
		{"layer: gatv2; attention: 3", "attention is 3 heads, want a divisor of dim (8)"},
		{"layer: gatv2; attention: 4; gated_attention: true", "remove it or gated_attention"},
		{"head: none; aggr: concat", "the last layer gives 8 columns for 4 classes; use aggr: mean"},
	} {
		t.Run(c.network, func(t *testing.T) {
			err := CheckModel(parse(t, yaml(c.network+"; dim: 8; arch: '1-1'", "lr: 0.01", "end: 1; sampler: full_batch")), 16, 4)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "test.yml") != 1 {
				t.Errorf("CheckModel = %v, want %q", err, c.want)
			}
		})
	}
}
