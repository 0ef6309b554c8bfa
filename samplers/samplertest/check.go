package samplertest

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// CheckInduced fails t unless sub is the subgraph of g induced on the drawn ids, found by
// looking at every pair of nodes' rows with a map.
func CheckInduced(t testing.TB, g *formats.Graph, drawn []int32, sub *formats.Subgraph) {
	t.Helper()
	nodes := slices.Clone(drawn)
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	if !slices.Equal(sub.Nodes, nodes) {
		t.Fatalf("Nodes = %v, want %v", sub.Nodes, nodes)
	}
	local := map[int32]int32{}
	for i, v := range nodes {
		local[v] = int32(i)
	}
	indptr, indices, ids := []int32{0}, []int32{}, []int64{}
	for _, v := range nodes {
		for k, u := range g.Neighbors(v) {
			if j, ok := local[u]; ok {
				indices = append(indices, j)
				ids = append(ids, g.Indptr[v]+int64(k))
			}
		}
		indptr = append(indptr, int32(len(indices)))
	}
	switch {
	case !slices.Equal(sub.Indptr, indptr):
		t.Fatalf("Indptr = %v, want %v", sub.Indptr, indptr)
	case !slices.Equal(sub.Indices, indices):
		t.Fatalf("Indices = %v, want %v", sub.Indices, indices)
	case !slices.Equal(sub.EdgeIDs, ids):
		t.Fatalf("EdgeIDs = %v, want %v", sub.EdgeIDs, ids)
	case len(sub.AdjNorm) != len(indices) || len(sub.LossNorm) != len(nodes):
		t.Fatalf("%d AdjNorm and %d LossNorm, want %d and %d", len(sub.AdjNorm), len(sub.LossNorm), len(indices), len(nodes))
	}
}
