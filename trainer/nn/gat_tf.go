package nn

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("gat_tf", newAttentionTF) }

// AttentionTF is the attention layer of GraphSAINT's TensorFlow variant, order 1:
//
//	X1, X2 = dropout(X), independently
//	f_0 = act(X1 W_0 + b_0),  h = X2 W_1
//	f_1 = act(sum over v of max(a1 h[u] + c1 + a2 h[v] + c2, 0) A_uv h[v] + b_1)  for each head
//	y   = norm(f_0), norm(f_1), joined
//
// with norms over all heads of an order. A layer of order 0 is a dense one.
//
// Saved for backward: X1, X2, f_0, f_1 and h with its scores (Activation), the norms' statistics
// (Exact).
type AttentionTF struct {
	frame
	heads                            int
	weight                           [2]*Param
	bias                             [2]*Param
	self, neigh, selfBias, neighBias *Param
}

// Slots of AttentionTF after its frame's.
const (
	tfNeighbors = iota // X2
	tfSource
)

func newAttentionTF(b Builder, s Spec) (Layer, error) {
	f, err := newFrame(s)
	if err != nil {
		return nil, err
	}
	heads, err := headsOfSpec(s)
	switch {
	case err != nil:
		return nil, err
	case s.Order > 1:
		return nil, errors.New("attention_variant tf: the order must be 0 or 1")
	case s.Order == 0:
		return newHighOrder(b, s)
	case s.Extra != nil:
		var none struct{}
		if err := s.Extra.Decode(&none); err != nil {
			return nil, err
		}
	}
	l := &AttentionTF{frame: f, heads: heads}
	width := s.Dim / heads
	for i, fans := range []int{s.In + s.Dim, s.In + width} {
		name := fmt.Sprintf("%s.hops.%d.", s.Name, i)
		l.weight[i] = l.add(b.Param(name+"weight", s.In, s.Dim, glorotOver(fans)))
		l.bias[i] = l.add(b.Param(name+"bias", 1, s.Dim, initZeros))
		if i == 1 {
			l.self = l.add(b.Param(name+"attention_self", 1, s.Dim, glorotOver(1+width)))
			l.selfBias = l.add(b.Param(name+"attention_self_bias", 1, heads, initZeros))
			l.neigh = l.add(b.Param(name+"attention_neigh", 1, s.Dim, glorotOver(1+width)))
			l.neighBias = l.add(b.Param(name+"attention_neigh_bias", 1, heads, initZeros))
		}
		l.addNorm(b, s, i)
	}
	l.addBatch(b, s)
	return l, nil
}

// Hops returns 1.
func (l *AttentionTF) Hops() int { return 1 }

// InputDrop returns none: the input is dropped out twice, differently.
func (l *AttentionTF) InputDrop(*Context, int) tensor.Drop { return tensor.Drop{} }

// ProjDim returns the width of the sources' features and both kinds of scores.
func (l *AttentionTF) ProjDim() int { return padded(l.dim + 2*l.heads) }

func (l *AttentionTF) features(p tensor.Tensor) tensor.Tensor { return p.ColRange(0, l.dim) }

func (l *AttentionTF) scored(p tensor.Tensor) tensor.Tensor { return p.ColRange(0, l.dim+l.heads) }

func (l *AttentionTF) neighScores(p tensor.Tensor) tensor.Tensor {
	return p.ColRange(l.dim, l.dim+l.heads)
}

func (l *AttentionTF) selfScores(p tensor.Tensor) tensor.Tensor {
	return p.ColRange(l.dim+l.heads, l.dim+2*l.heads)
}

// Project writes h and its scores to p.
func (l *AttentionTF) Project(c *Context, x, p tensor.Tensor) {
	h := l.features(p)
	c.Q.Gemm(false, false, 1, x, l.weight[1].Value, 0, h)
	c.Q.HeadDots(tensor.Identity, h, l.neigh.Value, l.neighBias.Value, l.neighScores(p))
	c.Q.HeadDots(tensor.Identity, h, l.self.Value, l.selfBias.Value, l.selfScores(p))
}

