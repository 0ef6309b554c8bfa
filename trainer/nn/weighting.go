package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// Weighting says what the entries of an adjacency are.
type Weighting uint8

// Kinds, with d_u the number of entries of row u.
const (
	// Sampled is the batch's own: alpha w/d_u with GraphSAINT's normalisation, the row mean on a
	// whole graph.
	Sampled Weighting = iota
	// Ones: 1, whatever the graph's weights are.
	Ones
	// Symmetric: 1/sqrt((1+d_u)(1+d_v)), and 1/(1+d_u) for a loop of every node besides those
	// that the graph has: D^-1/2 (A+I) D^-1/2 of GCN (arXiv:1609.02907, equation 2).
	Symmetric
)

// Weighted is a Graph that has its entries in other weightings too. Minibatches, row tiles and
// graphs that are spread over machines provide it by telling entries and loops: a layer needs
// neither degrees nor who owns them.
type Weighted interface {
	Graph
	// Weigh returns the graph with entries of that kind and, of Symmetric, the weights of the
	// loops (NumDst×1). It panics if the graph was made without.
	Weigh(w Weighting) (Graph, tensor.Tensor)
}

// Weigher is a layer that aggregates over another weighting than Sampled. Who makes graphs makes
// those that the layers of a model ask for.
type Weigher interface {
	Layer
	Weighting() Weighting
}

// WeightingOf returns the weighting that l aggregates over.
func WeightingOf(l Layer) Weighting {
	if w, ok := l.(Weigher); ok {
		return w.Weighting()
	}
	return Sampled
}

// Batch is a graph held whole, as one block, with its entries in several weightings. It is
// passed as a pointer so that one value serves all steps without allocating.
type Batch struct {
	Local                  // entries as sampled
	One, Sym *tensor.CSR   // nil where no layer asks for them
	Loops    tensor.Tensor // NumDst×1, with Sym
}

// Weigh returns the graph in that weighting.
func (g *Batch) Weigh(w Weighting) (Graph, tensor.Tensor) {
	a, loops := g.A, tensor.Tensor{}
	switch w {
	case Ones:
		a = g.One
	case Symmetric:
		a, loops = g.Sym, g.Loops
	}
	if a == nil {
		panic("nn: the batch was made without the weighting that a layer asks for")
	}
	return Local{A: a}, loops
}

// Weigh returns the tile, which holds the weighting that the running layer asks for.
func (g *RowTile) Weigh(w Weighting) (Graph, tensor.Tensor) {
	if g.Weighting != w {
		panic("nn: the row tile was made without the weighting that a layer asks for")
	}
	return g, g.Loops
}

// weigh returns g in a weighting, and the loops' weights of Symmetric.
func weigh(g Graph, w Weighting) (Graph, tensor.Tensor) {
	v, ok := g.(Weighted)
	if !ok {
		panic("nn: the graph has only one weighting, a layer asks for another")
	}
	return v.Weigh(w)
}

// aggregateOnto adds A x to y.
func aggregateOnto(c *Context, g Graph, x, y tensor.Tensor) {
	checkRows("Aggregate x", x, g.NumSrc())
	checkRows("Aggregate y", y, g.NumDst())
	s := c.sweeper()
	s.dst, s.onto = y, true
	g.Sweep(c, x, s.forward)
	s.onto = false
}

// aggregateLoops writes A x + loops x to y: every row's own times its weight, then its
// neighbours.
func aggregateLoops(c *Context, g Graph, loops, x, y tensor.Tensor) {
	c.Q.HeadScale(false, loops, g.Dst(x), y)
	aggregateOnto(c, g, x, y)
}

// aggregateLoopsBack writes the gradient of aggregateLoops's x to dx.
func aggregateLoopsBack(c *Context, g Graph, loops, dy, dx tensor.Tensor) {
	AggregateBack(c, g, dy, dx)
	own := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	c.Q.HeadScale(false, loops, dy, own)
	c.Q.Axpby(1, own, 1, g.Dst(dx))
}
