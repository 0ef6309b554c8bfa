package nn

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() {
	Register("gat", func(b Builder, s Spec) (Layer, error) { return newAttention(b, s, false) })
	Register("gaan", func(b Builder, s Spec) (Layer, error) { return newAttention(b, s, true) })
}

// Attention is GraphSAINT's attention layer of order k with K heads of Dim/K columns, and with
// gates that of GaAN (arXiv:1803.07294).
//
//	X'  = dropout(X)                                     NumSrc×In
//	f_i = act(X' W_i + b_i)                              i = 0…k
//	f_i = sum over v of (lrelu(a1_i f_j[u]) + lrelu(a2_i f_i[v])) A_uv f_i[v]
//	                                                     for each head, j = i-1, …, 0 in turn
//	f_1 = f_1 g,  g = [X', max over v of (X'W_p)[v], A X'] W_g     gates, order 1 alone
//	y   = norm(f_0) … norm(f_k), joined                  NumDst×OutDim
//
// There is no softmax over neighbours: a minibatch does not see all of them. The norm goes over
// the columns of a head, with gates over those of an order. W of one order holds its heads side
// by side, a1 and a2 are one row each.
//
// The weight of an edge is a sum of a term of each end, so one pass over the edges gives both
// A f and A (t f), from which follow the sums above and, backward, all gradients.
//
// Saved for backward: X' and every f_i with its scores before each aggregation and after the
// last, A f_i (all Activation), scores of destinations, gates, norms' statistics and the places
// of the largest neighbours (Exact).
type Attention struct {
	frame
	heads  int
	orders []attentionOrder
	gate   *gate // nil without
}

// attentionOrder holds the parameters of an order; those of the scores are nil for order 0.
type attentionOrder struct{ weight, bias, self, neigh *Param }

// What is saved of the aggregation j of order i.
const (
	stepSource = iota
	stepScore
	stepMean
	slotsPerStep
)

// stepSlot is the slot of aggregation j (0…i-1) of order i.
func (l *Attention) stepSlot(i, j, what int) int {
	return l.ownSlots() + slotsOfGate + slotsPerStep*(i*(i-1)/2+j) + what
}

func newAttention(b Builder, s Spec, gated bool) (Layer, error) {
	f, err := newFrame(s)
	if err != nil {
		return nil, err
	}
	l := &Attention{frame: f}
	if l.heads, err = headsOfSpec(s); err != nil {
		return nil, err
	}
	var keys struct {
		Gate string `yaml:"gate"`
	}
	switch {
	case gated && s.Extra != nil:
		err = s.Extra.Decode(&keys)
	case s.Extra != nil:
		var none struct{}
		err = s.Extra.Decode(&none)
	}
	if err != nil {
		return nil, err
	}
	if gated && s.Order > 1 {
		return nil, errors.New("gated attention: the order must be 0 or 1")
	}
	if keys.Gate != "" && keys.Gate != gateLinear && keys.Gate != gateSigmoid {
		return nil, fmt.Errorf("gate %q: unknown, there is linear, sigmoid", keys.Gate)
	}
	if !gated {
		l.groups = l.heads
	}
	for i := range s.Order + 1 {
		l.addOrder(b, s, i)
	}
	if gated && s.Order == 1 {
		l.gate = newGate(b, s, &l.frame, l.heads, keys.Gate == gateSigmoid)
	}
	l.addBatch(b, s)
	return l, nil
}

func (l *Attention) addOrder(b Builder, s Spec, i int) {
	name := fmt.Sprintf("%s.hops.%d.", s.Name, i)
	width := s.Dim / l.heads
	o := attentionOrder{
		weight: l.add(b.Param(name+"weight", s.In, s.Dim, glorotOver(s.In+width))),
		bias:   l.add(b.Param(name+"bias", 1, s.Dim, initZeros)),
	}
	if i > 0 {
		o.self = l.add(b.Param(name+"attention_self", 1, s.Dim, glorotOver(1+2*width)))
		o.neigh = l.add(b.Param(name+"attention_neigh", 1, s.Dim, glorotOver(1+2*width)))
	}
	l.addNorm(b, s, i)
	l.orders = append(l.orders, o)
}

// Hops returns the number of aggregations in sequence: i for order i, one after the other.
func (l *Attention) Hops() int { return l.order * (l.order + 1) / 2 }

// cacheLine is a multiple of columns that keeps rows on lines of the cache.
const cacheLine = 16

func padded(cols int) int { return (cols + cacheLine - 1) / cacheLine * cacheLine }