// Forward returns y (NumDst×OutDim).
func (l *AttentionTF) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	neighbors := x
	if l.twice(c) {
		neighbors = c.Temp(tensor.F32, x.Rows, x.Cols)
		c.Q.Dropout(l.dropout, c.Rand(l.ownSlots()+tfNeighbors), x, neighbors)
		c.Save(l.ownSlots()+tfNeighbors, neighbors, Activation)
	}
	x = l.input(c, g, x)
	p := c.Temp(tensor.F32, neighbors.Rows, l.ProjDim())
	l.Project(c, neighbors, p)
	return l.ForwardProjected(c, g, g.Dst(x), p)
}

// twice reports whether the two dropouts differ.
func (l *AttentionTF) twice(c *Context) bool { return c.Train && l.dropout > 0 }

// ForwardProjected is Forward for destinations whose own rows are self and whose sources are p.
func (l *AttentionTF) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	checkCols("AttentionTF self", self, l.in)
	checkRows("AttentionTF self", self, g.NumDst())
	y := c.New(self.Rows, l.OutDim())
	f := c.Temp(tensor.F32, self.Rows, l.dim)
	l.project(c, self, l.weight[0], l.bias[0], f)
	l.join(c, 0, l.act, f, y)
	h := c.Temp(tensor.F32, self.Rows, l.dim)
	var none tensor.Tensor
	aggregateHeads(c, g, l.destinations(g, p), l.scored(p), h, none)
	c.SaveScored(l.ownSlots()+tfSource, p, tensor.Identity, p.Cols-l.dim)
	c.Q.BiasActNorm(l.act, l.bias[1].Value, none, none, h, tensor.Drop{}, h, none, none)
	l.join(c, 1, l.act, h, y)
	l.normalize(c, y)
	return y
}

func (l *AttentionTF) destinations(g Graph, p tensor.Tensor) tensor.HeadSelf {
	return tensor.HeadSelf{Score: tensor.HeadReLU, S: g.Dst(l.selfScores(p))}
}

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters.
func (l *AttentionTF) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	checkCols("AttentionTF dy", dy, l.OutDim())
	x := c.Load(slotX)
	neighbors := x
	if l.twice(c) {
		neighbors = c.Load(l.ownSlots() + tfNeighbors)
	}
	p := c.Load(l.ownSlots() + tfSource)
	finals := [2]tensor.Tensor{c.Load(orderSlot(0, orderFinal)), c.Load(orderSlot(1, orderFinal))}
	dy = l.normalizeBackward(c, finals[:], dy)
	var dx tensor.Tensor
	if needDX {
		dx = c.New(x.Rows, l.in)
	}

	d := c.Temp(tensor.F32, dy.Rows, l.dim)
	l.joinBackward(c, 1, finals[1], dy, d)
	l.activateBackward(c, l.bias[1], finals[1], d)
	dp := c.Temp(tensor.F32, p.Rows, l.ProjDim())
	dh := l.features(dp)
	ds := c.Temp(tensor.F32, dy.Rows, l.heads)
	self := l.destinations(g, p)
	aggregateHeadsBack(c, g, self, l.scored(p), d, l.scored(dp), ds)
	c.Q.HeadDotsBackward(tensor.Identity, g.Dst(l.features(p)), l.self.Value, self.S, ds, 1, g.Dst(dh), l.self.Grad, l.selfBias.Grad)
	c.Q.HeadDotsBackward(tensor.Identity, l.features(p), l.neigh.Value, l.neighScores(p), l.neighScores(dp), 1, dh, l.neigh.Grad, l.neighBias.Grad)
	c.Q.Gemm(true, false, 1, neighbors, dh, 1, l.weight[1].Grad)
	if needDX {
		c.Q.Gemm(false, true, 1, dh, l.weight[1].Value, 0, dx)
		if l.twice(c) {
			c.Q.Dropout(l.dropout, c.Rand(l.ownSlots()+tfNeighbors), dx, dx)
		}
	}

	l.joinBackward(c, 0, finals[0], dy, d)
	own := dx
	if needDX && l.twice(c) {
		own = c.Temp(tensor.F32, d.Rows, l.in)
		l.projectBackward(c, g.Dst(x), l.weight[0], l.bias[0], finals[0], d, 0, own)
		c.Q.Dropout(l.dropout, c.Rand(slotX), own, own)
		c.Q.Axpby(1, own, 1, g.Dst(dx))
		return dx
	}
	if needDX {
		own = g.Dst(dx)
	}
	l.projectBackward(c, g.Dst(x), l.weight[0], l.bias[0], finals[0], d, 1, own)
	return dx
}
