package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// frame is what layers of hops have in common around their hops: dropout of the input, norms,
// and joining. Order i's final rows are normalised, over the columns of each of its groups,
// into their place in the output.
type frame struct {
	in, dim, order int
	act            tensor.Act
	sum            bool // join hops by adding
	dropout        float32
	groups         int       // ranges of columns with a norm of their own
	norms          []rowNorm // one for each order with "norm", else empty
	batch          *batchNorm
	params         []*Param
}

// rowNorm holds the parameters of "norm".
type rowNorm struct{ scale, offset *Param }

// Slots of a frame's orders, from slotHops + slotsPerOrder i.
const (
	orderMean = iota
	orderRstd
	orderFinal
	slotsPerOrder
)

func orderSlot(i, what int) int { return slotHops + slotsPerOrder*i + what }

// ownSlots is the first slot that the frame leaves to the layer.
func (f *frame) ownSlots() int { return orderSlot(f.order+1, 0) }

// newFrame checks the specification.
func newFrame(s Spec) (frame, error) {
	s.Extra = nil
	if err := checkHighOrder(s); err != nil {
		return frame{}, err
	}
	return frame{
		in: s.In, dim: s.Dim, order: s.Order, act: s.Act, sum: s.Aggr == aggrMean, dropout: s.Dropout, groups: 1,
	}, nil
}

// headsOfSpec returns the number of heads, one if the specification has none.
func headsOfSpec(s Spec) (int, error) {
	k := max(s.Heads, 1)
	if s.Dim%k != 0 {
		return 0, fmt.Errorf("%d heads: must divide the width, %d", k, s.Dim)
	}
	return k, nil
}

func (f *frame) add(p *Param) *Param {
	f.params = append(f.params, p)
	return p
}

// addNorm adds the parameters of order i's norm, if there is one.
func (f *frame) addNorm(b Builder, s Spec, i int) {
	if s.Bias != biasNorm {
		return
	}
	name := fmt.Sprintf("%s.hops.%d.", s.Name, i)
	f.norms = append(f.norms, rowNorm{
		scale:  f.add(b.Param(name+"scale", 1, s.Dim, initOnes)),
		offset: f.add(b.Param(name+"offset", 1, s.Dim, initZeros)),
	})
}

// addBatch adds the parameters of "norm-nn", if that is asked for.
func (f *frame) addBatch(b Builder, s Spec) {
	if s.Bias != biasBatch {
		return
	}
	name := s.Name + ".norm."
	f.batch = &batchNorm{
		scale:    f.add(b.Param(name+"scale", 1, f.OutDim(), initOnes)),
		offset:   f.add(b.Param(name+"offset", 1, f.OutDim(), initZeros)),
		mean:     f.add(b.Buffer(name+"running_mean", 1, f.OutDim(), initZeros)),
		variance: f.add(b.Buffer(name+"running_var", 1, f.OutDim(), initOnes)),
	}
}

// Params returns the parameters of every order, then those of the layer, then those of the
// batch norm.
func (f *frame) Params() []*Param { return f.params }

// OutDim returns Dim for every order, or Dim where orders are summed.
func (f *frame) OutDim() int {
	if f.sum {
		return f.dim
	}
	return (f.order + 1) * f.dim
}

// InputDrop returns the layer's dropout.
func (f *frame) InputDrop(c *Context, layer int) tensor.Drop {
	if f.dropout == 0 {
		return tensor.Drop{}
	}
	key := tensor.RandKey{Seed: c.Seed, Step: c.Step, Layer: uint32(layer), Slot: slotX}
	return tensor.Drop{P: f.dropout, Key: key, Width: f.in}
}

// DropsOutput returns true where orders write their columns of the output once and for all.
func (f *frame) DropsOutput() bool { return f.batch == nil && (!f.sum || f.order == 0) }

func (f *frame) dropsOut(c *Context) bool { return c.Train && f.dropout > 0 && !c.Dropped }

