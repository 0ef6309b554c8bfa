package assemble

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/saint-gnn/saint/formats"
)

// MaxNodes is the greatest number of nodes: ids and counts are int32.
const MaxNodes = math.MaxInt32

// Edges is a list of directed edges in any order: Dst[i] aggregates from Src[i]. Weights
// is nil or has one value an edge.
type Edges struct {
	Src, Dst []int32
	Weights  []float32
}

// GraphOptions say what to make of the edges.
type GraphOptions struct {
	// Undirected adds the inverse of every edge. Where both directions are there already,
	// each with a weight, the greater weight counts for both.
	Undirected bool
	// DropSelfLoops leaves edges from a node to itself out.
	DropSelfLoops bool
}

// Counts says what Graph met.
type Counts struct {
	Merged    int64 // edges that repeated another one; their weights were added to it
	SelfLoops int64 // edges from a node to itself, kept or not
}

// Graph sorts the edges into a graph of n nodes. It takes over the slices of e. Ends
// outside 0…n-1 are an error that names the edge by its position in the list, from 0.
// Repeated edges are merged and their weights summed in the order of the list. Weights
// that are all 1 are dropped. Cost O(V + E log deg), 12 bytes an edge beside the result.
func Graph(ctx context.Context, n int, e *Edges, o GraphOptions) (*formats.Graph, Counts, error) {
	var c Counts
	if len(e.Src) != len(e.Dst) || e.Weights != nil && len(e.Weights) != len(e.Src) {
		return nil, c, fmt.Errorf("%d sources, %d targets and %d weights do not make edges", len(e.Src), len(e.Dst), len(e.Weights))
	}
	indptr := make([]int64, n+1)
	for i, v := range e.Dst {
		u := e.Src[i]
		if u < 0 || int(u) >= n || v < 0 || int(v) >= n {
			return nil, c, fmt.Errorf("edge %d is (%d, %d), but there are %d nodes (ids 0 to %d)", i, u, v, n, n-1)
		}
		if u == v {
			c.SelfLoops++
			if o.DropSelfLoops {
				continue
			}
		}
		indptr[v+1]++
	}
	g := place(e, indptr, o.DropSelfLoops)
	e.Src, e.Dst, e.Weights = nil, nil, nil
	if err := ctx.Err(); err != nil {
		return nil, c, err
	}
	if err := sortRows(ctx, g); err != nil {
		return nil, c, err
	}
	c.Merged = mergeRows(g)
	if o.Undirected {
		g = withInverse(g)
	}
	dropUnitWeights(g)
	return g, c, ctx.Err()
}

// place puts every edge into its row, in the order of the list. indptr holds the number of
// edges of row v at v+1 and becomes the row starts.
func place(e *Edges, indptr []int64, dropSelf bool) *formats.Graph {
	for v := 1; v < len(indptr); v++ {
		indptr[v] += indptr[v-1]
	}
	total := indptr[len(indptr)-1]
	g := &formats.Graph{Indptr: indptr, Indices: make([]int32, total)}
	if e.Weights != nil {
		g.Weights = make([]float32, total)
	}
	next := slices.Clone(indptr)
	for i, v := range e.Dst {
		if dropSelf && e.Src[i] == v {
			continue
		}
		at := next[v]
		next[v]++
		g.Indices[at] = e.Src[i]
		if g.Weights != nil {
			g.Weights[at] = e.Weights[i]
		}
	}
	return g
}

// sortRows orders the columns of every row; equal columns keep their order.
func sortRows(ctx context.Context, g *formats.Graph) error {
	type entry struct {
		col    int32
		weight float32
	}
	var row []entry
	for v := range g.NumNodes() {
		if v%StepEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		cols := g.Neighbors(int32(v))
		if slices.IsSorted(cols) {
			continue
		}
		if g.Weights == nil {
			slices.Sort(cols)
			continue
		}
		weights := g.Weights[g.Indptr[v]:g.Indptr[v+1]]
		row = row[:0]
		for i, u := range cols {
			row = append(row, entry{u, weights[i]})
		}
		slices.SortStableFunc(row, func(a, b entry) int { return int(a.col) - int(b.col) })
		for i, x := range row {
			cols[i], weights[i] = x.col, x.weight
		}
	}
	return nil
}

// mergeRows keeps one of equal columns of sorted rows, with the sum of their weights, and
// returns how many it removed.
func mergeRows(g *formats.Graph) int64 {
	out, start := int64(0), int64(0)
	for v := range g.NumNodes() {
		end, first := g.Indptr[v+1], out
		for e := start; e < end; e++ {
			if out > first && g.Indices[out-1] == g.Indices[e] {
				if g.Weights != nil {
					g.Weights[out-1] += g.Weights[e]
				}
				continue
			}
			g.Indices[out] = g.Indices[e]
			if g.Weights != nil {
				g.Weights[out] = g.Weights[e]
			}
			out++
		}
		start, g.Indptr[v+1] = end, out
	}
	merged := int64(len(g.Indices)) - out
	g.Indices = g.Indices[:out]
	if g.Weights != nil {
		g.Weights = g.Weights[:out]
	}
	return merged
}

// withInverse returns the union of g and its transpose.
func withInverse(g *formats.Graph) *formats.Graph {
	t := g.Transpose()
	n := g.NumNodes()
	u := &formats.Graph{Indptr: make([]int64, n+1), Indices: make([]int32, 0, len(g.Indices))}
	for v := range n {
		a, b := g.Indptr[v], t.Indptr[v]
		for a < g.Indptr[v+1] || b < t.Indptr[v+1] {
			inA, inB := a < g.Indptr[v+1], b < t.Indptr[v+1]
			if inA && inB {
				inA, inB = g.Indices[a] <= t.Indices[b], g.Indices[a] >= t.Indices[b]
			}
			col, weight := int32(0), float32(math.Inf(-1))
			if inA {
				col = g.Indices[a]
				if g.Weights != nil {
					weight = g.Weights[a]
				}
				a++
			}
			if inB {
				col = t.Indices[b]
				if g.Weights != nil {
					weight = max(weight, t.Weights[b])
				}
				b++
			}
			u.Indices = append(u.Indices, col)
			if g.Weights != nil {
				u.Weights = append(u.Weights, weight)
			}
		}
		u.Indptr[v+1] = int64(len(u.Indices))
	}
	return u
}

// dropUnitWeights removes weights that are all 1, since none means just that.
func dropUnitWeights(g *formats.Graph) {
	for _, w := range g.Weights {
		if w != 1 {
			return
		}
	}
	g.Weights = nil
}

// DegreeFeatures returns one feature a node, the number of its neighbours, for data
// without features.
func DegreeFeatures(g *formats.Graph) []float32 {
	x := make([]float32, g.NumNodes())
	for v := range x {
		x[v] = float32(g.Degree(int32(v)))
	}
	return x
}
