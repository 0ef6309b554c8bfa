package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("gat_softmax", newGAT) }

// GAT is the graph attention layer (arXiv:1710.10903, equations 1 to 6) with K heads of Dim/K
// columns, side by side:
//
//	X'   = dropout(X),  h = X' W                              NumSrc×Dim
//	e_uv = lrelu(a1 h[u] + a2 h[v])                           for each head
//	α_uv = exp(e_uv) / sum over w of exp(e_uw)                w the neighbours of u, and u
//	y_u  = norm(act(sum over v of α_uv h[v] + b))             NumDst×Dim
//
// With share_attention a2 is a1. In training α goes through dropout if the specification says so.
// A node attends to itself once, besides what self loops the graph has; the values of A do not
// count. Of a subgraph softmax takes the neighbours that are there, so training on samples is
// biased where evaluation on the whole graph is not; GraphSAINT's own attention ("gat") is not.
// A layer of order 0 is a dense one; aggr has nothing to join.
//
// Saved for backward: X', h with its scores, the aggregated heads and y before its norm
// (Activation), the scores of destinations with the largest and the sums of softmax, and the
// norm's statistics (Exact). A store that changes Activations gets neither heads nor softmax: they are
// made again of the features that come back, because the gradient of a score is a difference of
// products with both, and noise that they do not share would drown it.
type GAT struct {
	frame
	heads                     int
	weight, bias, self, neigh *Param
	attDropout                float32
	loops                     identity
}

// Slots of GAT after its frame's.
const (
	gatSource = iota
	gatScore
	gatTop
	gatSum
	gatHeads
	gatWeights // of the dropout of α
)

type gatKeys struct {
	Share bool `yaml:"share_attention"`
}

func newGAT(b Builder, s Spec) (Layer, error) {
	switch {
	case s.Order == 0:
		if s.Extra != nil {
			var keys gatKeys
			if err := s.Extra.Decode(&keys); err != nil {
				return nil, err
			}
		}
		s.Heads, s.Extra = 0, nil
		return newHighOrder(b, s)
	case s.Order != 1:
		return nil, fmt.Errorf("order %d: must be 0 or 1, softmax goes over neighbours", s.Order)
	}
	heads, err := headsOfSpec(s)
	if err != nil {
		return nil, err
	}
	extra := s.Extra
	s.Order, s.Aggr, s.Extra = 0, aggrConcat, nil
	f, err := newFrame(s)
	if err != nil {
		return nil, err
	}
	var keys gatKeys
	if extra != nil {
		if err := extra.Decode(&keys); err != nil {
			return nil, err
		}
	}
	l := &GAT{frame: f, heads: heads, attDropout: s.AttDropout}
	name, width := s.Name+".hops.0.", s.Dim/heads
	l.weight = l.add(b.Param(name+"weight", s.In, s.Dim, glorotOver(s.In+width)))
	l.bias = l.add(b.Param(name+"bias", 1, s.Dim, initZeros))
	l.self = l.add(b.Param(name+"attention_self", 1, s.Dim, glorotOver(1+2*width)))
	l.neigh = l.self
	if !keys.Share {
		l.neigh = l.add(b.Param(name+"attention_neigh", 1, s.Dim, glorotOver(1+2*width)))
	}
	l.addNorm(b, s, 0)
	l.addBatch(b, s)
	return l, nil
}

// Hops returns 1.
func (l *GAT) Hops() int { return 1 }

// ProjDim returns the width of the sources' features and both kinds of scores.
func (l *GAT) ProjDim() int { return padded(l.dim + 2*l.heads) }

func (l *GAT) features(p tensor.Tensor) tensor.Tensor { return p.ColRange(0, l.dim) }

func (l *GAT) scored(p tensor.Tensor) tensor.Tensor { return p.ColRange(0, l.dim+l.heads) }

func (l *GAT) scores(p tensor.Tensor) (neigh, self tensor.Tensor) {
	return p.ColRange(l.dim, l.dim+l.heads), p.ColRange(l.dim+l.heads, l.dim+2*l.heads)
}

// Project writes h and its scores to p.
func (l *GAT) Project(c *Context, x, p tensor.Tensor) {
	h := l.features(p)
	neigh, self := l.scores(p)
	c.Q.Gemm(false, false, 1, x, l.weight.Value, 0, h)
	c.Q.HeadDots(tensor.Identity, h, l.neigh.Value, tensor.Tensor{}, neigh)
	c.Q.HeadDots(tensor.Identity, h, l.self.Value, tensor.Tensor{}, self)
}

// Forward returns y (NumDst×Dim).
func (l *GAT) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	p := c.Temp(tensor.F32, x.Rows, l.ProjDim())
	l.Project(c, x, p)
	return l.ForwardProjected(c, g, g.Dst(x), p)
}

