package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters. It goes
// from the last order to the first: an order's scores of destinations are those of lower ones.
func (l *Attention) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	checkCols("Attention dy", dy, l.OutDim())
	x := c.Load(slotX)
	var fewH, fewD [4]tensor.Tensor
	finals, grads := fewH[:0], fewD[:0]
	for i := range l.orders {
		finals = append(finals, c.Load(orderSlot(i, orderFinal)))
	}
	dy = l.normalizeBackward(c, finals, dy)
	for i := range l.orders {
		d := c.Temp(tensor.F32, dy.Rows, l.dim)
		l.joinBackward(c, i, finals[i], dy, d)
		grads = append(grads, d)
	}
	var dx tensor.Tensor
	if needDX {
		dx = c.New(x.Rows, l.in)
	}
	beta := float32(0)
	for i := l.order; i > 0; i-- {
		d := grads[i]
		if l.gate != nil {
			l.gate.backward(c, g, x, d, dx)
			beta = 1
		}
		p, dp := l.attendBackward(c, g, i, finals, grads, d)
		o := &l.orders[i]
		l.projectBackward(c, x, o.weight, o.bias, l.features(p), l.features(dp), beta, dx)
		beta = 1
	}
	o := &l.orders[0]
	self := dx
	if needDX {
		self = g.Dst(dx)
	}
	l.projectBackward(c, g.Dst(x), o.weight, o.bias, finals[0], grads[0], beta, self)
	if needDX && l.dropsOut(c) {
		c.Q.Dropout(l.dropout, c.Rand(slotX), dx, dx)
	}
	return dx
}

// attendBackward returns the sources of order i before its aggregations and their gradient,
// from d, that of what came out; it adds to the gradients of the lower orders' final rows.
func (l *Attention) attendBackward(c *Context, g Graph, i int, finals, grads []tensor.Tensor, d tensor.Tensor) (p, dp tensor.Tensor) {
	o := &l.orders[i]
	for j := i - 1; j >= 0; j-- {
		p = c.Load(l.stepSlot(i, j, stepSource))
		s := c.Load(l.stepSlot(i, j, stepScore))
		mean := c.Load(l.stepSlot(i, j, stepMean))
		ds := c.Temp(tensor.F32, s.Rows, s.Cols)
		c.Q.HeadDots(tensor.Identity, mean, d, tensor.Tensor{}, ds)
		lower := i - j - 1
		c.Q.HeadDotsBackward(tensor.LeakyReLU, finals[lower], o.self.Value, s, ds, 1, grads[lower], o.self.Grad, tensor.Tensor{})
		dp = l.scored(c.Temp(tensor.F32, p.Rows, l.sourceWidth()))
		aggregateHeadsBack(c, g, tensor.HeadSelf{S: s}, p, d, dp, tensor.Tensor{})
		c.Q.HeadDotsBackward(tensor.LeakyReLU, l.features(p), o.neigh.Value, l.scores(p), l.scores(dp), 1, l.features(dp), o.neigh.Grad, tensor.Tensor{})
		d = l.features(dp)
	}
	return p, dp
}
