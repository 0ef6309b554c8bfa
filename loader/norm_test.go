package loader_test

import (
	"errors"
	"io"
	"math"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// The batches that were counted for the normalisation are the first ones of the phase, so
// that over them every edge's weights add up to C_v/deg(v) and every node's loss weights
// to S/|V_train| (arXiv:1907.04931, section 3.2).
func TestNormalisationAddsUp(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(500, 3000, 3))
	s, err := samplers.New("node", env, samplertest.Params{"size_subgraph": 60})
	if err != nil {
		t.Fatal(err)
	}
	const seed, phase = 9, 4
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 20, Seed: seed, Phase: phase})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, loader.Config{
		Env: env, Sampler: s, Norm: norm, Symmetric: true, Workers: 3, Prefetch: 1, Seed: seed, Phase: phase, To: uint64(norm.Subgraphs),
	})
	g := env.Graph
	nodes, loss := make([]float64, g.NumNodes()), make([]float64, g.NumNodes())
	edges := make([]float64, g.NumEdges())
	if _, err := drain(t, p, func(b *loader.Batch) error {
		for i, v := range b.Nodes {
			nodes[v]++
			loss[v] += float64(b.LossNorm[i])
		}
		for k, e := range b.EdgeIDs {
			edges[e] += float64(b.AdjNorm[k])
		}
		return nil
	}); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	// Weights are rounded to float32, 6e-8 relative each.
	near := func(got, want float64) bool { return math.Abs(got-want) <= 1e-6*want }
	for v, count := range nodes {
		if want := float64(norm.Subgraphs) / float64(len(env.Train)); count > 0 && !near(loss[v], want) {
			t.Errorf("loss weights of node %d add up to %v, want %v", v, loss[v], want)
		}
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			if want := count / float64(g.Degree(int32(v))); edges[e] != 0 && !near(edges[e], want) {
				t.Errorf("weights of edge %d of row %d add up to %v, want %v", e, v, edges[e], want)
			}
		}
	}
}

// The whole training graph is in memory at most twice.
func TestFullBatchMemory(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(500, 3000, 3))
	s, err := samplers.New("full_batch", env, samplertest.Params{})
	if err != nil {
		t.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 1})
	if err != nil {
		t.Fatal(err)
	}
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	p, err := loader.Open(t.Context(), loader.Config{Env: env, Sampler: s, Norm: norm, Symmetric: true, Workers: 8, Prefetch: 8, To: 20, Alloc: mem})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	// indices, edge ids, weights, permutation and transposed weights, with head room.
	most := 2 * (4 + 8 + 4 + 4 + 4) * env.Graph.NumEdges() * 5 / 4
	n, err := drain(t, p, func(*loader.Batch) error {
		if got := p.Stats().Bytes; got > most {
			t.Errorf("%d bytes held, want at most %d", got, most)
		}
		return nil
	})
	if n != 20 || !errors.Is(err, io.EOF) {
		t.Errorf("%d batches, then %v; want 20 and io.EOF", n, err)
	}
}
