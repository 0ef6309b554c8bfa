package trainer

import (
	"math"

	"github.com/saint-gnn/saint/trainer/nn"
)

// hostPlan is the way through a model whose matrices of all nodes lie in the memory of the host, where
// that is not the device's own. A layer goes over tiles of rows, each with the rows of its halo.
type hostPlan struct {
	groups []hostGroup
	ends   map[int][]int // of the tiles, by hops
	set    int64         // bytes that copies of the largest tile take of the device
}

// hostGroup is a layer and the dense ones after it.
type hostGroup struct {
	first, end, hops int
	in, out          int
	proj             int  // columns that sources give in place of the input; 0: the input
	initial          int  // columns of the initial representation, where the layer reads that
	keeps            bool // the output is the initial representation
}

// hostCost is what a tile takes: values for each node of the halo, for each row, and of copies of nodes.
type hostCost struct{ node, row, copied int64 }

// hostPasses bounds the nodes of all tiles of a layer, in numbers of nodes: where every tile needs most
// of the graph, evaluation would take as long as that many.
const hostPasses = 256

// hostKey is what a hostPlan depends on.
type hostKey struct {
	m            *nn.Sequential
	upTo, rowsAt int
	most, room   int64
}

// planHost returns the plan of layers [0,upTo), nil if that takes too much memory, or time. It goes over
// the whole graph, so the last one is kept.
func (e *Evaluator) planHost(m *nn.Sequential, upTo int) *hostPlan {
	key := hostKey{m, upTo, e.rowsAt, e.left(), e.room}
	if e.hostedBy != key {
		e.hostedBy, e.hostPlan = key, e.newHostPlan(m, upTo)
	}
	return e.hostPlan
}

func (e *Evaluator) newHostPlan(m *nn.Sequential, upTo int) *hostPlan {
	p := &hostPlan{ends: map[int][]int{}}
	costs := map[int]hostCost{}
	widest, fixed := e.feats.Dim(), int64(8<<10)
	initial, in := 0, e.feats.Dim()
	shared := e.b.Caps().SharedMemory
	for first := 0; first < upTo; {
		g := hostGroup{first: first, end: first + 1, hops: m.Layer(first).Hops(), in: in}
		for g.end < upTo && m.Layer(g.end).Hops() == 0 {
			g.end++
		}
		if l, ok := m.Layer(first).(nn.InitialReader); ok && l.ReadsInitial() {
			g.initial = initial
		}
		if l, ok := m.Layer(first).(nn.Projector); ok && g.hops == 1 {
			g.proj = l.ProjDim()
		}
		w := max(in, g.proj)
		for i := first; i < g.end; i++ {
			g.out = m.Layer(i).OutDim()
			w = max(w, g.out)
		}
		if i, ok := m.Initial(); ok && i == g.end-1 {
			g.keeps, initial = true, g.out
		}
		g.costs(costs, int64(w))
		if shared {
			fixed = max(fixed, e.elementBytes()*int64(e.graph.NumNodes())*int64(g.in+g.proj+g.out+initial))
		}
		widest, in, first = max(widest, w), g.out, g.end
		p.groups = append(p.groups, g)
	}
	budget := int64(math.MaxInt64)
	if e.most > 0 {
		budget = e.left() - fixed
	}
	for hops, c := range costs {
		ends, set := e.hostTiles(hops, c, budget, e.tileRows(widest))
		if ends == nil {
			return nil
		}
		p.ends[hops], p.set = ends, max(p.set, set)
	}
	return p
}

// costs adds those of a group whose widest tensor has so many columns.
func (g *hostGroup) costs(all map[int]hostCost, widest int64) {
	add := func(hops int, c hostCost) {
		old := all[hops]
		all[hops] = hostCost{max(old.node, c.node), max(old.row, c.row), max(old.copied, c.copied)}
	}
	in := int64(g.in)
	c := hostCost{copied: in + int64(g.initial), node: in + int64(g.initial), row: 8 * widest}
	switch {
	case g.proj > 0:
		add(0, hostCost{copied: in, node: in, row: 3 * widest})
		c.copied, c.node, c.row = int64(g.proj+g.initial), int64(g.proj+g.initial), c.row+2*in
	case g.hops == 1:
		c.node += widest
	case g.hops > 1:
		c.node += 12 * widest
	}
	add(g.hops, c)
}

// hostTiles cuts all rows into tiles that take at most so many bytes and returns their ends, and what
// copies of the largest take; nil if that cannot be done.
func (e *Evaluator) hostTiles(hops int, c hostCost, budget int64, rows int) (ends []int, set int64) {
	g, n := e.graph, e.graph.NumNodes()
	element, visited := e.elementBytes(), int64(0)
	ends = make([]int, 0, 8)
	size := rows
	for lo := 0; lo < n; {
		hi := min(n, lo+size)
		e.halo.of(g, lo, hi, hops)
		nodes, own := int64(len(e.halo.nodes)), int64(hi-lo)
		visited += nodes
		csr := 8*e.halo.entries + 8*(nodes+1)
		copied := element*c.copied*nodes + csr + 1<<11
		if e.halo.entries > math.MaxInt32 || element*(c.node*nodes+c.row*own)+copied+csr > budget || !e.copiesFit(2*copied) || visited > hostPasses*int64(n) {
			if size == 1 || visited > hostPasses*int64(n) {
				return nil, 0
			}
			visited -= nodes
			size = max(1, int(own)/2)
			continue
		}
		ends, set = append(ends, hi), max(set, copied)
		lo, size = hi, min(rows, size+max(1, size/2))
	}
	return ends, set
}
