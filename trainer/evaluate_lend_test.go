package trainer

import (
	"context"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// TestEvaluatorLend: features that are lent are not copied, not changed, and give the same bits.
func TestEvaluatorLend(t *testing.T) {
	const n, in = 300, 40
	b := doubleBackend(t, 2)
	g, x := randomGraph(n, 5, false, false), randomFeatures(n, in)
	for _, network := range []string{"dim: 8; arch: '1-1-0'", "dim: 64; arch: '1-0-1-0'", "dim: 8; arch: '1-1'; layer: gatv2", "dim: 8; arch: '0-1'; layer: gcnii"} {
		m := newModel(t, parse(t, yaml(network, "lr: 0.01; dtype: d", "end: 1; sampler: full_batch")), in, 4, b)
		logits := func(lend bool) (out []float64, peak int64) {
			a, q := newArena(t, b), newQueue(t, b)
			e, err := NewEvaluator(g, x, b, a)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			var lent tensor.Tensor
			if lend {
				lent = nntest.Upload(q, newArena(t, b), tensor.F32, n, in, x.Matrix())
				e.Lend(lent)
			}
			for range 2 {
				out = out[:0]
				if err := e.Logits(context.Background(), m, 0, func(_ *nn.Context, _, _ int, y tensor.Tensor) error {
					out = append(out, nntest.Values(q, y)...)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if lend && !slices.Equal(nntest.Download(q, lent), x.Matrix()) {
				t.Errorf("%s: evaluation changed features that were lent", network)
			}
			return out, a.Peak()
		}
		want, most := logits(false)
		got, peak := logits(true)
		if !slices.Equal(got, want) {
			t.Errorf("%s: features that are lent give other logits", network)
		}
		if peak >= most {
			t.Errorf("%s: peak of %d bytes with features that are lent, %d without", network, peak, most)
		}
	}
}
