package samplers_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/rng"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// fixed is a sampler that returns the same ids every time.
type fixed []int32

func (f fixed) Budget() int { return len(f) }

func (f fixed) SampleNodes(_ *rand.Rand, _ *samplers.Scratch, dst []int32) []int32 {
	return append(dst, f...)
}

func TestDrawEqualsBruteForce(t *testing.T) {
	var sc samplers.Scratch
	var sub formats.Subgraph
	for seed := range uint64(60) {
		r := rng.New(seed, rng.Test, 1, 0)
		n := 1 + r.IntN(700)
		g := randomGraph(r, n, r.IntN(4*n))
		ids := make(fixed, r.IntN(2*n))
		for i := range ids {
			ids[i] = r.Int32N(int32(n))
		}
		// One Scratch for graphs that grow and shrink: nothing may be left over.
		if err := samplers.Draw(ids, samplertest.Env(g), r, &sc, &sub); err != nil {
			t.Fatal(err)
		}
		samplertest.CheckInduced(t, g, ids, &sub)
	}
}

func randomGraph(r *rand.Rand, n, m int) *formats.Graph {
	edges := make([][2]int32, m)
	for i := range edges {
		edges[i] = [2]int32{r.Int32N(int32(n)), r.Int32N(int32(n))}
	}
	return samplertest.Edges(n, edges...)
}

func TestDrawRefusesIdsOutsideTheGraph(t *testing.T) {
	g := samplertest.Undirected(3, [2]int32{0, 1})
	var sc samplers.Scratch
	var sub formats.Subgraph
	for _, ids := range []fixed{{0, 3}, {-1}, {1 << 30}} {
		if err := samplers.Draw(ids, samplertest.Env(g), nil, &sc, &sub); err == nil {
			t.Errorf("Draw of %v gives no error", ids)
		}
	}
	if err := samplers.Draw(fixed{2, 0}, samplertest.Env(g), nil, &sc, &sub); err != nil || !slices.Equal(sub.Nodes, []int32{0, 2}) {
		t.Errorf("after errors Draw gives %v, %v, want [0 2]", sub.Nodes, err)
	}
}

func TestGrowIsAskedForMemory(t *testing.T) {
	g := samplertest.PowerLaw(200, 1000, 1)
	var sub formats.Subgraph
	calls := 0
	sc := samplers.Scratch{Grow: func(dst *formats.Subgraph, n, m int) {
		calls++
		dst.Nodes, dst.LossNorm = make([]int32, 0, n), make([]float32, 0, n)
		dst.Indptr, dst.Indices = make([]int32, 0, n+1), make([]int32, 0, m)
		dst.EdgeIDs, dst.AdjNorm = make([]int64, 0, m), make([]float32, 0, m)
	}}
	all := samplertest.Env(g)
	for range 3 {
		if err := samplers.Draw(fixed(all.Train), all, nil, &sc, &sub); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 1 {
		t.Errorf("Grow was called %d times for three equal subgraphs, want 1", calls)
	}
	if cap(sub.Indices) != sub.NumEdges() || cap(sub.Indptr) != sub.NumNodes()+1 {
		t.Error("Draw replaced the memory that Grow gave")
	}
}

func TestSetSpansAllSummaryLevels(t *testing.T) {
	const n = 5_000_000
	var sc samplers.Scratch
	var sub formats.Subgraph
	g := &formats.Graph{Indptr: make([]int64, n+1)}
	ids := fixed{n - 1, 5, 5, 64, 1 << 22}
	if err := samplers.Draw(ids, samplers.Env{Graph: g}, nil, &sc, &sub); err != nil {
		t.Fatal(err)
	}
	if want := []int32{5, 64, 1 << 22, n - 1}; !slices.Equal(sub.Nodes, want) {
		t.Errorf("Nodes = %v, want %v", sub.Nodes, want)
	}
}
