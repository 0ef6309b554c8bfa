package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// conv is what layers of one hop have in common around it: dropout of the input before, and
// behind it
//
//	y = norm(act(z + b))          bias "norm": over the columns of each row
//	y = batchnorm(act(z + b))     bias "norm-nn"
//
// Saved for backward: z (Activation) and the statistics (Exact), but nothing where act is the
// identity and there is no norm, because then y is z + b.
type conv struct {
	in, dim int
	act     tensor.Act
	dropout float32
	bias    *Param // nil: none
	norm    rowNorm
	batch   *batchNorm
	params  []*Param
}

// Slots of conv.
const (
	convZ = slotBatchRstd + 1 + iota
	convMean
	convRstd
	convSlots // the first that is the layer's own
)

// newConv checks the specification and decodes the layer's own keys into keys.
func newConv(s Spec, keys any) (conv, error) {
	extra := s.Extra
	s.Extra = nil
	if s.Order != 1 {
		return conv{}, fmt.Errorf("order %d: must be 0 or 1", s.Order)
	}
	if err := checkHighOrder(s); err != nil {
		return conv{}, err
	}
	if s.Heads > 1 {
		return conv{}, fmt.Errorf("%d heads: the layer has no attention", s.Heads)
	}
	if extra != nil {
		if err := extra.Decode(keys); err != nil {
			return conv{}, err
		}
	}
	return conv{in: s.In, dim: s.Dim, act: s.Act, dropout: s.Dropout}, nil
}

func (l *conv) add(p *Param) *Param {
	l.params = append(l.params, p)
	return p
}

// addTail adds the parameters of what follows the hop, but no bias.
func (l *conv) addTail(b Builder, s Spec) {
	switch s.Bias {
	case biasNorm:
		l.norm = rowNorm{
			scale:  l.add(b.Param(s.Name+".scale", 1, s.Dim, initOnes)),
			offset: l.add(b.Param(s.Name+".offset", 1, s.Dim, initZeros)),
		}
	case biasBatch:
		l.batch = newBatchNorm(b, s.Name+".norm.", s.Dim, l.add)
	}
}

// newBatchNorm makes the parameters and running statistics of a batch norm.
func newBatchNorm(b Builder, name string, dim int, add func(*Param) *Param) *batchNorm {
	return &batchNorm{
		scale:    add(b.Param(name+"scale", 1, dim, initOnes)),
		offset:   add(b.Param(name+"offset", 1, dim, initZeros)),
		mean:     add(b.Buffer(name+"running_mean", 1, dim, initZeros)),
		variance: add(b.Buffer(name+"running_var", 1, dim, initOnes)),
	}
}

// Params returns the parameters of the hop, then those of the norm.
func (l *conv) Params() []*Param { return l.params }

// OutDim returns Dim.
func (l *conv) OutDim() int { return l.dim }

// Hops returns 1.
func (l *conv) Hops() int { return 1 }

// InputDrop returns the layer's dropout.
func (l *conv) InputDrop(c *Context, layer int) tensor.Drop {
	if l.dropout == 0 {
		return tensor.Drop{}
	}
	key := tensor.RandKey{Seed: c.Seed, Step: c.Step, Layer: uint32(layer), Slot: slotX}
	return tensor.Drop{P: l.dropout, Key: key, Width: l.in}
}

// DropsOutput returns true where the output is written once and for all.
func (l *conv) DropsOutput() bool { return l.batch == nil }

func (l *conv) dropsOut(c *Context) bool { return c.Train && l.dropout > 0 && !c.Dropped }

// input returns x, dropped out where the layer does that.
func (l *conv) input(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	checkCols("layer's x", x, l.in)
	checkRows("layer's x", x, g.NumSrc())
	if !l.dropsOut(c) {
		return x
	}
	dropped := c.Temp(tensor.F32, x.Rows, x.Cols)
	c.Q.Dropout(l.dropout, c.Rand(slotX), x, dropped)
	return dropped
}

// inputBack finishes dx, the gradient of what input returned.
func (l *conv) inputBack(c *Context, dx tensor.Tensor) {
	if l.dropsOut(c) {
		c.Q.Dropout(l.dropout, c.Rand(slotX), dx, dx)
	}
}

// plain reports whether y = z + b.
func (l *conv) plain() bool {
	return l.act == tensor.Identity && l.norm.scale == nil && l.batch == nil
}

