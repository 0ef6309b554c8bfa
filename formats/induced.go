package formats

// Induced returns the edges of g that have both ends in nodes, in g's node ids: the result
// has as many rows as g, and rows outside nodes are empty. Weights are kept. The order of
// nodes and repeated ids do not matter; an id outside g panics. Cost O(V + edges of the
// rows in nodes).
func Induced(g *Graph, nodes []int32) *Graph {
	n := g.NumNodes()
	in := make([]bool, n)
	for _, v := range nodes {
		in[v] = true
	}
	indptr := make([]int64, n+1)
	for v := range n {
		kept := int64(0)
		if in[v] {
			for _, u := range g.Neighbors(int32(v)) {
				if in[u] {
					kept++
				}
			}
		}
		indptr[v+1] = indptr[v] + kept
	}
	out := &Graph{Indptr: indptr, Indices: make([]int32, 0, indptr[n])}
	if g.Weights != nil {
		out.Weights = make([]float32, 0, indptr[n])
	}
	for v := range n {
		if !in[v] {
			continue
		}
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			if !in[g.Indices[e]] {
				continue
			}
			out.Indices = append(out.Indices, g.Indices[e])
			if g.Weights != nil {
				out.Weights = append(out.Weights, g.Weights[e])
			}
		}
	}
	return out
}

// Transpose returns the graph with every edge turned round: row v of the result lists the
// nodes that aggregate from v. Weights travel with their edges. Cost O(V+E).
func (g *Graph) Transpose() *Graph {
	n := g.NumNodes()
	t := &Graph{Indptr: make([]int64, n+1), Indices: make([]int32, len(g.Indices))}
	if g.Weights != nil {
		t.Weights = make([]float32, len(g.Weights))
	}
	for _, u := range g.Indices {
		t.Indptr[u+1]++
	}
	for v := range n {
		t.Indptr[v+1] += t.Indptr[v]
	}
	// Rows are met in ascending order, so every row of the result comes out ascending.
	next := make([]int64, n)
	copy(next, t.Indptr)
	for v := range n {
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			at := next[g.Indices[e]]
			next[g.Indices[e]]++
			t.Indices[at] = int32(v)
			if g.Weights != nil {
				t.Weights[at] = g.Weights[e]
			}
		}
	}
	return t
}
