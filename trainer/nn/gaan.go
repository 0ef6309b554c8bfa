package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// Values of the key gate.
const (
	gateLinear  = "linear"  // as GraphSAINT has it
	gateSigmoid = "sigmoid" // as GaAN's paper has it
)

// gatePool is the width of what a gate sees of the largest neighbours.
const gatePool = 64

// gate is what a node multiplies its aggregated heads by,
//
//	g = [x, max over v of (x W_p)[v], A x] W_g          NumDst×K
//
// A x W_g is taken as A (x W_g), K columns instead of In. Neighbours give x W_p and x W_g for
// that, which sources writes.
type gate struct {
	in, heads    int
	sigmoid      bool
	pool, weight *Param
	slots        int
}

// Slots of a gate.
const (
	gateValue = iota
	gateMax
	gateArg
	gateHeads
	slotsOfGate
)

func newGate(b Builder, s Spec, f *frame, heads int, sigmoid bool) *gate {
	return &gate{
		in: s.In, heads: heads, sigmoid: sigmoid, slots: f.ownSlots(),
		pool:   f.add(b.Param(s.Name+".gate.pool", s.In, gatePool, initGlorot)),
		weight: f.add(b.Param(s.Name+".gate.weight", 2*s.In+gatePool, heads, initGlorot)),
	}
}

// parts returns the rows of a gate's weight (or its gradient) for x, the maximum, the mean.
func (a *gate) parts(w tensor.Tensor) (own, largest, mean tensor.Tensor) {
	return w.RowRange(0, a.in), w.RowRange(a.in, a.in+gatePool), w.RowRange(a.in+gatePool, w.Rows)
}

// sources writes what neighbours give to p.
func (a *gate) sources(c *Context, x, p tensor.Tensor) {
	_, _, mean := a.parts(a.weight.Value)
	c.Q.Gemm(false, false, 1, x, a.pool.Value, 0, p.ColRange(0, gatePool))
	c.Q.Gemm(false, false, 1, x, mean, 0, p.ColRange(gatePool, gatePool+a.heads))
}

// forward returns h times the gates of the destinations, whose own rows are self.
func (a *gate) forward(c *Context, g Graph, f *frame, self, p, h tensor.Tensor) tensor.Tensor {
	own, largest, _ := a.parts(a.weight.Value)
	top, arg := c.Temp(tensor.F32, h.Rows, gatePool), c.Temp(tensor.I32, h.Rows, gatePool)
	neighborMax(c, g, p.ColRange(0, gatePool), top, arg)
	v := c.Temp(tensor.F32, h.Rows, a.heads)
	Aggregate(c, g, p.ColRange(gatePool, gatePool+a.heads), v)
	c.Q.Gemm(false, false, 1, self, own, 1, v)
	c.Q.Gemm(false, false, 1, top, largest, 1, v)
	c.Save(a.slots+gateMax, top, Activation)
	c.Save(a.slots+gateArg, arg, Exact)
	c.Save(a.slots+gateValue, v, Exact)
	c.Save(a.slots+gateHeads, h, Activation)
	out := h
	if c.Store != nil {
		out = c.Temp(tensor.F32, h.Rows, f.dim)
	}
	c.Q.HeadScale(a.sigmoid, v, h, out)
	return out
}

// backward turns d, the gradient of what forward returned, into that of h, adds the gradients
// of the gate's parameters and writes that of x to dx, unless that is absent.
func (a *gate) backward(c *Context, g Graph, x, d, dx tensor.Tensor) {
	top, arg := c.Load(a.slots+gateMax), c.Load(a.slots+gateArg)
	v, h := c.Load(a.slots+gateValue), c.Load(a.slots+gateHeads)
	dv := c.Temp(tensor.F32, v.Rows, v.Cols)
	c.Q.HeadScaleBackward(a.sigmoid, v, h, d, d, dv)

	own, largest, mean := a.parts(a.weight.Value)
	dOwn, dLargest, dMean := a.parts(a.weight.Grad)
	c.Q.Gemm(true, false, 1, g.Dst(x), dv, 1, dOwn)
	c.Q.Gemm(true, false, 1, top, dv, 1, dLargest)
	dtop, dp := c.Temp(tensor.F32, v.Rows, gatePool), c.Temp(tensor.F32, x.Rows, gatePool)
	c.Q.Gemm(false, true, 1, dv, largest, 0, dtop)
	neighborMaxBack(c, g, arg, dtop, dp)
	c.Q.Gemm(true, false, 1, x, dp, 1, a.pool.Grad)
	dm := c.Temp(tensor.F32, x.Rows, v.Cols)
	AggregateBack(c, g, dv, dm)
	c.Q.Gemm(true, false, 1, x, dm, 1, dMean)
	if dx.Present() {
		c.Q.Gemm(false, true, 1, dp, a.pool.Value, 0, dx)
		c.Q.Gemm(false, true, 1, dm, mean, 1, dx)
		c.Q.Gemm(false, true, 1, dv, own, 1, g.Dst(dx))
	}
}