// input returns x, dropped out where the layer does that, and saves it.
func (f *frame) input(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	checkCols("attention x", x, f.in)
	checkRows("attention x", x, g.NumSrc())
	if f.order > 1 {
		checkRows("attention of order above 1: sources", x, g.NumDst())
	}
	if f.dropsOut(c) {
		dropped := c.Temp(tensor.F32, x.Rows, x.Cols)
		c.Q.Dropout(f.dropout, c.Rand(slotX), x, dropped)
		x = dropped
	}
	c.Save(slotX, x, Activation)
	return x
}

// dropOut returns the dropout of the output's columns from col on.
func dropOut(c *Context, col int) tensor.Drop {
	if c.DropOut.P == 0 {
		return tensor.Drop{}
	}
	return c.DropOut.At(col)
}

// column returns where order i begins in the output.
func (f *frame) column(i int) int {
	if f.sum {
		return 0
	}
	return i * f.dim
}

func (f *frame) place(i int, y tensor.Tensor) tensor.Tensor {
	return y.ColRange(f.column(i), f.column(i)+f.dim)
}

// join makes the final rows of order i, which act has made, part of y and saves them. act is Identity for
// rows that were aggregated last: scores below 0 make values of any sign.
func (f *frame) join(c *Context, i int, act tensor.Act, h, y tensor.Tensor) {
	saved := Activated{Act: act, Values: true} // whose sign is its argument's
	if len(f.norms) > 0 && f.groups > 1 {
		saved.Group = f.dim / f.groups
	}
	c.SaveActivated(orderSlot(i, orderFinal), h, saved)
	out := f.place(i, y)
	adds := f.sum && i > 0
	if len(f.norms) == 0 {
		if adds {
			c.Q.Axpby(1, h, 1, out)
			return
		}
		var none tensor.Tensor
		c.Q.BiasActNorm(tensor.Identity, none, none, none, h, dropOut(c, f.column(i)), out, none, none)
		return
	}
	if adds {
		out = c.Temp(tensor.F32, y.Rows, f.dim)
	}
	mean, rstd := c.Temp(tensor.F32, y.Rows, f.groups), c.Temp(tensor.F32, y.Rows, f.groups)
	f.norm(c, i, h, out, mean, rstd)
	c.Save(orderSlot(i, orderMean), mean, Exact)
	c.Save(orderSlot(i, orderRstd), rstd, Exact)
	if adds {
		c.Q.Axpby(1, out, 1, y)
	}
}

// norm writes order i's norm of h to out, and mean and rstd of its groups.
func (f *frame) norm(c *Context, i int, h, out, mean, rstd tensor.Tensor) {
	n := &f.norms[i]
	if q, ok := c.Q.(tensor.HeadNorms); ok && f.groups > 1 {
		q.HeadNorm(n.scale.Value, n.offset.Value, h, dropOut(c, f.column(i)), out, mean, rstd)
		return
	}
	w := f.dim / f.groups
	for k := range f.groups {
		lo, hi := k*w, (k+1)*w
		c.Q.BiasActNorm(tensor.Identity, tensor.Tensor{}, n.scale.Value.ColRange(lo, hi), n.offset.Value.ColRange(lo, hi), h.ColRange(lo, hi),
			dropOut(c, f.column(i)+lo), out.ColRange(lo, hi), mean.ColRange(k, k+1), rstd.ColRange(k, k+1))
	}
}

