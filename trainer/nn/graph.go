package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// Local is a graph held whole, as one block: a minibatch, or a whole graph that fits. A is
// square and has its transpose where a backward pass runs.
type Local struct{ A *tensor.CSR }

// NumDst returns the number of nodes.
func (g Local) NumDst() int { return g.A.Rows }

// NumSrc returns the number of nodes.
func (g Local) NumSrc() int { return g.A.Cols }

// Dst returns x: every node is a destination.
func (g Local) Dst(x tensor.Tensor) tensor.Tensor { return x }

// Sweep visits the one block with x itself.
func (g Local) Sweep(_ *Context, x tensor.Tensor, visit func(b Block, xsrc tensor.Tensor)) {
	visit(Block{A: g.A, First: true}, x)
}

// SweepBack visits the one block with dx itself.
func (g Local) SweepBack(_ *Context, x, dx tensor.Tensor, needX bool, visit func(b Block, xsrc, dxsrc tensor.Tensor)) {
	if !needX {
		x = tensor.Tensor{}
	}
	visit(Block{A: g.A, First: true}, x, dx)
}

// Err returns nil: nothing can fail.
func (g Local) Err() error { return nil }

// RowTile is the tile [Lo, Hi) of a graph's destination rows over all Src source rows. It
// has no backward pass: evaluators use it to bound memory. A holds the rows of the tile
// ((Hi-Lo)×Src) and may be nil for layers that do not aggregate. A RowTile is passed as a
// pointer so that one value serves all tiles of a sweep without allocating.
type RowTile struct {
	A           *tensor.CSR
	Lo, Hi, Src int
	Weighting   Weighting     // of A's entries
	Loops       tensor.Tensor // weights of the rows' own loops, of Symmetric
}

// NumDst returns the number of rows of the tile.
func (g *RowTile) NumDst() int { return g.Hi - g.Lo }

// NumSrc returns the number of nodes of the graph.
func (g *RowTile) NumSrc() int { return g.Src }

// Dst returns the rows of the tile.
func (g *RowTile) Dst(x tensor.Tensor) tensor.Tensor { return x.RowRange(g.Lo, g.Hi) }

// Sweep visits the one block with x itself.
func (g *RowTile) Sweep(_ *Context, x tensor.Tensor, visit func(b Block, xsrc tensor.Tensor)) {
	visit(Block{A: g.A, First: true}, x)
}

// SweepBack panics: a tile sees only some of the edges that the gradient of x needs.
func (g *RowTile) SweepBack(*Context, tensor.Tensor, tensor.Tensor, bool, func(b Block, xsrc, dxsrc tensor.Tensor)) {
	panic("nn: a row tile has no backward pass")
}

// Err returns nil: nothing can fail.
func (g *RowTile) Err() error { return nil }

// sweeper holds the visits of Aggregate and AggregateBack. They are built once for a
// Context: a closure for every call would be garbage on the hot path.
type sweeper struct {
	q         tensor.Queue
	dst, dout tensor.Tensor
	visited   bool
	onto      bool // forward adds to what is there
	forward   func(b Block, xsrc tensor.Tensor)
	backward  func(b Block, xsrc, dxsrc tensor.Tensor)
}

func (c *Context) sweeper() *sweeper {
	if c.sweep == nil {
		s := &sweeper{}
		s.forward = func(b Block, xsrc tensor.Tensor) {
			s.visited = true
			beta := betaOf(b)
			if s.onto {
				beta = 1
			}
			s.q.SpMM(1, b.A, xsrc, beta, s.dst)
		}
		s.backward = func(b Block, _, dxsrc tensor.Tensor) {
			s.visited = true
			s.q.SpMM(1, b.A.Trans, s.dout, betaOf(b), dxsrc)
		}
		c.sweep = s
	}
	c.sweep.q, c.sweep.visited = c.Q, false
	return c.sweep
}

func betaOf(b Block) float32 {
	if b.First {
		return 0
	}
	return 1
}

// Aggregate writes A x to y, for x with NumSrc and y with NumDst rows of the same width.
// y may be a column range of a wider tensor. Cost O(m·Cols).
func Aggregate(c *Context, g Graph, x, y tensor.Tensor) {
	checkRows("Aggregate x", x, g.NumSrc())
	checkRows("Aggregate y", y, g.NumDst())
	s := c.sweeper()
	s.dst = y
	g.Sweep(c, x, s.forward)
	if !s.visited {
		c.Q.Fill(0, y)
	}
}

// AggregateBack writes Aᵀ dy to dx, for dy with NumDst and dx with NumSrc rows of the same
// width: the gradient of Aggregate's x. Cost O(m·Cols).
func AggregateBack(c *Context, g Graph, dy, dx tensor.Tensor) {
	checkRows("AggregateBack dy", dy, g.NumDst())
	checkRows("AggregateBack dx", dx, g.NumSrc())
	s := c.sweeper()
	s.dout = dy
	g.SweepBack(c, tensor.Tensor{}, dx, false, s.backward)
	if !s.visited {
		c.Q.Fill(0, dx)
	}
}

func checkRows(op string, t tensor.Tensor, rows int) {
	if t.Rows != rows {
		panic(&tensor.ShapeError{Op: op, Got: t.String(), Want: fmt.Sprintf("%d rows", rows)})
	}
}

func checkCols(op string, t tensor.Tensor, cols int) {
	if t.Cols != cols {
		panic(&tensor.ShapeError{Op: op, Got: t.String(), Want: fmt.Sprintf("%d columns", cols)})
	}
}
