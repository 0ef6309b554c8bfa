package trainer

import (
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/invariants"
)

// Steps with codes allocate nothing in the steady state, however forms alternate from layer to layer.
func TestCompressedStepAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("invariants keep books")
	}
	d := generate(t, small)
	for _, network := range []string{
		"dim: 16; arch: '1-1-0'; act: relu",
		"dim: 17; arch: '2-1-0'; aggr: mean; bias: norm-nn; loss: sigmoid",
		"dim: 16; arch: '1-1'; act: relu; attention: 2",
		"dim: 16; arch: '1-1'; act: relu; bias: bias; norm: batch; residual: project; head: linear; layer: sage",
	} {
		for _, setting := range []string{"n_bits: 2", "n_bits: 8; act_stats: fp32", "n_bits: 1; kept_frac: 0.5", "amp: true"} {
			c := parse(t, yaml(network, "lr: 0.01; dropout: 0.1; "+setting, stepPhase))
			batches := draw(t, c, d, nil, 4)
			s := newBench(t, c, d, backend(t, 2), d.Features.(formats.Resident))
			i := uint64(0)
			step := func() {
				if _, err := s.Step(batches[i%4], i, nil); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for range 12 {
				step()
			}
			if n := testing.AllocsPerRun(20, step); n != 0 {
				t.Errorf("%s; %s: a step allocates %v times, want 0", network, setting, n)
			}
		}
	}
}