// joinBackward writes the gradient of order i's final rows h to dh, from that of y.
func (f *frame) joinBackward(c *Context, i int, h, dy, dh tensor.Tensor) {
	dy = f.place(i, dy)
	var none tensor.Tensor
	if len(f.norms) == 0 {
		c.Q.BiasActNormBackward(tensor.Identity, none, none, none, none, h, dy, dropOut(c, f.column(i)), dh, none, none, none)
		return
	}
	mean, rstd := c.Load(orderSlot(i, orderMean)), c.Load(orderSlot(i, orderRstd))
	n := &f.norms[i]
	if q, ok := c.Q.(tensor.HeadNorms); ok && f.groups > 1 {
		q.HeadNormBackward(n.scale.Value, mean, rstd, h, dy, dropOut(c, f.column(i)), dh, n.scale.Grad, n.offset.Grad)
		return
	}
	w := f.dim / f.groups
	for k := range f.groups {
		lo, hi := k*w, (k+1)*w
		c.Q.BiasActNormBackward(tensor.Identity, none, n.scale.Value.ColRange(lo, hi), mean.ColRange(k, k+1), rstd.ColRange(k, k+1),
			h.ColRange(lo, hi), dy.ColRange(lo, hi), dropOut(c, f.column(i)+lo), dh.ColRange(lo, hi), none,
			n.scale.Grad.ColRange(lo, hi), n.offset.Grad.ColRange(lo, hi))
	}
}

// normalize applies the batch norm to y in place.
func (f *frame) normalize(c *Context, y tensor.Tensor) {
	b := f.batch
	if b == nil {
		return
	}
	if !c.Train {
		c.Q.BatchNormInfer(batchNormEps, b.scale.Value, b.offset.Value, b.mean.Value, b.variance.Value, y, y)
		return
	}
	mean, rstd := c.Temp(tensor.F32, 1, y.Cols), c.Temp(tensor.F32, 1, y.Cols)
	c.Q.BatchNorm(batchNormEps, batchNormMomentum, b.scale.Value, b.offset.Value, y, y, mean, rstd,
		b.mean.Value, b.variance.Value)
	c.Save(slotBatchMean, mean, Exact)
	c.Save(slotBatchRstd, rstd, Exact)
}

// normalizeBackward returns the gradient of the joined orders, whose final rows are finals; it
// joins them again rather than keep the result through the step.
func (f *frame) normalizeBackward(c *Context, finals []tensor.Tensor, dy tensor.Tensor) tensor.Tensor {
	if f.batch == nil {
		return dy
	}
	joined := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	for i, h := range finals {
		beta := float32(0)
		if f.sum && i > 0 {
			beta = 1
		}
		c.Q.Axpby(1, h, beta, f.place(i, joined))
	}
	b := f.batch
	dj := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	c.Q.BatchNormBackward(b.scale.Value, c.Load(slotBatchMean), c.Load(slotBatchRstd), joined, dy, dj,
		b.scale.Grad, b.offset.Grad)
	return dj
}

// project writes act(x W + b) to z.
func (f *frame) project(c *Context, x tensor.Tensor, w, b *Param, z tensor.Tensor) {
	var none tensor.Tensor
	c.Q.Gemm(false, false, 1, x, w.Value, 0, z)
	c.Q.BiasActNorm(f.act, b.Value, none, none, z, tensor.Drop{}, z, none, none)
}

// activateBackward turns dz, the gradient of z = act(… + b), into that of the argument and adds
// the gradient of b. An activated value has the sign that its argument had, so the derivative
// is the same.
func (f *frame) activateBackward(c *Context, b *Param, z, dz tensor.Tensor) {
	var none tensor.Tensor
	zero := c.Temp(tensor.F32, 1, z.Cols)
	c.Q.Fill(0, zero)
	c.Q.BiasActNormBackward(f.act, zero, none, none, none, z, dz, tensor.Drop{}, dz, b.Grad, none, none)
}

// projectBackward adds the gradients of project's weight and bias for dz, the gradient of what
// it wrote, z, and makes the gradient of x part of dx, if that is present. dz is overwritten.
func (f *frame) projectBackward(c *Context, x tensor.Tensor, w, b *Param, z, dz tensor.Tensor, beta float32, dx tensor.Tensor) {
	f.activateBackward(c, b, z, dz)
	c.Q.Gemm(true, false, 1, x, dz, 1, w.Grad)
	if dx.Present() {
		c.Q.Gemm(false, true, 1, dz, w.Value, beta, dx)
	}
}
