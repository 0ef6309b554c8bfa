package samplertest

import (
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/rng"
	"github.com/saint-gnn/saint/samplers"
)

// Edges builds a graph of n nodes from directed edges (row, column); duplicates count once.
func Edges(n int, edges ...[2]int32) *formats.Graph {
	rows := make([][]int32, n)
	for _, e := range edges {
		rows[e[0]] = append(rows[e[0]], e[1])
	}
	g := &formats.Graph{Indptr: make([]int64, 1, n+1)}
	for _, row := range rows {
		slices.Sort(row)
		g.Indices = append(g.Indices, slices.Compact(row)...)
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

// Undirected builds a graph that holds every edge in both directions.
func Undirected(n int, edges ...[2]int32) *formats.Graph {
	both := slices.Clone(edges)
	for _, e := range edges {
		both = append(both, [2]int32{e[1], e[0]})
	}
	return Edges(n, both...)
}

// PowerLaw builds an undirected graph of n nodes and at most m undirected edges whose
// degrees follow a power law, hubs first; the last nodes stay isolated.
func PowerLaw(n, m int, seed uint64) *formats.Graph {
	r := rng.New(seed, rng.Test, 0, 0)
	end := func() int32 {
		x := r.Float64()
		return int32(float64(n) * 0.98 * x * x * x)
	}
	edges := make([][2]int32, 0, m)
	for range m {
		if u, v := end(), end(); u != v {
			edges = append(edges, [2]int32{u, v})
		}
	}
	return Undirected(n, edges...)
}

// Env makes the environment of a graph all of whose nodes are training nodes.
func Env(g *formats.Graph) samplers.Env {
	train := make([]int32, g.NumNodes())
	for i := range train {
		train[i] = int32(i)
	}
	return samplers.Env{Graph: g, Train: train}
}

// Case is a graph to sample from.
type Case struct {
	Name string
	Env  samplers.Env
}

// Graphs returns small graphs of every kind that has broken a sampler: one node, no edge,
// isolated nodes, hubs, self loops, sinks of directed graphs, nodes that are not for
// training, ids that are not contiguous.
func Graphs() []Case {
	type e = [2]int32
	sparse := Env(Undirected(300, e{3, 290}, e{290, 128}, e{128, 64}, e{64, 3}, e{64, 63}))
	sparse.Train = []int32{3, 63, 64, 128, 200, 290}
	return []Case{
		{"one node", Env(Edges(1))},
		{"one node with a loop", Env(Edges(1, e{0, 0}))},
		{"no edges", Env(Edges(5))},
		{"one edge", Env(Undirected(2, e{0, 1}))},
		{"star", Env(Undirected(9, e{0, 1}, e{0, 2}, e{0, 3}, e{0, 4}, e{0, 5}, e{0, 6}, e{0, 7}, e{0, 8}))},
		{"triangle and isolated nodes", Env(Undirected(7, e{1, 3}, e{3, 5}, e{5, 1}))},
		{"hub with loops and an isolated node", Env(hubWithLoops())},
		{"only loops", Env(Edges(4, e{1, 1}, e{3, 3}))},
		{"directed chain into a sink", Env(Edges(4, e{0, 1}, e{1, 2}, e{2, 3}))},
		{"directed with a loop", Env(directed())},
		{"some nodes are not for training", sparse},
		{"power law", Env(PowerLaw(60, 200, 7))},
	}
}

func hubWithLoops() *formats.Graph {
	type e = [2]int32
	return Undirected(7, e{0, 0}, e{0, 1}, e{0, 2}, e{0, 3}, e{0, 4}, e{1, 2}, e{4, 4}, e{4, 6})
}

func directed() *formats.Graph {
	type e = [2]int32
	return Edges(6, e{0, 1}, e{0, 2}, e{0, 3}, e{1, 0}, e{2, 2}, e{2, 4}, e{3, 0}, e{3, 1}, e{3, 4})
}