// target returns the tensor for z: where nothing is kept of it, the output.
func (l *conv) target(c *Context, rows int) tensor.Tensor {
	if c.Store == nil || l.plain() {
		return c.New(rows, l.dim)
	}
	return c.Temp(tensor.F32, rows, l.dim)
}

func valueOf(p *Param) tensor.Tensor {
	if p == nil {
		return tensor.Tensor{}
	}
	return p.Value
}

func gradOf(p *Param) tensor.Tensor {
	if p == nil {
		return tensor.Tensor{}
	}
	return p.Grad
}

// finish returns the layer's output for z, which target made.
func (l *conv) finish(c *Context, z tensor.Tensor) tensor.Tensor {
	y := z
	if c.Store != nil && !l.plain() {
		c.SaveActivated(convZ, z, Activated{Act: l.act, Bias: valueOf(l.bias), Values: l.norm.scale != nil || l.batch != nil})
		if own, ok := c.reuse(z); ok {
			y = own
		} else {
			y = c.New(z.Rows, l.dim)
		}
	}
	var mean, rstd tensor.Tensor
	if l.norm.scale != nil {
		mean, rstd = c.Temp(tensor.F32, z.Rows, 1), c.Temp(tensor.F32, z.Rows, 1)
	}
	if !l.plain() || l.bias != nil || c.DropOut.P > 0 {
		c.Q.BiasActNorm(l.act, valueOf(l.bias), valueOf(l.norm.scale), valueOf(l.norm.offset), z, dropOut(c, 0), y, mean, rstd)
	}
	if l.norm.scale != nil {
		c.Save(convMean, mean, Exact)
		c.Save(convRstd, rstd, Exact)
	}
	if l.batch != nil {
		l.batch.forward(c, batchNormEps, slotBatchMean, y, y)
	}
	return y
}

// finishBack returns the gradient of z, which may be dy itself: the caller must not write to it.
func (l *conv) finishBack(c *Context, dy tensor.Tensor) tensor.Tensor {
	checkCols("layer's dy", dy, l.dim)
	if l.plain() && l.bias == nil && c.DropOut.P == 0 {
		return dy
	}
	dz := dy
	if !c.spareDY || l.batch != nil {
		dz = c.Temp(tensor.F32, dy.Rows, dy.Cols)
	}
	var none, mean, rstd tensor.Tensor
	z := dy // which the identity does not look at
	if !l.plain() {
		z = c.LoadRows(convZ)
	}
	if l.batch != nil {
		joined := c.Temp(tensor.F32, dy.Rows, dy.Cols)
		c.Q.BiasActNorm(l.act, valueOf(l.bias), none, none, z, tensor.Drop{}, joined, none, none)
		l.batch.backward(c, slotBatchMean, joined, dy, dz)
		c.Done(joined)
		dy = dz
	}
	if l.norm.scale != nil {
		mean, rstd = c.Load(convMean), c.Load(convRstd)
	}
	c.Q.BiasActNormBackward(l.act, valueOf(l.bias), valueOf(l.norm.scale), mean, rstd, z, dy, dropOut(c, 0), dz,
		gradOf(l.bias), gradOf(l.norm.scale), gradOf(l.norm.offset))
	if !l.plain() {
		c.Done(z)
	}
	return dz
}

// forward writes the batch norm of x to y, which may be x. It saves the statistics in slots
// slot and slot+1.
func (b *batchNorm) forward(c *Context, eps float32, slot int, x, y tensor.Tensor) {
	if !c.Train {
		c.Q.BatchNormInfer(eps, b.scale.Value, b.offset.Value, b.mean.Value, b.variance.Value, x, y)
		return
	}
	mean, rstd := c.Temp(tensor.F32, 1, x.Cols), c.Temp(tensor.F32, 1, x.Cols)
	c.Q.BatchNorm(eps, batchNormMomentum, b.scale.Value, b.offset.Value, x, y, mean, rstd, b.mean.Value, b.variance.Value)
	c.Save(slot, mean, Exact)
	c.Save(slot+1, rstd, Exact)
}

// backward writes the gradient of forward's x to dx and adds those of the parameters.
func (b *batchNorm) backward(c *Context, slot int, x, dy, dx tensor.Tensor) {
	c.Q.BatchNormBackward(b.scale.Value, c.Load(slot), c.Load(slot+1), x, dy, dx, b.scale.Grad, b.offset.Grad)
}
