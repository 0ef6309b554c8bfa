package trainer

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// bounded returns the logits in memory below a bound, 0 being none, with the rows of each visit
// and the most memory that the arena has held.
func bounded(t *testing.T, m *Model, g *formats.Graph, x formats.FeatureStore, bound int64, whole bool) (out []float32, visits []int, peak int64, err error) {
	t.Helper()
	a := newArena(t, m.Backend)
	e, err := NewEvaluator(g, x, m.Backend, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Bound(bound)
	e.wholeInputs = whole
	err = e.Logits(context.Background(), m, 0, func(c *nn.Context, lo, hi int, y tensor.Tensor) error {
		visits = append(visits, lo, hi)
		out = append(out, nntest.Download(c.Q, y)...)
		return nil
	})
	if a.Live() != 0 || a.Bytes() != 0 {
		t.Errorf("arena holds %d tensors, %d bytes afterwards, want none", a.Live(), a.Bytes())
	}
	return out, visits, a.Peak(), err
}

// TestEvaluatorBound: whatever the memory, the logits are the same bits and handed out in the
// same pieces; the bound is kept; one byte too few is an error that says how many it takes.
func TestEvaluatorBound(t *testing.T) {
	b := backend(t, 2)
	for _, c := range []struct {
		arch, rest string
		in, n      int
	}{
		{"1-1-0", "aggr: concat; bias: norm; act: relu", 40, 900},
		{"1-0-1-0", "aggr: mean; bias: norm-nn; act: leaky_relu", 20, 900},
		{"3-0-2-1", "aggr: concat; bias: bias", 70, 900},
		{"2-1-0", "aggr: mean; bias: norm", 10, 900},
		{"0-1", "aggr: concat; bias: norm", 40, 900},
		{"0-0", "aggr: concat; bias: norm", 40, 900},
		{"1-1-0", "aggr: concat; bias: norm", 4200, 3000}, // long rows
	} {
		if c.in > 1000 && (testing.Short() || invariants.Enabled) {
			continue
		}
		few, many := randomGraph(c.n, 9, true, true), randomGraph(c.n, 70, true, false)
		conf := parse(t, yaml("dim: 32; arch: '"+c.arch+"'; "+c.rest, "lr: 0.01", "end: 1; sampler: full_batch"))
		for what, m := range map[string]*Model{"shared": newModel(t, conf, c.in, 4, b), "apart": newModel(t, conf, c.in, 4, discrete{b})} {
			x := randomFeatures(c.n, c.in)
			for _, feats := range []formats.FeatureStore{x, rows{FeatureStore: x}} {
				for _, g := range []*formats.Graph{few, many} {
					if c.in > 1000 && (g == many || what == "apart" || feats != formats.FeatureStore(x)) {
						continue // once is enough
					}
					t.Run(fmt.Sprintf("%s/%d/%s/%T/%d", c.arch, c.in, what, feats, g.NumEdges()/int64(c.n)), func(t *testing.T) { checkBounds(t, m, g, feats) })
				}
			}
		}
	}
}

func checkBounds(t *testing.T, m *Model, g *formats.Graph, x formats.FeatureStore) {
	want, visits, free, err := bounded(t, m, g, x, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	whole, _, _, err := bounded(t, m, g, x, 0, true)
	if err != nil || apart(want, whole) > 2e-5 {
		t.Errorf("logits are %.2g from those of layers that see their whole input, %v", apart(want, whole), err)
	}
	_, _, _, err = bounded(t, m, g, x, 1, false)
	var few *MemoryError
	if !errors.As(err, &few) || few.Bound != 1 || few.Nodes != g.NumNodes() {
		t.Fatalf("Logits in 1 byte = %v, want a MemoryError", err)
	}
	least := few.Least
	if _, _, _, err = bounded(t, m, g, x, least-1, false); !errors.As(err, &few) || few.Least != least {
		t.Errorf("Logits in %d bytes = %v, want a MemoryError that wants %d", least-1, err, least)
	}
	for _, bound := range []int64{least, least + least/8, (least + 2*free) / 2, 4 * free} {
		got, v, peak, err := bounded(t, m, g, x, max(bound, least), false)
		if err != nil {
			t.Errorf("Logits in %d bytes = %v, want none: %d are the least", bound, err, least)
			continue
		}
		if peak > max(bound, least) {
			t.Errorf("bound of %d bytes: the arena held %d", bound, peak)
		}
		if !sameBits(got, want) || fmt.Sprint(v) != fmt.Sprint(visits) {
			t.Errorf("bound of %d bytes gives other bits or other visits: %v, want %v", bound, v, visits)
		}
	}
}

// TestEvaluatorBoundOfOthers: what layers that are not separable take cannot be less, which is
// said before any work.
func TestEvaluatorBoundOfOthers(t *testing.T) {
	b := backend(t, 2)
	g := randomGraph(3000, 9, true, true)
	for _, key := range []string{"attention: 4", "layer: gcn", "jk: concat"} {
		m := newModel(t, parse(t, yaml("dim: 32; arch: '1-1-0'; "+key, "lr: 0.01", "end: 1; sampler: full_batch")), 40, 4, b)
		x := randomFeatures(3000, 40)
		want, _, peak, err := bounded(t, m, g, x, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _, err := bounded(t, m, g, x, 2*peak, false); err != nil || !sameBits(got, want) {
			t.Errorf("%s: logits in %d bytes are other bits, or %v", key, 2*peak, err)
		}
		var few *MemoryError
		if _, visits, _, err := bounded(t, m, g, x, peak/4, false); !errors.As(err, &few) || few.Least > 2*peak || visits != nil {
			t.Errorf("%s: Logits in %d bytes = %v, want a MemoryError that wants at most %d", key, peak/4, err, 2*peak)
		}
	}
}
