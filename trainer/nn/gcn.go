package nn

import "github.com/saint-gnn/saint/trainer/tensor"

func init() { Register("gcn", newGCN) }

// GCN is the graph convolution of arXiv:1609.02907, equation 2:
//
//	X' = dropout(X)                                     NumSrc×In
//	z  = D^-1/2 (A + I) D^-1/2 X' W                     NumDst×Dim
//	y  = norm(act(z + b))                               NumDst×Dim
//
// A has 1 for every edge of the graph at hand, whatever its weight; D_u = 1 + the edges of u.
// A loop that the graph has counts beside the one that I adds. The graph brings the entries
// (Symmetric), so the layer knows no degrees. A layer of order 0 is a dense one; aggr has
// nothing to join.
//
// Saved for backward: X' (Factor), and z where there is an activation or norm (Activation)
// with the norm's statistics (Exact).
type GCN struct {
	conv
	weight *Param
}

func newGCN(b Builder, s Spec) (Layer, error) {
	if s.Order == 0 {
		return newHighOrder(b, s)
	}
	var none struct{}
	f, err := newConv(s, &none)
	if err != nil {
		return nil, err
	}
	l := &GCN{conv: f}
	l.weight = l.add(b.Param(s.Name+".weight", s.In, s.Dim, initGlorot))
	l.bias = l.add(b.Param(s.Name+".bias", 1, s.Dim, initZeros))
	l.addTail(b, s)
	return l, nil
}

// Weighting returns Symmetric.
func (l *GCN) Weighting() Weighting { return Symmetric }

// ProjDim returns Dim.
func (l *GCN) ProjDim() int { return l.dim }

// Project writes x W to p.
func (l *GCN) Project(c *Context, x, p tensor.Tensor) {
	c.Q.Gemm(false, false, 1, x, l.weight.Value, 0, p)
}

// Forward returns y (NumDst×Dim).
func (l *GCN) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	c.Save(slotX, x, Factor)
	p := c.Temp(tensor.F32, x.Rows, l.dim)
	l.Project(c, x, p)
	z := l.aggregated(c, g, p)
	c.Done(p)
	return l.finish(c, z)
}

// aggregated returns z.
func (l *GCN) aggregated(c *Context, g Graph, p tensor.Tensor) tensor.Tensor {
	g, loops := weigh(g, Symmetric)
	z := l.target(c, g.NumDst())
	aggregateLoops(c, g, loops, p, z)
	return z
}

// ForwardProjected is Forward for sources with the projections p, the destinations' own among
// them.
func (l *GCN) ForwardProjected(c *Context, g Graph, _, p tensor.Tensor) tensor.Tensor {
	return l.finish(c, l.aggregated(c, g, p))
}

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters:
// dP = Âᵀ dz, dW = X'ᵀ dP, dX' = dP Wᵀ.
func (l *GCN) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	dz := l.finishBack(c, dy)
	g, loops := weigh(g, Symmetric)
	dp := c.Temp(tensor.F32, g.NumSrc(), l.dim)
	aggregateLoopsBack(c, g, loops, dz, dp)
	if dz.ID != dy.ID {
		c.Done(dz)
	}
	x := c.LoadRows(slotX)
	c.Q.Gemm(true, false, 1, x, dp, 1, l.weight.Grad)
	c.Done(x)
	if !needDX {
		return tensor.Tensor{}
	}
	dx := c.New(g.NumSrc(), l.in)
	c.Q.Gemm(false, true, 1, dp, l.weight.Value, 0, dx)
	l.inputBack(c, dx)
	return dx
}
