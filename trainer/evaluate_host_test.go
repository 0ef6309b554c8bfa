package trainer

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// hostedLogits are those of a pass whose matrices lie in the memory of the host.
func hostedLogits(t *testing.T, m *Model, g *formats.Graph, x formats.FeatureStore, bound int64, tile int) (out []float32, peak int64, err error) {
	t.Helper()
	a, err := m.Backend.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	e, err := NewEvaluator(g, x, m.Backend, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Bound(bound)
	e.fromHost, e.rowsAt = true, tile
	next := 0
	for range 2 { // a second pass reuses the memory of the first
		out, next = out[:0], 0
		err = e.Logits(context.Background(), m, 0, func(c *nn.Context, lo, hi int, y tensor.Tensor) error {
			if lo != next || y.Rows != hi-lo {
				t.Errorf("visit(%d, %d) with %s after row %d", lo, hi, y, next)
			}
			next = hi
			out = append(out, nntest.Download(c.Q, y)...)
			return nil
		})
		if a.Live() != 0 || a.Bytes() != 0 {
			t.Errorf("arena holds %d tensors, %d bytes afterwards, want none", a.Live(), a.Bytes())
		}
	}
	return out, a.Peak(), err
}

// hostedNetworks has every kind of layer.
var hostedNetworks = []string{
	"dim: 8; arch: '1-1-0'", "dim: 8; arch: '2-0-1'; aggr: mean; bias: norm-nn", "dim: 16; arch: '0-1'", "dim: 8; arch: '0-0'", "dim: 32; arch: '3-1'",
	"dim: 8; arch: '1-1-0'; attention: 2", "dim: 8; arch: '2-0'; attention: 2", "dim: 8; arch: '1-1'; attention: 2; gated_attention: true",
	"dim: 8; arch: '1-1'; attention: 2; attention_variant: tf", "dim: 8; arch: '1-1'; layer: gat_softmax; attention: 2; residual: identity",
	"dim: 8; arch: '1-0-1'; layer: gatv2; attention: 2", "dim: 8; arch: '1-1-0'; layer: gcn", "dim: 8; arch: '1-1'; layer: sage; normalize: true",
	"dim: 8; arch: '1-1'; layer: gin; mlp_norm: batch", "dim: 8; arch: '0-1-1-1'; layer: gcnii", "dim: 8; arch: '0-1-1'; layer: gcnii; shared_weights: false",
	"dim: 8; arch: '1-0-1'; jk: concat", "dim: 8; arch: '1-1'; jk: max_pool",
}

// asWhole reports whether logits are those of whole inputs. Products of GCNII that are added to what is
// there round as their number of rows decides.
func asWhole(network string, got, want []float32) bool {
	return sameBits(got, want) || strings.Contains(network, "gcnii") && apart(got, want) < 1e-6
}

// TestEvaluatorHosted: what is made tile by tile from the rows that a tile needs has the bits of what
// sees its whole input, for every kind of layer.
func TestEvaluatorHosted(t *testing.T) {
	b := backend(t, 2)
	for _, network := range hostedNetworks {
		conf := parse(t, yaml(network, "lr: 0.01", "end: 1; sampler: full_batch"))
		for what, on := range map[string]tensor.Backend{"shared": b, "apart": discrete{b}} {
			m := newModel(t, conf, 10, 4, on)
			for name, g := range map[string]*formats.Graph{
				"few": randomGraph(90, 3, true, true), "many": randomGraph(60, 20, false, false), "no edges": {Indptr: make([]int64, 21)}, "no nodes": {Indptr: []int64{0}},
			} {
				t.Run(network+"/"+what+"/"+name, func(t *testing.T) { checkHosted(t, m, g, network) })
			}
		}
	}
}

func checkHosted(t *testing.T, m *Model, g *formats.Graph, network string) {
	x := formats.NewMatrix(nil, 10)
	if g.NumNodes() > 0 {
		x = randomFeatures(g.NumNodes(), 10)
	}
	want, _, _, err := bounded(t, m, g, x, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, tile := range []int{0, 17, 1} {
		for _, feats := range []formats.FeatureStore{x, rows{FeatureStore: x}} {
			got, _, err := hostedLogits(t, m, g, feats, 0, tile)
			if err != nil || !asWhole(network, got, want) {
				t.Errorf("tiles of %d, %T: logits are %.2g from those of whole inputs, %v", tile, feats, apart(got, want), err)
			}
		}
	}
}

// TestEvaluatorHostedBound: memory stays within the bound.
func TestEvaluatorHostedBound(t *testing.T) {
	b := backend(t, 2)
	for _, degree := range []int{2, 12} {
		g := randomGraph(3000, degree, true, true)
		for _, network := range hostedNetworks {
			t.Run(fmt.Sprint(network, "/", degree), func(t *testing.T) {
				m := newModel(t, parse(t, yaml(network, "lr: 0.01", "end: 1; sampler: full_batch")), 40, 4, discrete{b})
				checkHostedBound(t, m, g, network, degree == 2)
			})
		}
	}
}

func checkHostedBound(t *testing.T, m *Model, g *formats.Graph, network string, fits bool) {
	x := randomFeatures(g.NumNodes(), 40)
	want, _, whole, err := bounded(t, m, g, x, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, share := range []int64{1, 2, 4} {
		got, peak, err := hostedLogits(t, m, g, x, whole/share, 0)
		if err != nil && share == 1 && fits {
			t.Errorf("logits in %d bytes = %v", whole, err)
		}
		if err == nil && (peak > whole/share || !asWhole(network, got, want)) {
			t.Errorf("%d bytes of %d, logits are %.2g from those of whole inputs", peak, whole/share, apart(got, want))
		}
	}
}

// TestEvaluatorHostedWhereShared: memory that is the device's and the host's is bounded in the same way
// for layers of several hops, whose temporaries are a tile's then.
func TestEvaluatorHostedWhereShared(t *testing.T) {
	b := backend(t, 2)
	g, x := randomGraph(20000, 2, true, true), randomFeatures(20000, 16)
	m := newModel(t, parse(t, yaml("dim: 16; arch: '2-0'; attention: 2", "lr: 0.01", "end: 1; sampler: full_batch")), 16, 4, b)
	want, _, whole, err := bounded(t, m, g, x, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, bound := range []int64{whole, whole * 3 / 4} {
		got, _, peak, err := bounded(t, m, g, x, bound, false)
		if err != nil || peak > bound || !sameBits(got, want) {
			t.Errorf("in %d bytes of %d: %d were held, logits are %.2g from those of whole inputs, %v", bound, whole, peak, apart(got, want), err)
		}
	}
}