// ForwardProjected is Forward for sources with the projections p, the destinations' own among
// them.
func (l *GAT) ForwardProjected(c *Context, g Graph, _, p tensor.Tensor) tensor.Tensor {
	n := g.NumDst()
	y, h := c.New(n, l.OutDim()), c.Temp(tensor.F32, n, l.dim)
	_, s := l.scores(p)
	self := tensor.HeadSelf{
		Score: tensor.HeadSoftmax, S: g.Dst(s),
		Top: c.Temp(tensor.F32, n, l.heads), Sum: c.Temp(tensor.F32, n, l.heads), Drop: l.drop(c),
	}
	aggregateSoftmax(c, g, self, l.loops.of(c, n), l.scored(p), h)
	c.SaveScored(l.ownSlots()+gatSource, l.scored(p), tensor.Identity, l.heads)
	c.Save(l.ownSlots()+gatScore, self.S, Exact)
	if !c.lossy() {
		c.Save(l.ownSlots()+gatTop, self.Top, Exact)
		c.Save(l.ownSlots()+gatSum, self.Sum, Exact)
		c.Save(l.ownSlots()+gatHeads, h, Activation)
	}
	f := h
	if c.Store != nil {
		f = c.Temp(tensor.F32, n, l.dim)
	}
	var none tensor.Tensor
	c.Q.BiasActNorm(l.act, l.bias.Value, none, none, h, tensor.Drop{}, f, none, none)
	l.join(c, 0, l.act, f, y)
	l.normalize(c, y)
	return y
}

// drop returns the dropout of α.
func (l *GAT) drop(c *Context) tensor.EdgeDrop {
	if !c.Train || l.attDropout == 0 {
		return tensor.EdgeDrop{}
	}
	if _, ok := c.Q.(tensor.PairOps); !ok {
		panic("nn: the device has no dropout of attention")
	}
	return tensor.EdgeDrop{P: l.attDropout, Key: c.Rand(l.ownSlots() + gatWeights)}
}

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters.
func (l *GAT) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	checkCols("GAT dy", dy, l.OutDim())
	x, p := c.LoadRows(slotX), c.Load(l.ownSlots()+gatSource)
	final := c.Load(orderSlot(0, orderFinal))
	n := dy.Rows
	d, dot, ds := c.Temp(tensor.F32, n, l.dim), c.Temp(tensor.F32, n, l.heads), c.Temp(tensor.F32, n, l.heads)
	finals := [1]tensor.Tensor{final}
	l.joinBackward(c, 0, final, l.normalizeBackward(c, finals[:], dy), d)
	l.activateBackward(c, l.bias, final, d)
	self := tensor.HeadSelf{Score: tensor.HeadSoftmax, S: c.Load(l.ownSlots() + gatScore), Drop: l.drop(c)}
	var h tensor.Tensor
	if c.lossy() { // of the features as they are now, so that what the scores get sums to 0
		h = c.Temp(tensor.F32, n, l.dim)
		self.Top, self.Sum = c.Temp(tensor.F32, n, l.heads), c.Temp(tensor.F32, n, l.heads)
		aggregateSoftmax(c, g, self, l.loops.of(c, n), p, h)
	} else {
		h, self.Top, self.Sum = c.Load(l.ownSlots()+gatHeads), c.Load(l.ownSlots()+gatTop), c.Load(l.ownSlots()+gatSum)
	}
	c.Q.HeadDots(tensor.Identity, d, h, tensor.Tensor{}, dot)
	self.Dot = dot
	dp := l.scored(c.Temp(tensor.F32, p.Rows, l.ProjDim()))
	aggregateSoftmaxBack(c, g, self, l.loops.of(c, n), p, d, dp, ds)
	dh, dt := l.features(dp), dp.ColRange(l.dim, dp.Cols)
	c.Q.HeadDotsBackward(tensor.Identity, l.features(p), l.neigh.Value, dt, dt, 1, dh, l.neigh.Grad, tensor.Tensor{})
	c.Q.HeadDotsBackward(tensor.Identity, g.Dst(l.features(p)), l.self.Value, ds, ds, 1, g.Dst(dh), l.self.Grad, tensor.Tensor{})
	c.Q.Gemm(true, false, 1, x, dh, 1, l.weight.Grad)
	var dx tensor.Tensor
	if needDX {
		dx = c.New(x.Rows, l.in)
		c.Q.Gemm(false, true, 1, dh, l.weight.Value, 0, dx)
		if l.dropsOut(c) {
			c.Q.Dropout(l.dropout, c.Rand(slotX), dx, dx)
		}
	}
	return dx
}
