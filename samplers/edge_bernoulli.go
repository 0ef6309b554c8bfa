package samplers

import (
	"math/bits"
	"math/rand/v2"

	"github.com/saint-gnn/saint/formats"
)

// EdgeBernoulli keeps every edge independently with probability min(1, m*p_e), where p_e,
// proportional to 1/deg(u)+1/deg(v), sums to 1 (arXiv:1907.04931, theorem 2, as proved
// there; [Edge] is its usual approximation), and takes the end points of what it kept.
// What counts as an edge is as for [Edge].
//
// Edges are grouped so that within a group probabilities differ little; a draw jumps
// through a group by geometric gaps under a common bound and thins out what it lands on.
// Cost O(m + groups) expected whatever the number of edges. Symmetric graphs need 4 bytes
// a node, directed ones 8 bytes an edge.
type EdgeBernoulli struct {
	Edges int // size_subg_edge: the expected number of edges kept if no probability is capped

	graph  *formats.Graph
	scale  float64 // m over the sum of all weights
	groups []edgeGroup
	rows   *rowIndex // directed graphs only
}

// edgeGroup is a run of slots, each of which holds an edge or nothing.
type edgeGroup struct {
	// Symmetric graphs: nodes of similar degree with width slots each. An edge belongs to
	// its end of lower degree (of lower id, if equal), because that end bounds its
	// probability to within a factor of 2.
	nodes []int32
	width int64
	// Directed graphs: the positions of edges of similar probability.
	edges []int64

	slots int64
	bound float64 // no edge of the group is kept with a greater probability; at most 1
	logQ  float64 // ln(1-bound); 0 where bound is 1
}

func init() {
	Register(Info{
		Name:    "edge_bernoulli",
		Doc:     "end points of edges kept independently with probability min(1, size_subg_edge*p_e), p_e proportional to 1/deg(u)+1/deg(v)",
		Keys:    "size_subg_edge",
		Factory: newEdgeBernoulli,
	})
}

func newEdgeBernoulli(env Env, p Params) (Sampler, error) {
	m, err := edgeDraws(env, p)
	if err != nil {
		return nil, err
	}
	s := &EdgeBernoulli{Edges: m, graph: env.Graph}
	if env.Symmetric() {
		s.groupNodes()
	} else {
		s.groupEdges()
	}
	for i := range s.groups {
		s.groups[i].setBound()
	}
	return s, nil
}

// Budget returns 2*size_subg_edge.
func (s *EdgeBernoulli) Budget() int { return 2 * s.Edges }

// degreeClass maps degrees to classes whose members differ by a quarter at most: the
// position of the leading bit and the two bits behind it.
func degreeClass(d uint64) int {
	n := bits.Len64(d)
	if n <= 3 {
		return int(d)
	}
	return 4*(n-1) + int(d>>(n-3)&3)
}

// degreeClasses is more than any class of a 63-bit degree.
const degreeClasses = 256

// groupNodes groups the rows of a symmetric graph by degree. Every row without a self loop
// has total weight 1; a loop weighs 2/deg instead of 1/deg.
func (s *EdgeBernoulli) groupNodes() {
	g := s.graph
	var classes [degreeClasses][]int32
	total := 0.0
	for _, v := range nodesWithEdges(g) {
		c := degreeClass(uint64(g.Degree(v)))
		classes[c] = append(classes[c], v)
		total++
	}
	for _, v := range selfLoops(g) {
		total += inverseDegree(g, v)
	}
	s.scale = float64(s.Edges) / total
	for _, nodes := range classes {
		if len(nodes) == 0 {
			continue
		}
		least, most := g.Degree(nodes[0]), 0
		for _, v := range nodes {
			least, most = min(least, g.Degree(v)), max(most, g.Degree(v))
		}
		s.groups = append(s.groups, edgeGroup{
			nodes: nodes, width: int64(most), slots: int64(most) * int64(len(nodes)),
			bound: s.scale * 2 / float64(least),
		})
	}
}

// groupEdges groups the edges of a directed graph by the inverse of their weight.
func (s *EdgeBernoulli) groupEdges() {
	g := s.graph
	s.rows = newRowIndex(g.Indptr)
	var sizes [degreeClasses]int64
	var most [degreeClasses]float64
	total := 0.0
	forEachEdge(g, func(v, u int32, _ int64) {
		weight, class := s.weightClass(v, u)
		sizes[class]++
		most[class] = max(most[class], weight)
		total += weight
	})
	s.scale = float64(s.Edges) / total
	var classes [degreeClasses][]int64
	for c, size := range sizes {
		classes[c] = make([]int64, 0, size)
	}
	forEachEdge(g, func(v, u int32, e int64) {
		_, class := s.weightClass(v, u)
		classes[class] = append(classes[class], e)
	})
	for c, edges := range classes {
		if len(edges) > 0 {
			s.groups = append(s.groups, edgeGroup{edges: edges, slots: int64(len(edges)), bound: s.scale * most[c]})
		}
	}
}

// weightClass returns the weight of a directed edge and its class. The harmonic mean of
// the degrees is at least 1/2 and at most 2^31.
func (s *EdgeBernoulli) weightClass(v, u int32) (weight float64, class int) {
	weight = inverseDegree(s.graph, v) + inverseDegree(s.graph, u)
	return weight, degreeClass(uint64(4 / weight))
}

// setBound caps the bound. Above one half, trying every slot is cheaper than jumping.
func (g *edgeGroup) setBound() {
	if g.bound > 0.5 {
		g.bound = 1
		return
	}
	// ln(1-q) = -2 atanh(q/(2-q)) keeps its digits for a small q.
	g.logQ = -2 * atanh(g.bound/(2-g.bound))
}

// SampleNodes appends the two end points of every edge kept.
func (s *EdgeBernoulli) SampleNodes(r *rand.Rand, _ *Scratch, dst []int32) []int32 {
	for i := range s.groups {
		g := &s.groups[i]
		for at := g.next(r, -1); at < g.slots; at = g.next(r, at) {
			v, u, ok := s.edgeAt(g, at)
			if ok && r.Float64()*g.bound < s.scale*(inverseDegree(s.graph, v)+inverseDegree(s.graph, u)) {
				dst = append(dst, v, u)
			}
		}
	}
	return dst
}

// next returns the slot that comes up after slot at, or one behind the last.
func (g *edgeGroup) next(r *rand.Rand, at int64) int64 {
	if g.logQ == 0 {
		return at + 1
	}
	// The gap is geometric: P(gap >= k) = (1-bound)^k.
	gap := ln(1-r.Float64()) / g.logQ
	if gap >= float64(g.slots-at) {
		return g.slots
	}
	return at + 1 + int64(gap)
}

// edgeAt returns the edge in a slot, if there is one.
func (s *EdgeBernoulli) edgeAt(g *edgeGroup, at int64) (v, u int32, ok bool) {
	if g.edges != nil {
		e := g.edges[at]
		return s.rows.row(e), s.graph.Indices[e], true
	}
	i := at / g.width
	v = g.nodes[i]
	row := s.graph.Neighbors(v)
	k := at - i*g.width
	if k >= int64(len(row)) {
		return 0, 0, false
	}
	u = row[k]
	d := s.graph.Degree(u)
	return v, u, d > len(row) || d == len(row) && u >= v
}
