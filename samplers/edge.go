package samplers

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/saint-gnn/saint/formats"
)

// Edge draws Draws edges with replacement, P(u,v) proportional to 1/deg(u)+1/deg(v)
// (arXiv:1907.04931, theorem 2), and takes their end points.
//
// Of a symmetric graph it draws undirected edges, that is entries of the upper triangle
// with the diagonal; a self loop at u weighs 2/deg(u). A uniform neighbour of a uniform
// node with edges has exactly that law, so that a draw costs O(1) and no table but the
// list of such nodes. Of a directed graph every stored edge is drawn by itself and a
// node without a row adds 0; that takes cumulative sums in float64, 8 bytes an edge, and
// O(log E) a draw.
type Edge struct {
	Draws int // size_subg_edge

	graph *formats.Graph
	nodes []int32 // nodes with edges, ascending
	loops bool
	// Directed graphs only:
	cumulative []float64 // of the weights of all stored edges
	rows       *rowIndex
}

func init() {
	Register(Info{
		Name:    "edge",
		Doc:     "end points of size_subg_edge edges with replacement, each with probability proportional to 1/deg(u)+1/deg(v)",
		Keys:    "size_subg_edge",
		Factory: newEdge,
	})
}

func newEdge(env Env, p Params) (Sampler, error) {
	draws, err := edgeDraws(env, p)
	if err != nil {
		return nil, err
	}
	g := env.Graph
	s := &Edge{Draws: draws, graph: g}
	if !env.Symmetric() {
		s.rows = newRowIndex(g.Indptr)
		s.cumulative = make([]float64, g.NumEdges())
		sum := 0.0
		forEachEdge(g, func(v, u int32, e int64) {
			sum += inverseDegree(g, v) + inverseDegree(g, u)
			s.cumulative[e] = sum
		})
		return s, nil
	}
	s.nodes = nodesWithEdges(g)
	s.loops = len(selfLoops(g)) > 0
	return s, nil
}

// edgeDraws decodes and checks what both edge samplers need.
func edgeDraws(env Env, p Params) (int, error) {
	var key struct {
		SizeSubgEdge *int64 `yaml:"size_subg_edge"`
	}
	if err := p.Decode(&key); err != nil {
		return 0, err
	}
	draws, err := positive("size_subg_edge", key.SizeSubgEdge, maxDraws/2)
	if err != nil {
		return 0, err
	}
	if env.Graph.NumEdges() == 0 {
		return 0, errNoEdges
	}
	return int(draws), nil
}

// Budget returns 2*size_subg_edge.
func (s *Edge) Budget() int { return 2 * s.Draws }

// SampleNodes appends two nodes for each edge.
func (s *Edge) SampleNodes(r *rand.Rand, _ *Scratch, dst []int32) []int32 {
	dst = slices.Grow(dst, 2*s.Draws)
	switch {
	case s.cumulative != nil:
		for range s.Draws {
			e := s.drawDirected(r)
			dst = append(dst, s.rows.row(e), s.graph.Indices[e])
		}
	case s.loops:
		for range s.Draws {
			v, u := s.drawLoops(r)
			dst = append(dst, v, u)
		}
	default:
		// All first ends, then all second ends: the misses of independent draws overlap.
		dst = appendUniform(r, s.nodes, s.Draws, dst)
		last := len(dst)
		dst = dst[:last+s.Draws]
		steps(r, s.graph, dst[last-s.Draws:last], dst[last:])
	}
	return dst
}

// drawLoops draws one undirected edge where there may be self loops. An edge between two
// nodes lies in two rows, a loop in one only: a row of d entries therefore has 2d equally
// likely places, of which the entries take one each and the loop a second one. What falls
// on an empty place is drawn anew, half of the time at most.
func (s *Edge) drawLoops(r *rand.Rand) (v, u int32) {
	for {
		v = s.nodes[r.Uint32N(uint32(len(s.nodes)))]
		row := s.graph.Neighbors(v)
		switch place := r.Uint64N(2 * uint64(len(row))); {
		case place < uint64(len(row)):
			return v, row[place]
		case place == uint64(len(row)) && s.graph.Find(v, v) >= 0:
			return v, v
		}
	}
}

func (s *Edge) drawDirected(r *rand.Rand) int64 {
	last := len(s.cumulative) - 1
	x := r.Float64() * s.cumulative[last]
	return int64(sort.Search(last, func(e int) bool { return s.cumulative[e] > x }))
}

// inverseDegree returns 1/deg(v), or 0 for a node without a row.
func inverseDegree(g *formats.Graph, v int32) float64 {
	if d := g.Degree(v); d > 0 {
		return 1 / float64(d)
	}
	return 0
}

// forEachEdge calls f for every stored edge e from row v to column u, in order.
func forEachEdge(g *formats.Graph, f func(v, u int32, e int64)) {
	for v := range int32(g.NumNodes()) {
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			f(v, g.Indices[e], e)
		}
	}
}

// nodesWithEdges returns the nodes with at least one stored edge, ascending.
func nodesWithEdges(g *formats.Graph) []int32 {
	var nodes []int32
	for v := range int32(g.NumNodes()) {
		if g.Degree(v) > 0 {
			nodes = append(nodes, v)
		}
	}
	return nodes
}

// selfLoops returns the nodes with an edge to themselves, ascending.
func selfLoops(g *formats.Graph) []int32 {
	var nodes []int32
	for v := range int32(g.NumNodes()) {
		if g.Find(v, v) >= 0 {
			nodes = append(nodes, v)
		}
	}
	return nodes
}
