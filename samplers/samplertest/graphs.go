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
