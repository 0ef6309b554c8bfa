package saintdir

import (
	"math"
	"slices"
	"sort"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
)

// adjacency is one matrix of the folder as a graph.
type adjacency struct {
	*formats.Graph
	path   string
	merged int64 // entries that repeated an edge and were added to it
}

// readGraph reads a square CSR matrix, sorts its rows and merges duplicates. With weights
// the values become Graph.Weights, else they are not even read.
func readGraph(path string, weights bool) (*adjacency, error) {
	m, err := npz.ReadCSR(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	switch {
	case m.Rows != m.Cols:
		return nil, badFile(path, "matrix is %d x %d, want a square one", m.Rows, m.Cols)
	case m.Rows == 0:
		return nil, badFile(path, "matrix is 0 x 0, want at least one node")
	}
	a := &adjacency{Graph: &formats.Graph{Indptr: m.Indptr, Indices: m.Indices}, path: path}
	if weights {
		if a.Weights, err = m.Data(); err != nil {
			return nil, inFile(path, err)
		}
		if err := a.checkWeights(); err != nil {
			return nil, err
		}
	}
	a.sortRows()
	a.mergeDuplicates()
	return a, nil
}

// checkWeights verifies that every value of the matrix can be an edge's weight.
func (a *adjacency) checkWeights() error {
	for e, w := range a.Weights {
		if !(w >= 0) || math.IsInf(float64(w), 1) {
			row := sort.Search(a.NumNodes(), func(v int) bool { return a.Indptr[v+1] > int64(e) })
			return badFile(a.path, "value at row %d, column %d is %v, want a weight that is finite and not negative",
				row, a.Indices[e], w)
		}
	}
	return nil
}

// sortRows orders the columns of every row. Equal columns keep their order, so that the
// sums of their weights do too.
func (a *adjacency) sortRows() {
	const rows = 1 << 14
	p := pool.New().WithMaxGoroutines(readers)
	for lo := 0; lo < a.NumNodes(); lo += rows {
		p.Go(func() {
			for v := lo; v < min(a.NumNodes(), lo+rows); v++ {
				row := a.Neighbors(int32(v))
				switch {
				case slices.IsSorted(row):
				case a.Weights == nil:
					slices.Sort(row)
				default:
					sort.Stable(weighted{row, a.Weights[a.Indptr[v]:a.Indptr[v+1]]})
				}
			}
		})
	}
	p.Wait()
}

// weighted orders the columns of a row and their weights together.
type weighted struct {
	columns []int32
	weights []float32
}

func (w weighted) Len() int           { return len(w.columns) }
func (w weighted) Less(i, j int) bool { return w.columns[i] < w.columns[j] }
func (w weighted) Swap(i, j int) {
	w.columns[i], w.columns[j] = w.columns[j], w.columns[i]
	w.weights[i], w.weights[j] = w.weights[j], w.weights[i]
}

// mergeDuplicates keeps one of equal columns of a sorted row, with the sum of the weights.
func (a *adjacency) mergeDuplicates() {
	out := int64(0)
	start := int64(0)
	for v := range a.NumNodes() {
		end := a.Indptr[v+1]
		first := out
		for e := start; e < end; e++ {
			if out > first && a.Indices[out-1] == a.Indices[e] {
				if a.Weights != nil {
					a.Weights[out-1] += a.Weights[e]
				}
				continue
			}
			if out != e {
				a.Indices[out] = a.Indices[e]
				if a.Weights != nil {
					a.Weights[out] = a.Weights[e]
				}
			}
			out++
		}
		start, a.Indptr[v+1] = end, out
	}
	a.merged = int64(len(a.Indices)) - out
	a.Indices = a.Indices[:out]
	if a.Weights != nil {
		a.Weights = a.Weights[:out]
	}
}

// notIn returns how many edges of a are missing from b, which has as many nodes, and the
// first of them.
func (a *adjacency) notIn(b *adjacency) (missing int64, v, u int32) {
	for row := range a.NumNodes() {
		rest := b.Neighbors(int32(row))
		for _, col := range a.Neighbors(int32(row)) {
			for len(rest) > 0 && rest[0] < col {
				rest = rest[1:]
			}
			if len(rest) > 0 && rest[0] == col {
				continue
			}
			if missing++; missing == 1 {
				v, u = int32(row), col
			}
		}
	}
	return missing, v, u
}
