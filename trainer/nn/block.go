package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// Values of ModelSpec.Norm and ModelSpec.Residual.
const (
	normBatch        = "batch"
	residualIdentity = "identity"
	residualProject  = "project"
)

// block runs a layer that has no activation and puts behind it what residual networks do, in
// EXACT's order:
//
//	z = layer(X')                      X' = dropout(X)
//	h = bn(z)                          norm batch: scale (z - mean)/sqrt(var + 1e-5) + offset
//	y = act(h + X')                    residual; X' P where it projects
//
// with mean and var over the rows, and in evaluation their running means. The dropout that
// follows is that of the next layer's input.
//
// Saved for backward, besides what the layer saves: z (Activation) and the statistics (Exact)
// of a batch norm, y for its signs (Activation), X' where it is projected (Factor).
type block struct {
	Layer
	in       int
	act      tensor.Act
	batch    *batchNorm // nil: none
	residual bool
	project  *Param // nil: the identity
	params   []*Param
}

// Slots of a block, behind all that its layer has.
const (
	blockX = 1<<16 + iota
	blockZ
	blockMean
	blockRstd
	blockY
)

// newBlock wraps l, whose input has in columns.
func newBlock(b Builder, name string, in int, l Layer, m *ModelSpec) *block {
	k := &block{Layer: l, in: in, act: m.Act, params: l.Params()[:len(l.Params()):len(l.Params())]}
	add := func(p *Param) *Param {
		k.params = append(k.params, p)
		return p
	}
	switch {
	case m.Residual != "" && in == l.OutDim():
		k.residual = true
	case m.Residual == residualProject:
		k.residual = true
		k.project = add(b.Param(name+".residual.weight", in, l.OutDim(), initGlorot))
	}
	if m.Norm == normBatch {
		k.batch = newBatchNorm(b, name+".norm.", l.OutDim(), add)
	}
	return k
}

// Params returns the layer's, then those of projection and norm.
func (l *block) Params() []*Param { return l.params }

// Weighting returns the layer's.
func (l *block) Weighting() Weighting { return WeightingOf(l.Layer) }

// ReadsInitial returns what the layer says.
func (l *block) ReadsInitial() bool { return readsInitial(l.Layer) }

// InputDrop returns the layer's.
func (l *block) InputDrop(c *Context, layer int) tensor.Drop {
	if d, ok := l.Layer.(Dropper); ok {
		return d.InputDrop(c, layer)
	}
	return tensor.Drop{}
}

// DropsOutput returns true.
func (l *block) DropsOutput() bool { return true }

// drops returns the dropout of the input that the block itself does.
func (l *block) drops(c *Context) tensor.Drop {
	if !c.Train || c.Dropped {
		return tensor.Drop{}
	}
	return l.InputDrop(c, c.Layer)
}

// inside changes the context to that of the layer within and returns what to give back to after.
func (l *block) inside(c *Context) (out tensor.Drop, dropped bool) {
	out, dropped = c.DropOut, c.Dropped
	c.DropOut = tensor.Drop{}
	c.Dropped = dropped || c.Train && l.InputDrop(c, c.Layer).P > 0
	return out, dropped
}

func (l *block) after(c *Context, out tensor.Drop, dropped bool) { c.DropOut, c.Dropped = out, dropped }

// Forward returns y.
func (l *block) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	if d := l.drops(c); d.P > 0 {
		dropped := c.Temp(tensor.F32, x.Rows, x.Cols)
		c.Q.Dropout(d.P, d.Key, x, dropped)
		x = dropped
	}
	into := c.Into
	if c.Store != nil {
		c.Into = tensor.Tensor{} // is for y
	}
	out, dropped := l.inside(c)
	z := l.Layer.Forward(c, g, x)
	l.after(c, out, dropped)
	if c.Store != nil {
		c.Into = into
	}
	return l.finish(c, g.Dst(x), z)
}

