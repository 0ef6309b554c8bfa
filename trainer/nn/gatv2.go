package nn

import (
	"encoding/binary"
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("gatv2", newGATv2) }

// GATv2 is the attention layer of arXiv:2105.14491, equation 7, with K heads:
//
//	X'   = dropout(X),  r = X' W_neigh,  l = X' W_self        NumSrc×Kd
//	e_uv = a lrelu(l[u] + r[v])                               for each head
//	α_uv = exp(e_uv) / sum over w of exp(e_uw)                w the neighbours of u, and u
//	h_u  = sum over v of α_uv r[v]
//	y    = norm(act(h + b))                                   NumDst×Dim
//
// With heads: concat (as usual) d is Dim/K and heads lie side by side in h; with heads: mean d is
// Dim and h is their mean, as the last layer of a model without a classifier has it. With
// share_weights W_self is W_neigh. In training α goes through dropout if the specification says so.
// A node attends to itself once, besides what loops the graph has; the values of A do not count.
// A layer of order 0 is a dense one; aggr has nothing to join.
//
// Saved for backward: X' (Factor), r with l and the heads (Activation), the largest scores and
// the sums of softmax (Exact), and what follows h as for other layers. Nothing is kept for an edge.
// Where r and l come back with noise, heads and softmax are made again of them: weights of noisy
// scores and exact sums would not sum to 1.
type GATv2 struct {
	conv
	loops             identity
	heads, all        int // all: columns of the heads, Kd
	mean              bool
	attDropout        float32
	self, neigh, atts *Param
}

// Slots of GATv2 after its conv's.
const (
	gatv2Projected = convSlots + iota
	gatv2Heads
	gatv2Top
	gatv2Sum
	gatv2Weights // of the dropout of α
)

type gatv2Keys struct {
	Heads string `yaml:"heads"`
	Share bool   `yaml:"share_weights"`
}

func newGATv2(b Builder, s Spec) (Layer, error) {
	keys := gatv2Keys{Heads: aggrConcat}
	if s.Order == 0 {
		if s.Extra != nil {
			if err := s.Extra.Decode(&keys); err != nil {
				return nil, err
			}
		}
		s.Extra, s.Heads = nil, 0
		return newHighOrder(b, s)
	}
	k := max(s.Heads, 1)
	s.Heads = 0
	f, err := newConv(s, &keys)
	if err != nil {
		return nil, err
	}
	l := &GATv2{conv: f, heads: k, all: s.Dim, mean: keys.Heads == aggrMean || s.Last, attDropout: s.AttDropout}
	switch {
	case keys.Heads != aggrConcat && keys.Heads != aggrMean:
		return nil, fmt.Errorf("heads %q: unknown, there is concat, mean", keys.Heads)
	case l.mean && k > maxWidth/s.Dim:
		return nil, fmt.Errorf("%d heads: must be 1 to %d with width %d", k, maxWidth/s.Dim, s.Dim)
	case l.mean:
		l.all = k * s.Dim
	case s.Dim%k != 0:
		return nil, fmt.Errorf("%d heads: must divide the width, %d", k, s.Dim)
	}
	width := l.all / k
	l.neigh = l.add(b.Param(s.Name+".neigh.weight", s.In, l.all, glorotOver(s.In+width)))
	l.self = l.neigh
	if !keys.Share {
		l.self = l.add(b.Param(s.Name+".self.weight", s.In, l.all, glorotOver(s.In+width)))
	}
	l.atts = l.add(b.Param(s.Name+".attention", 1, l.all, glorotOver(1+width)))
	l.bias = l.add(b.Param(s.Name+".bias", 1, s.Dim, initZeros))
	l.addTail(b, s)
	return l, nil
}

// ProjDim returns the width of r and l.
func (l *GATv2) ProjDim() int { return 2 * l.all }

func (l *GATv2) parts(p tensor.Tensor) (r, own tensor.Tensor) {
	return p.ColRange(0, l.all), p.ColRange(l.all, 2*l.all)
}

// Project writes r and l to p.
func (l *GATv2) Project(c *Context, x, p tensor.Tensor) {
	r, own := l.parts(p)
	c.Q.Gemm(false, false, 1, x, l.neigh.Value, 0, r)
	if l.self == l.neigh {
		c.Q.Axpby(1, r, 0, own)
		return
	}
	c.Q.Gemm(false, false, 1, x, l.self.Value, 0, own)
}

// Forward returns y (NumDst×Dim).
func (l *GATv2) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	c.Save(slotX, x, Factor)
	p := c.Temp(tensor.F32, x.Rows, l.ProjDim())
	l.Project(c, x, p)
	c.Save(gatv2Projected, p, Activation)
	return l.ForwardProjected(c, g, tensor.Tensor{}, p)
}

// pairs returns what the device knows of the destinations.
func (l *GATv2) pairs(c *Context, own tensor.Tensor) tensor.PairSelf {
	s := tensor.PairSelf{L: own, Att: l.atts.Value}
	if c.Train {
		s.Drop = tensor.EdgeDrop{P: l.attDropout, Key: c.Rand(gatv2Weights)}
	}
	return s
}

