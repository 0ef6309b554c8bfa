package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters. With
// g_i the gradient of z_i it is
//
//	dW_i = (A^i X')ᵀ g_i = X'ᵀ (Aᵀ)^i g_i,   dX' = sum_i (Aᵀ)^i g_i W_iᵀ
//
// and A moves to the side that Forward had it on. A first layer that aggregates its input
// first does no sparse work here at all.
func (l *HighOrder) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	checkCols("HighOrder dy", dy, l.OutDim())
	x := c.LoadRows(slotX)
	if l.batch != nil {
		dy = l.normalizeBackward(c, dy)
	}
	var dx tensor.Tensor
	if needDX {
		dx = c.New(x.Rows, l.in)
	}
	if l.aggregateFirst {
		l.backAggregated(c, g, x, dy, dx)
	} else {
		l.backProjected(c, g, x, dy, dx)
	}
	if needDX && l.dropsOut(c) {
		c.Q.Dropout(l.dropout, c.Rand(slotX), dx, dx)
	}
	return dx
}

// backProjected collects the gradients (Aᵀ)^i g_i of X' W_i of all hops side by side, so that
// one product reads X' for all weights and one adds up the hops of dX'.
func (l *HighOrder) backProjected(c *Context, g Graph, x, dy, dx tensor.Tensor) {
	all := l.wide(c, x.Rows)
	s := hopScratch{}
	var dz tensor.Tensor
	for i := range l.hops {
		u := l.joined(i, all)
		if i == 0 {
			l.activateBackward(c, 0, dy, u)
			continue
		}
		if !dz.Present() {
			dz = c.Temp(tensor.F32, dy.Rows, l.dim)
		}
		l.activateBackward(c, i, dy, dz)
		from := dz
		for j := 1; j < i; j++ {
			next := s.buffer(c, j, x.Rows, l.dim)
			AggregateBack(c, g, from, next)
			from = next
		}
		AggregateBack(c, g, from, u)
	}
	if l.order == 0 {
		l.backProduct(c, 0, x, all, dx, 0)
		return
	}
	dw := l.wide(c, l.in)
	c.Q.Gemm(true, false, 1, x, all, 0, dw)
	for i := range l.hops {
		c.Q.Axpby(1, l.joined(i, dw), 1, l.hops[i].weight.Grad)
	}
	if dx.Present() {
		c.Q.Gemm(false, true, 1, all, l.joinedWeights(c), 0, dx)
	}
}

// backAggregated goes from the last hop to the first and carries the gradient of A^i X':
// it is g_i W_iᵀ plus Aᵀ times that of A^(i+1) X'. The carriers alternate so that the last
// one is dx.
func (l *HighOrder) backAggregated(c *Context, g Graph, x, dy, dx tensor.Tensor) {
	dz := c.Temp(tensor.F32, dy.Rows, l.dim)
	s := hopScratch{}
	var carry tensor.Tensor
	for i := l.order; i >= 0; i-- {
		l.activateBackward(c, i, dy, dz)
		h := x
		if i > 0 {
			h = c.LoadRows(hopSlot(i, hopInput))
		}
		next, beta := dx, float32(0)
		if dx.Present() {
			if i%2 == 1 {
				next = s.buffer(c, i, x.Rows, l.in)
			}
			if i < l.order {
				AggregateBack(c, g, carry, next)
				beta = 1
			}
		}
		l.backProduct(c, i, h, dz, next, beta)
		carry = next
	}
}

// backProduct adds inᵀ d to dW_i and, if din is present, d W_iᵀ to beta din.
func (l *HighOrder) backProduct(c *Context, i int, in, d, din tensor.Tensor, beta float32) {
	w := l.hops[i].weight
	c.Q.Gemm(true, false, 1, in, d, 1, w.Grad)
	if din.Present() {
		c.Q.Gemm(false, true, 1, d, w.Value, beta, din)
	}
}

// activateBackward writes the gradient of z_i to dz, from that of y.
func (l *HighOrder) activateBackward(c *Context, i int, dy, dz tensor.Tensor) {
	if !l.sum {
		dy = l.joined(i, dy)
	}
	z := l.z[i]
	switch {
	case !l.needsZ():
		z = dy // its values do not count
	case l.batch == nil:
		z = c.LoadRows(hopSlot(i, hopZ))
	}
	h := &l.hops[i]
	var scale, mean, rstd, dscale, doffset tensor.Tensor
	if h.scale != nil {
		scale, dscale, doffset = h.scale.Value, h.scale.Grad, h.offset.Grad
		mean, rstd = c.Load(hopSlot(i, hopMean)), c.Load(hopSlot(i, hopRstd))
	}
	c.Q.BiasActNormBackward(l.act, h.bias.Value, scale, mean, rstd, z, dy, l.dropOut(c, i), dz, h.bias.Grad, dscale, doffset)
}

// normalizeBackward returns the gradient of the joined hops. It computes them again from
// the z_i: one pass over memory is cheaper than keeping them through the step.
func (l *HighOrder) normalizeBackward(c *Context, dy tensor.Tensor) tensor.Tensor {
	joined := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	var none, h tensor.Tensor
	for i := range l.hops {
		l.z[i] = c.LoadRows(hopSlot(i, hopZ))
		bias := l.hops[i].bias.Value
		if !l.sum || i == 0 {
			c.Q.BiasActNorm(l.act, bias, none, none, l.z[i], tensor.Drop{}, l.joined(i, joined), none, none)
			continue
		}
		if !h.Present() {
			h = c.Temp(tensor.F32, dy.Rows, l.dim)
		}
		c.Q.BiasActNorm(l.act, bias, none, none, l.z[i], tensor.Drop{}, h, none, none)
		c.Q.Axpby(1, h, 1, joined)
	}
	b := l.batch
	dj := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	c.Q.BatchNormBackward(b.scale.Value, c.Load(slotBatchMean), c.Load(slotBatchRstd), joined, dy, dj,
		b.scale.Grad, b.offset.Grad)
	return dj
}