// sourceWidth returns the columns of an order's sources: features, scores, and of gates what
// neighbours give.
func (l *Attention) sourceWidth() int {
	w := l.dim + padded(l.heads)
	if l.gate != nil {
		w += gatePool + padded(l.heads)
	}
	return w
}

// ProjDim returns the width of the sources' features and scores where the layer aggregates
// once.
func (l *Attention) ProjDim() int {
	if l.order != 1 {
		return 0
	}
	return l.sourceWidth()
}

// scored returns features and scores, out of an order's sources.
func (l *Attention) scored(p tensor.Tensor) tensor.Tensor { return p.ColRange(0, l.dim+l.heads) }

func (l *Attention) features(p tensor.Tensor) tensor.Tensor { return p.ColRange(0, l.dim) }

func (l *Attention) scores(p tensor.Tensor) tensor.Tensor {
	return p.ColRange(l.dim, l.dim+l.heads)
}

// Project writes what sources give to their neighbours in order 1 to p.
func (l *Attention) Project(c *Context, x, p tensor.Tensor) { l.sources(c, 1, x, p) }

func (l *Attention) sources(c *Context, i int, x, p tensor.Tensor) {
	o := &l.orders[i]
	l.project(c, x, o.weight, o.bias, l.features(p))
	l.neighScores(c, i, p)
	if l.gate != nil {
		l.gate.sources(c, x, p.ColRange(l.dim+padded(l.heads), p.Cols))
	}
}

// neighScores writes lrelu(a2 f) beside f.
func (l *Attention) neighScores(c *Context, i int, p tensor.Tensor) {
	c.Q.HeadDots(tensor.LeakyReLU, l.features(p), l.orders[i].neigh.Value, tensor.Tensor{}, l.scores(p))
}

// ForwardProjected is Forward for destinations whose own rows are self and whose sources are p.
func (l *Attention) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	checkCols("Attention self", self, l.in)
	checkRows("Attention self", self, g.NumDst())
	return l.forward(c, g, self, tensor.Tensor{}, p)
}

// Forward returns y (NumDst×OutDim).
func (l *Attention) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	return l.forward(c, g, g.Dst(x), x, tensor.Tensor{})
}

// forward computes the output; p are the sources of order 1, absent if they are still to be
// made from x.
func (l *Attention) forward(c *Context, g Graph, self, x, p tensor.Tensor) tensor.Tensor {
	y := c.New(g.NumDst(), l.OutDim())
	var few [4]tensor.Tensor
	finals := few[:0]
	h := c.Temp(tensor.F32, self.Rows, l.dim)
	l.project(c, self, l.orders[0].weight, l.orders[0].bias, h)
	finals = append(finals, h)
	l.join(c, 0, l.act, h, y)
	for i := 1; i <= l.order; i++ {
		if !p.Present() {
			p = c.Temp(tensor.F32, x.Rows, l.sourceWidth())
			l.sources(c, i, x, p)
		}
		h = l.attend(c, g, i, finals, p)
		if l.gate != nil {
			h = l.gate.forward(c, g, &l.frame, self, p.ColRange(l.dim+padded(l.heads), p.Cols), h)
		}
		finals = append(finals, h)
		l.join(c, i, tensor.Identity, h, y)
		p = tensor.Tensor{}
	}
	l.normalize(c, y)
	return y
}

// attend does the aggregations of order i on its sources p.
func (l *Attention) attend(c *Context, g Graph, i int, finals []tensor.Tensor, p tensor.Tensor) tensor.Tensor {
	for j := range i {
		s := c.Temp(tensor.F32, g.NumDst(), l.heads)
		c.Q.HeadDots(tensor.LeakyReLU, finals[i-j-1], l.orders[i].self.Value, tensor.Tensor{}, s)
		var h, next, mean tensor.Tensor
		if j == i-1 {
			h = c.Temp(tensor.F32, g.NumDst(), l.dim)
		} else {
			next = c.Temp(tensor.F32, g.NumDst(), l.sourceWidth())
			h = l.features(next)
		}
		if c.Store != nil {
			mean = c.Temp(tensor.F32, g.NumDst(), l.dim)
		}
		aggregateHeads(c, g, tensor.HeadSelf{S: s}, l.scored(p), h, mean)
		act := tensor.Identity
		if j == 0 {
			act = l.act // made these; what was aggregated before may have any sign
		}
		c.SaveScored(l.stepSlot(i, j, stepSource), l.scored(p), act, l.heads)
		c.Save(l.stepSlot(i, j, stepScore), s, Exact)
		c.Save(l.stepSlot(i, j, stepMean), mean, Activation)
		if j == i-1 {
			return h
		}
		l.neighScores(c, i, next)
		p = next
	}
	return tensor.Tensor{}
}
