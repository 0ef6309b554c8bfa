package samplers_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// frozenBits holds the first 16 hex digits of a hash of everything that estimating
// coefficients and drawing 40 subgraphs of a power law and of a directed grid gives.
var frozenBits = map[string][2]string{
	"edge":                {"9506dcec56c1716d", "c079cdcfa5827594"},
	"edge_bernoulli":      {"8fd0900001347a41", "c1e76de480354146"},
	"mrw":                 {"b5beed8ae8b134ea", "31bd7d135d7ebb8f"},
	"node":                {"3f0f34fe08824b68", "5ad4e0c33c24f574"},
	"rw":                  {"2f9b38b0ef0b19f6", "4a4e7bb8bc8f0080"},
	"test_halves":         {"b94387458d82f98f", "df5d326d4ef79efa"},
	"vanilla_node_python": {"1270d7b0ac8f9521", "4a695cb69cfa0a51"},
}

func TestFrozenBits(t *testing.T) {
	graphs := []samplers.Env{samplertest.Env(samplertest.PowerLaw(3000, 24000, 11)), grid(1009, true)}
	for name, p := range map[string]params{
		"node":                {"size_subgraph": 400},
		"edge":                {"size_subg_edge": 200},
		"edge_bernoulli":      {"size_subg_edge": 200},
		"rw":                  {"num_root": 150, "depth": 3},
		"mrw":                 {"size_subgraph": 500, "size_frontier": 130},
		"vanilla_node_python": {"size_subgraph": 300},
		"test_halves":         {},
	} {
		for i, env := range graphs {
			if got := bitsOf(t, name, p, env); got != frozenBits[name][i] {
				t.Errorf("%s, graph %d: hash %s, want %s", name, i, got, frozenBits[name][i])
			}
		}
	}
}

func bitsOf(t *testing.T, name string, p params, env samplers.Env) string {
	t.Helper()
	s, err := samplers.New(name, env, p)
	if err != nil {
		t.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 20, Seed: 3, Phase: 1})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	write(t, h, int64(norm.Subgraphs))
	write(t, h, norm.Loss)
	write(t, h, norm.Aggr)
	var sc samplers.Scratch
	var sub formats.Subgraph
	for i := range uint64(40) {
		if err := samplers.Draw(s, env, sc.Stream(3, 1, i), &sc, &sub); err != nil {
			t.Fatal(err)
		}
		norm.Apply(env.Graph, &sub)
		for _, column := range []any{sub.Nodes, sub.Indptr, sub.Indices, sub.EdgeIDs, sub.AdjNorm, sub.LossNorm} {
			write(t, h, column)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func write(t *testing.T, h hash.Hash, data any) {
	t.Helper()
	if err := binary.Write(h, binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
}
