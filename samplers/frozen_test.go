package samplers_test

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// frozen holds the first 16 ids that each sampler draws with seed 1, phase 0, index 0, 1, …
// on two fixed graphs. A change of any of them changes everybody's results and belongs in
// the changelog under [CHANGE].
var frozen = map[string][2][]int32{
	"edge": {
		{83, 82, 62, 63, 9, 81, 50, 51, 56, 55, 31, 32, 8, 7, 12, 13},
		{90, 20, 6, 39, 37, 38, 5, 6, 70, 71, 5, 45, 57, 17, 29, 30},
	},
	"edge_bernoulli": {
		{34, 35, 40, 41, 55, 54, 62, 63, 68, 69, 83, 84, 39, 6, 2, 3},
		{50, 51, 56, 57, 79, 80, 99, 100, 80, 81, 22, 23, 45, 5, 90, 20},
	},
	"full_batch": {
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	},
	"mrw": {
		{1, 13, 43, 75, 70, 2, 44, 45, 46, 3, 14, 45, 75, 5, 6, 13},
		{1, 13, 43, 75, 70, 66, 12, 43, 12, 2, 43, 71, 72, 12, 43, 67},
	},
	"node": {
		{1, 13, 42, 75, 83, 26, 14, 84, 49, 86, 63, 92, 72, 83, 9, 63},
		{1, 13, 41, 76, 83, 25, 14, 84, 48, 86, 63, 92, 72, 83, 9, 64},
	},
	"rw": {
		{1, 13, 43, 75, 2, 12, 12, 76, 3, 43, 13, 77, 9, 44, 12, 78},
		{1, 13, 43, 75, 2, 14, 44, 76, 3, 15, 45, 77, 9, 16, 5, 78},
	},
	"vanilla_node_python": {
		{1, 13, 43, 75, 83, 27, 14, 84, 50, 86, 62, 92, 71, 83, 9, 63},
		{1, 13, 43, 75, 83, 27, 14, 84, 50, 86, 62, 92, 71, 83, 9, 63},
	},
}

// grid is an undirected ring of n nodes with chords; every second chord is one-way if
// directed.
func grid(n int32, directed bool) samplers.Env {
	var edges [][2]int32
	for v := range n {
		edges = append(edges, [2]int32{v, (v + 1) % n})
		if !directed {
			edges = append(edges, [2]int32{(v + 1) % n, v})
		}
		if v%3 == 0 {
			edges = append(edges, [2]int32{v, v * v % n}, [2]int32{v * v % n, v})
		}
	}
	return samplertest.Env(samplertest.Edges(int(n), edges...))
}

func TestFrozenStreams(t *testing.T) {
	for name, p := range map[string]params{
		"node":                {"size_subgraph": 16},
		"edge":                {"size_subg_edge": 8},
		"edge_bernoulli":      {"size_subg_edge": 8},
		"rw":                  {"num_root": 4, "depth": 3},
		"mrw":                 {"size_subgraph": 16, "size_frontier": 4},
		"full_batch":          {},
		"vanilla_node_python": {"size_subgraph": 16},
	} {
		for i, directed := range []bool{false, true} {
			s, err := samplers.New(name, grid(101, directed), p)
			if err != nil {
				t.Fatal(err)
			}
			var sc samplers.Scratch
			var got []int32
			for index := uint64(0); len(got) < 16; index++ {
				got = s.SampleNodes(sc.Stream(1, 0, index), &sc, got)
			}
			if want := frozen[name][i]; !slices.Equal(got[:16], want) {
				t.Errorf("%s, directed %t: drew %#v, want %#v", name, directed, got[:16], want)
			}
		}
	}
}

func TestStreamsAgree(t *testing.T) {
	var sc samplers.Scratch
	a, b := sc.Stream(5, 2, 9), samplers.Stream(5, 2, 9)
	for i := range 8 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("value %d: Scratch.Stream gives %d, Stream gives %d", i, x, y)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(2000, 10000, 4))
	for name, p := range map[string]params{
		"node": {"size_subgraph": 300}, "edge": {"size_subg_edge": 200}, "edge_bernoulli": {"size_subg_edge": 200},
		"rw": {"num_root": 100, "depth": 3}, "mrw": {"size_subgraph": 300, "size_frontier": 100}, "full_batch": {}, "vanilla_node_python": {"size_subgraph": 300},
	} {
		s, err := samplers.New(name, env, p)
		if err != nil {
			t.Fatal(err)
		}
		norm := &samplers.Norm{Loss: make([]float32, 2000), Aggr: make([]float32, env.Graph.NumEdges())}
		var sc samplers.Scratch
		var sub formats.Subgraph
		draw := func(index uint64) {
			if err := samplers.Draw(s, env, sc.Stream(1, 0, index), &sc, &sub); err != nil {
				t.Fatal(err)
			}
			norm.Apply(env.Graph, &sub)
		}
		for i := range uint64(200) {
			draw(i)
		}
		next := uint64(0)
		if n := testing.AllocsPerRun(100, func() { draw(next); next++ }); n != 0 {
			t.Errorf("%s: %v allocations a subgraph, want 0", name, n)
		}
	}
}