// finish returns y for z, which it releases, and the destinations' own rows of the input.
func (l *block) finish(c *Context, self, z tensor.Tensor) tensor.Tensor {
	y := z
	if c.Store != nil {
		y = c.New(z.Rows, z.Cols)
	}
	switch {
	case l.batch != nil:
		c.Save(blockZ, z, Activation)
		l.batch.forward(c, batchNormUsual, blockMean, z, y)
	case c.Store != nil:
		c.Q.Axpby(1, z, 0, y)
	}
	if c.Store != nil {
		c.A.Release(z)
	}
	switch {
	case l.project != nil:
		c.Save(blockX, self, Factor)
		c.Q.Gemm(false, false, 1, self, l.project.Value, 1, y)
	case l.residual:
		c.Q.Axpby(1, self, 1, y)
	}
	if l.act != tensor.Identity || c.DropOut.P > 0 {
		var none tensor.Tensor
		c.Q.BiasActNorm(l.act, none, none, none, y, dropOut(c, 0), y, none, none)
	}
	if l.act != tensor.Identity {
		c.SaveActivated(blockY, y, Activated{Act: l.act})
	}
	return y
}

// Backward returns dx if needDX.
func (l *block) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	d := l.actBack(c, dy)
	dz := d
	if l.batch != nil {
		dz = c.Temp(tensor.F32, dy.Rows, dy.Cols)
		z := c.Load(blockZ)
		l.batch.backward(c, blockMean, z, d, dz)
		c.Done(z)
	}
	if l.project != nil {
		x := c.LoadRows(blockX)
		c.Q.Gemm(true, false, 1, x, d, 1, l.project.Grad)
		c.Done(x)
	}
	out, dropped := l.inside(c)
	spare := c.spareDY
	c.spareDY = dz.ID != d.ID
	dx := l.Layer.Backward(c, g, dz, needDX)
	c.spareDY = spare
	l.after(c, out, dropped)
	if !needDX {
		return dx
	}
	switch {
	case l.project != nil:
		c.Q.Gemm(false, true, 1, d, l.project.Value, 1, g.Dst(dx))
	case l.residual:
		c.Q.Axpby(1, d, 1, g.Dst(dx))
	}
	if drop := l.drops(c); drop.P > 0 {
		c.Q.Dropout(drop.P, drop.Key, dx, dx)
	}
	return dx
}

// actBack returns the gradient of the activation's argument, which may be dy itself.
func (l *block) actBack(c *Context, dy tensor.Tensor) tensor.Tensor {
	y := dy // which the identity does not look at
	if l.act != tensor.Identity {
		y = c.LoadRows(blockY)
	} else if c.DropOut.P == 0 {
		return dy
	}
	var none tensor.Tensor
	d := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	c.Q.BiasActNormBackward(l.act, none, none, none, none, y, dy, dropOut(c, 0), d, none, none, none)
	if l.act != tensor.Identity {
		c.Done(y)
	}
	return d
}

// ProjDim returns the layer's.
func (l *block) ProjDim() int {
	if p, ok := l.Layer.(Projector); ok {
		return p.ProjDim()
	}
	return 0
}

// Project writes the layer's projection.
func (l *block) Project(c *Context, x, p tensor.Tensor) { l.Layer.(Projector).Project(c, x, p) }

// ForwardProjected is Forward for destinations whose own rows are self.
func (l *block) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	return l.finish(c, self, l.Layer.(Projector).ForwardProjected(c, g, self, p))
}

// checkBlock says what is wrong with the options of blocks.
func checkBlock(m *ModelSpec) error {
	switch {
	case m.Norm != "" && m.Norm != normBatch:
		return fmt.Errorf("norm %q: unknown, there is batch", m.Norm)
	case m.Residual != "" && m.Residual != residualIdentity && m.Residual != residualProject:
		return fmt.Errorf("residual %q: unknown, there is identity, project", m.Residual)
	case (m.Norm != "" || m.Residual != "") && m.Bias != biasOnly:
		return fmt.Errorf("bias %q: with norm or residual it must be bias", m.Bias)
	}
	return nil
}
