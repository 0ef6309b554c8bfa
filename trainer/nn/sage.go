package nn

import "github.com/saint-gnn/saint/trainer/tensor"

func init() { Register("sage", newSAGE) }

// SAGE is GraphSAGE's layer with the mean of the neighbours (arXiv:1706.02216, algorithm 1 with
// the sum of two products for the product of a concatenation), as EXACT trains it:
//
//	X' = dropout(X)                                     NumSrc×In
//	z  = (A X') W_neigh + X' W_root                     NumDst×Dim
//	y  = norm(act(z + b))                               NumDst×Dim
//
// With the key normalize the rows of z + b are scaled to unit length before act. A is the
// sampled adjacency: the row mean in a whole graph, GraphSAINT's unbiased estimate of it in a
// sample. Where In is less than Dim it aggregates X' and not the product. A layer of order 0 is
// a dense one; aggr has nothing to join.
//
// Saved for backward: X' and, where that was made, A X' (Factor); z where there is an activation
// or norm (Activation); with normalize the unit rows (Activation) and lengths (Exact).
type SAGE struct {
	conv
	neigh, root    *Param
	unscaled       *Param // the bias, with normalize; else nil
	aggregateFirst bool
}

// Slots of SAGE after its conv's.
const (
	sageMean = convSlots + iota
	sageUnit
	sageLength
)

func newSAGE(b Builder, s Spec) (Layer, error) {
	if s.Order == 0 {
		return newHighOrder(b, s)
	}
	var keys struct {
		Normalize bool `yaml:"normalize"`
	}
	f, err := newConv(s, &keys)
	if err != nil {
		return nil, err
	}
	l := &SAGE{conv: f, aggregateFirst: s.In < s.Dim}
	l.neigh = l.add(b.Param(s.Name+".neigh.weight", s.In, s.Dim, initGlorot))
	l.root = l.add(b.Param(s.Name+".root.weight", s.In, s.Dim, initGlorot))
	bias := l.add(b.Param(s.Name+".bias", 1, s.Dim, initZeros))
	if keys.Normalize {
		l.unscaled = bias
	} else {
		l.bias = bias
	}
	l.addTail(b, s)
	return l, nil
}

// ProjDim returns Dim where the layer multiplies before it aggregates.
func (l *SAGE) ProjDim() int {
	if l.aggregateFirst {
		return 0
	}
	return l.dim
}

// Project writes x W_neigh to p.
func (l *SAGE) Project(c *Context, x, p tensor.Tensor) {
	c.Q.Gemm(false, false, 1, x, l.neigh.Value, 0, p)
}

// Forward returns y (NumDst×Dim).
func (l *SAGE) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	c.Save(slotX, x, Factor)
	if !l.aggregateFirst {
		p := c.Temp(tensor.F32, x.Rows, l.dim)
		l.Project(c, x, p)
		z := l.hopTarget(c, g.NumDst())
		Aggregate(c, g, p, z)
		c.Done(p)
		return l.rooted(c, g.Dst(x), z)
	}
	mean := c.Temp(tensor.F32, g.NumDst(), l.in)
	Aggregate(c, g, x, mean)
	c.Save(sageMean, mean, Factor)
	z := l.hopTarget(c, g.NumDst())
	c.Q.Gemm(false, false, 1, mean, l.neigh.Value, 0, z)
	c.Done(mean)
	return l.rooted(c, g.Dst(x), z)
}

// ForwardProjected is Forward for destinations whose own rows are self and whose sources have
// the projections p.
func (l *SAGE) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	z := l.hopTarget(c, g.NumDst())
	Aggregate(c, g, p, z)
	return l.rooted(c, self, z)
}

// hopTarget returns the tensor for z before it is scaled.
func (l *SAGE) hopTarget(c *Context, rows int) tensor.Tensor {
	if l.unscaled != nil {
		return c.Temp(tensor.F32, rows, l.dim)
	}
	return l.target(c, rows)
}

// rooted adds the destinations' own part to z and returns the output.
func (l *SAGE) rooted(c *Context, self, z tensor.Tensor) tensor.Tensor {
	c.Q.Gemm(false, false, 1, self, l.root.Value, 1, z)
	if l.unscaled == nil {
		return l.finish(c, z)
	}
	c.Q.Axpby(1, l.unscaled.Value, 1, z) // broadcast over the rows
	unit, length := l.target(c, z.Rows), c.Temp(tensor.F32, z.Rows, 1)
	c.Q.NormalizeRows(z, unit, length)
	kept := unit
	if c.DropOut.P > 0 && l.plain() { // finish drops out in place
		kept = z
		c.Q.Axpby(1, unit, 0, kept)
	}
	c.Save(sageUnit, kept, Activation)
	c.Save(sageLength, length, Exact)
	return l.finish(c, unit)
}

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters.
func (l *SAGE) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	dz := l.finishBack(c, dy)
	if l.unscaled != nil {
		scaled := c.Temp(tensor.F32, dz.Rows, dz.Cols)
		c.Q.NormalizeRowsBackward(dz, c.loadUnitRows(sageUnit), c.Load(sageLength), scaled)
		c.Q.BiasActNormBackward(tensor.Identity, l.unscaled.Value, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{}, scaled, scaled,
			tensor.Drop{}, scaled, l.unscaled.Grad, tensor.Tensor{}, tensor.Tensor{})
		dz = scaled
	}
	var dp, dx tensor.Tensor
	if l.aggregateFirst {
		mean := c.LoadRows(sageMean)
		c.Q.Gemm(true, false, 1, mean, dz, 1, l.neigh.Grad)
		c.Done(mean)
	} else {
		dp = c.Temp(tensor.F32, g.NumSrc(), l.dim)
		AggregateBack(c, g, dz, dp)
	}
	l.weightsBack(c, g, dz, dp)
	if !needDX {
		return dx
	}
	dx = c.New(g.NumSrc(), l.in)
	if l.aggregateFirst {
		dmean := c.Temp(tensor.F32, dz.Rows, l.in)
		c.Q.Gemm(false, true, 1, dz, l.neigh.Value, 0, dmean)
		AggregateBack(c, g, dmean, dx)
	} else {
		c.Q.Gemm(false, true, 1, dp, l.neigh.Value, 0, dx)
	}
	c.Q.Gemm(false, true, 1, dz, l.root.Value, 1, g.Dst(dx))
	l.inputBack(c, dx)
	return dx
}

// weightsBack adds the gradients that need the input.
func (l *SAGE) weightsBack(c *Context, g Graph, dz, dp tensor.Tensor) {
	x := c.LoadRows(slotX)
	c.Q.Gemm(true, false, 1, g.Dst(x), dz, 1, l.root.Grad)
	if dp.Present() {
		c.Q.Gemm(true, false, 1, x, dp, 1, l.neigh.Grad)
	}
	c.Done(x)
}
