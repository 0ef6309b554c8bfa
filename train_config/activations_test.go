package trainconfig

import (
	"strings"
	"testing"
)

// TestGroups: coarse codes share statistics among 64 values unless told otherwise, and the resolved
// configuration says so and reads the same.
func TestGroups(t *testing.T) {
	const base = "network:\n  - dim: 16\n    arch: '1-0'\n    loss: softmax\nparams:\n  - lr: 0.01\n%phase:\n  - end: 2\n    sampler: node\n    size_subgraph: 20\n"
	for _, tt := range []struct {
		keys, written string
		size          int
	}{
		{"", "", 0},
		{"n_bits: 8", "", 0},
		{"n_bits: 4; act_group: 100", "act_group: 100", 100},
		{"n_bits: 2", "act_group: 64", 64},
		{"n_bits: 1; kept_frac: 0.5", "act_group: 64", 64},
		{"n_bits: 2; act_group: row", "act_group: row", 0},
		{"n_bits: 2; act_group: 0", "act_group: row", 0},
		{"n_bits: 1; act_group: 256", "act_group: 256", 256},
	} {
		lines := ""
		for k := range strings.SplitSeq(tt.keys, "; ") {
			if k != "" {
				lines += "    " + k + "\n"
			}
		}
		c, err := Parse("c.yml", []byte(strings.Replace(base, "%", lines, 1)))
		if err != nil {
			t.Errorf("%q: %v", tt.keys, err)
			continue
		}
		text := string(c.Resolved())
		if n := c.Params.Activations.GroupSize(); n != tt.size {
			t.Errorf("%q: groups of %d, want %d", tt.keys, n, tt.size)
		}
		if has := strings.Contains(text, "act_group"); has != (tt.written != "") || !strings.Contains(text, tt.written) {
			t.Errorf("%q is written as\n%s\nwant %q in it", tt.keys, text, tt.written)
		}
		again, err := Parse("c.yml", []byte(text))
		if err != nil {
			t.Errorf("%q, read again: %v", tt.keys, err)
			continue
		}
		if n := again.Params.Activations.GroupSize(); n != tt.size {
			t.Errorf("%q, read again: groups of %d, want %d", tt.keys, n, tt.size)
		}
	}
}