// ForwardProjected is Forward for sources with the projections p, the destinations' own among
// them.
func (l *GATv2) ForwardProjected(c *Context, g Graph, _, p tensor.Tensor) tensor.Tensor {
	n := g.NumDst()
	r, own := l.parts(p)
	s := l.pairs(c, g.Dst(own))
	s.Top, s.Sum = c.Temp(tensor.F32, n, l.heads), c.Temp(tensor.F32, n, l.heads)
	h := c.Temp(tensor.F32, n, l.all)
	aggregatePairs(c, g, s, l.loops.of(c, n), r, h)
	if !c.lossy() {
		c.Save(gatv2Heads, h, Activation)
		c.Save(gatv2Top, s.Top, Exact)
		c.Save(gatv2Sum, s.Sum, Exact)
	}
	z := l.target(c, n)
	if !l.mean {
		c.Q.Axpby(1, h, 0, z)
		return l.finish(c, z)
	}
	for k := range l.heads {
		c.Q.Axpby(1/float32(l.heads), h.ColRange(k*l.dim, (k+1)*l.dim), betaAfter(k), z)
	}
	return l.finish(c, z)
}

// betaAfter is 0 for the first of several and 1 for the others.
func betaAfter(k int) float32 { return float32(min(k, 1)) }

// headsGrad returns the gradient of the heads for that of z.
func (l *GATv2) headsGrad(c *Context, dz tensor.Tensor) tensor.Tensor {
	if !l.mean {
		return dz
	}
	d := c.Temp(tensor.F32, dz.Rows, l.all)
	for k := range l.heads {
		c.Q.Axpby(1/float32(l.heads), dz, 0, d.ColRange(k*l.dim, (k+1)*l.dim))
	}
	return d
}

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters.
func (l *GATv2) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	x, p := c.Load(slotX), c.Load(gatv2Projected)
	d := l.headsGrad(c, l.finishBack(c, dy))
	r, own := l.parts(p)
	s := l.pairs(c, g.Dst(own))
	s.Dot = c.Temp(tensor.F32, d.Rows, l.heads)
	var h tensor.Tensor
	if c.lossy() {
		h = c.Temp(tensor.F32, d.Rows, l.all)
		s.Top, s.Sum = c.Temp(tensor.F32, d.Rows, l.heads), c.Temp(tensor.F32, d.Rows, l.heads)
		aggregatePairs(c, g, s, l.loops.of(c, d.Rows), r, h)
	} else {
		h, s.Top, s.Sum = c.Load(gatv2Heads), c.Load(gatv2Top), c.Load(gatv2Sum)
	}
	c.Q.HeadDots(tensor.Identity, d, h, tensor.Tensor{}, s.Dot)
	dr, dl := c.Temp(tensor.F32, x.Rows, l.all), c.Temp(tensor.F32, d.Rows, l.all)
	aggregatePairsBack(c, g, s, l.loops.of(c, d.Rows), r, d, dr, dl, l.atts.Grad)
	self := g.Dst(x)
	c.Q.Gemm(true, false, 1, x, dr, 1, l.neigh.Grad)
	c.Q.Gemm(true, false, 1, self, dl, 1, l.self.Grad)
	if !needDX {
		return tensor.Tensor{}
	}
	dx := c.New(x.Rows, l.in)
	c.Q.Gemm(false, true, 1, dr, l.neigh.Value, 0, dx)
	c.Q.Gemm(false, true, 1, dl, l.self.Value, 1, g.Dst(dx))
	l.inputBack(c, dx)
	return dx
}

// identity is the adjacency in which every node has itself alone.
type identity struct {
	numbers []byte     // 0, 1, 2, … as a device takes them
	m       tensor.CSR // of the running layer call
}

// of returns the identity of n nodes, which lives as long as the running layer call.
func (l *identity) of(c *Context, n int) *tensor.CSR {
	if c.Numbers != nil {
		if all := c.Numbers(n + 1); all.Present() {
			l.m = tensor.CSR{Rows: n, Cols: n, Indptr: all.RowRange(0, n+1), Indices: all.RowRange(0, n), Values: c.Temp(tensor.F32, n, 1)}
			c.Q.Fill(1, l.m.Values)
			return &l.m
		}
	}
	for i := len(l.numbers) / 4; i <= n; i++ {
		l.numbers = binary.LittleEndian.AppendUint32(l.numbers, uint32(i))
	}
	l.m = tensor.CSR{
		Rows: n, Cols: n,
		Indptr: c.Temp(tensor.I32, n+1, 1), Indices: c.Temp(tensor.I32, n, 1), Values: c.Temp(tensor.F32, n, 1),
	}
	c.Q.Upload(l.numbers[:4*(n+1)], l.m.Indptr)
	c.Q.Upload(l.numbers[:4*n], l.m.Indices)
	c.Q.Fill(1, l.m.Values)
	return &l.m
}
