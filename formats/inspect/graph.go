package inspect

import (
	"slices"

	"github.com/saint-gnn/saint/formats"
)

// graphStats describes g over nodes, outside of which it has no edges. isolated is nil or is
// set at every node of g without another neighbour.
func graphStats(g *formats.Graph, nodes []int32, isolated []bool) GraphStats {
	s := GraphStats{Nodes: len(nodes), Edges: g.NumEdges(), Reciprocal: 1}
	if s.Symmetric = g.Symmetric(); !s.Symmetric {
		s.Reciprocal = float64(reciprocal(g)) / float64(s.Edges)
	}
	s.SelfLoops = sumChunks(g.NumNodes(), rowChunk, func(lo, hi int) (loops int64) {
		for v := lo; v < hi; v++ {
			if _, ok := slices.BinarySearch(g.Neighbors(int32(v)), int32(v)); ok {
				loops++
			}
		}
		return loops
	})
	s.degrees(g, nodes)
	s.connections(g, nodes, isolated)
	return s
}

// reciprocal counts the edges whose reverse is an edge as well.
func reciprocal(g *formats.Graph) int64 {
	return sumChunks(g.NumNodes(), rowChunk, func(lo, hi int) (count int64) {
		for v := lo; v < hi; v++ {
			for _, u := range g.Neighbors(int32(v)) {
				if g.Find(u, int32(v)) >= 0 {
					count++
				}
			}
		}
		return count
	})
}

// degrees fills in the histogram and its quantiles.
func (s *GraphStats) degrees(g *formats.Graph, nodes []int32) {
	top := 0
	for _, v := range nodes {
		top = max(top, g.Degree(v))
	}
	s.Histogram = make([]int64, top+1)
	for _, v := range nodes {
		s.Histogram[g.Degree(v)]++
	}
	if len(nodes) == 0 {
		return
	}
	s.NoNeighbors = int(s.Histogram[0])
	d := &s.Degrees
	d.Min, d.Max = s.quantile(0), top
	d.P25, d.P50, d.P75, d.P90, d.P99 = s.quantile(25), s.quantile(50), s.quantile(75), s.quantile(90), s.quantile(99)
	d.Mean = float64(s.Edges) / float64(len(nodes))
}

// quantile returns the least degree that at least percent of the nodes do not exceed.
func (s *GraphStats) quantile(percent int64) int {
	want := max(1, (percent*int64(s.Nodes)+99)/100)
	for d, count := range s.Histogram {
		if want -= count; want <= 0 {
			return d
		}
	}
	return len(s.Histogram) - 1
}

// connections joins the ends of all edges and counts what is left apart.
func (s *GraphStats) connections(g *formats.Graph, nodes []int32, isolated []bool) {
	parent := make([]int32, g.NumNodes())
	for v := range parent {
		parent[v] = int32(v)
	}
	find := func(v int32) int32 {
		for parent[v] != v {
			parent[v] = parent[parent[v]]
			v = parent[v]
		}
		return v
	}
	for v := range parent {
		root := find(int32(v))
		for _, u := range g.Neighbors(int32(v)) {
			if s.Symmetric && u >= int32(v) {
				break // the other half of the entries says the same
			}
			if other := find(u); other != root {
				// The smaller id wins, so that no rank needs memory; halving keeps paths short.
				root, other = min(root, other), max(root, other)
				parent[other] = root
			}
		}
	}
	size := make([]int32, g.NumNodes())
	for _, v := range nodes {
		size[find(v)]++
	}
	for _, v := range nodes {
		c := size[find(v)]
		if c == 1 {
			s.Isolated++
			if isolated != nil {
				isolated[v] = true
			}
		}
		if parent[v] == v {
			s.Components.Count++
		}
		s.Components.Largest = max(s.Components.Largest, int(c))
	}
	if len(nodes) > 0 {
		s.Components.LargestShare = float64(s.Components.Largest) / float64(len(nodes))
	}
}

// edgesBetween counts the edges of g by the splits of their ends.
func edgesBetween(g *formats.Graph, role []uint8) []SplitEdges {
	parts := make([][4][4]int64, chunks(g.NumNodes(), rowChunk))
	eachChunk(g.NumNodes(), rowChunk, func(chunk, lo, hi int) {
		counts := &parts[chunk]
		for v := lo; v < hi; v++ {
			row := &counts[role[v]]
			for _, u := range g.Neighbors(int32(v)) {
				row[role[u]]++
			}
		}
	})
	out := []SplitEdges{}
	for i, row := range splitNames {
		for j, column := range splitNames {
			total := int64(0)
			for k := range parts {
				total += parts[k][i][j]
			}
			if total > 0 {
				out = append(out, SplitEdges{row, column, total})
			}
		}
	}
	return out
}

// compareEdges counts the edges of train that full lacks, and those of full between training
// nodes that train lacks.
func compareEdges(train, full *formats.Graph, role []uint8) (notInFull, notInTrain int64) {
	common := sumChunks(train.NumNodes(), rowChunk, func(lo, hi int) (count int64) {
		for v := lo; v < hi; v++ {
			count += commonIDs(train.Neighbors(int32(v)), full.Neighbors(int32(v)))
		}
		return count
	})
	between := sumChunks(full.NumNodes(), rowChunk, func(lo, hi int) (count int64) {
		for v := lo; v < hi; v++ {
			if role[v] == 0 {
				count += trainingIDs(full.Neighbors(int32(v)), role)
			}
		}
		return count
	})
	// The training graph has no edges with an end elsewhere, so what is common lies between
	// training nodes in both.
	return train.NumEdges() - common, between - common
}

// commonIDs counts the ids that are in both ascending lists.
func commonIDs(a, b []int32) (count int64) {
	for _, id := range a {
		for len(b) > 0 && b[0] < id {
			b = b[1:]
		}
		if len(b) > 0 && b[0] == id {
			count++
		}
	}
	return count
}

// trainingIDs counts the ids of training nodes.
func trainingIDs(ids []int32, role []uint8) (count int64) {
	for _, id := range ids {
		if role[id] == 0 {
			count++
		}
	}
	return count
}
