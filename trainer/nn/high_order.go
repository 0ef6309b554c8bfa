package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("high_order", newHighOrder) }

// Values of Spec.Aggr and Spec.Bias.
const (
	aggrConcat = "concat"
	aggrMean   = "mean"
	biasOnly   = "bias"
	biasNorm   = "norm"
	biasBatch  = "norm-nn"
)

// maxWidth bounds the width of a layer, so that a slip in a configuration ends in a message
// and not in an allocation of terabytes.
const maxWidth = 1 << 20

// HighOrder is GraphSAINT's layer of order k: GraphSAGE with k = 1 (arXiv:1907.04931,
// equation 1), MixHop with k > 1 (arXiv:1905.00067, equation 2), a dense layer with k = 0.
//
//	X' = dropout(X)                      NumSrc×In
//	z_i = A^i X' W_i                     NumDst×Dim, i = 0…k
//	h_i = act(z_i + b_i)                 "norm": h_i = (h_i - mean)/sqrt(var + 1e-9)*scale_i + offset_i
//	                                     with mean and var over the columns of each row
//	y = [h_0 … h_k] or h_0 + … + h_k     NumDst×OutDim; "norm-nn": batch norm of that
//
// It multiplies by A before or after W, whichever is less sparse work: A^i X' for all hops
// takes k products of width In, A^i (X' W_i) takes k(k+1)/2 of width Dim. The choice depends
// on In, Dim and k alone, so that training and evaluation round alike.
//
// Saved for backward: X' (Factor) and, unless a bias is all that follows, z_i (Activated), mean
// and rstd of the norms (Exact), and the aggregated inputs A^i X' (Factor) only where A comes
// before W.
type HighOrder struct {
	in, dim, order int
	act            tensor.Act
	sum            bool // join hops by adding
	dropout        float32
	aggregateFirst bool
	hops           []hop
	batch          *batchNorm // nil unless "norm-nn"
	params         []*Param

	z []tensor.Tensor // scratch of one Backward
}

// hop holds the parameters of one hop; scale and offset are nil without "norm".
type hop struct{ weight, bias, scale, offset *Param }

// batchNorm holds the parameters and running statistics of "norm-nn".
type batchNorm struct{ scale, offset, mean, variance *Param }

// Constants of "norm-nn", the reference's.
const (
	batchNormEps      = 1e-9
	batchNormMomentum = 0.1
)

// Slots of HighOrder: three for the layer, four for every hop.
const (
	slotX = iota
	slotBatchMean
	slotBatchRstd
	slotHops
)

// Slots of a hop, from slotHops + 4 i.
const (
	hopZ = iota
	hopMean
	hopRstd
	hopInput
	slotsPerHop
)

func hopSlot(i, what int) int { return slotHops + slotsPerHop*i + what }

func newHighOrder(b Builder, s Spec) (Layer, error) {
	if err := checkHighOrder(s); err != nil {
		return nil, err
	}
	l := &HighOrder{
		in: s.In, dim: s.Dim, order: s.Order, act: s.Act, sum: s.Aggr == aggrMean, dropout: s.Dropout,
		aggregateFirst: s.Order > 0 && 2*s.In < (s.Order+1)*s.Dim,
		z:              make([]tensor.Tensor, s.Order+1),
	}
	add := func(p *Param) *Param {
		l.params = append(l.params, p)
		return p
	}
	for i := range s.Order + 1 {
		name := fmt.Sprintf("%s.hops.%d.", s.Name, i)
		h := hop{
			weight: add(b.Param(name+"weight", s.In, s.Dim, initGlorot)),
			bias:   add(b.Param(name+"bias", 1, s.Dim, initZeros)),
		}
		if s.Bias == biasNorm {
			h.scale = add(b.Param(name+"scale", 1, s.Dim, initOnes))
			h.offset = add(b.Param(name+"offset", 1, s.Dim, initZeros))
		}
		l.hops = append(l.hops, h)
	}
	if s.Bias == biasBatch {
		name := s.Name + ".norm."
		l.batch = &batchNorm{
			scale:    add(b.Param(name+"scale", 1, l.OutDim(), initOnes)),
			offset:   add(b.Param(name+"offset", 1, l.OutDim(), initZeros)),
			mean:     add(b.Buffer(name+"running_mean", 1, l.OutDim(), initZeros)),
			variance: add(b.Buffer(name+"running_var", 1, l.OutDim(), initOnes)),
		}
	}
	return l, nil
}

func checkHighOrder(s Spec) error {
	switch {
	case s.In < 1 || s.In > maxWidth:
		return fmt.Errorf("input width %d: must be 1 to %d", s.In, maxWidth)
	case s.Dim < 1 || s.Dim > maxWidth:
		return fmt.Errorf("width %d: must be 1 to %d", s.Dim, maxWidth)
	case s.Order < 0 || s.Order > maxWidth/s.Dim-1:
		return fmt.Errorf("order %d: must be 0 to %d with width %d", s.Order, maxWidth/s.Dim-1, s.Dim)
	case s.Act > tensor.LeakyReLU:
		return fmt.Errorf("activation %d: unknown", s.Act)
	case s.Aggr != aggrConcat && s.Aggr != aggrMean:
		return fmt.Errorf("aggr %q: unknown, there is concat, mean", s.Aggr)
	case s.Bias != biasOnly && s.Bias != biasNorm && s.Bias != biasBatch:
		return fmt.Errorf("bias %q: unknown, there is bias, norm, norm-nn", s.Bias)
	case !(s.Dropout >= 0 && s.Dropout < 1):
		return fmt.Errorf("dropout %v: must be at least 0 and below 1", s.Dropout)
	}
	if s.Extra == nil {
		return nil
	}
	var none struct{}
	return s.Extra.Decode(&none)
}

// Params returns weight, bias (and scale, offset) of every hop, then those of the batch norm.
func (l *HighOrder) Params() []*Param { return l.params }

// OutDim returns Dim for every hop, or Dim where hops are summed.
func (l *HighOrder) OutDim() int {
	if l.sum {
		return l.dim
	}
	return (l.order + 1) * l.dim
}

// Hops returns the order.
func (l *HighOrder) Hops() int { return l.order }

// ProjDim returns Dim where the layer multiplies by W before A and aggregates once.
func (l *HighOrder) ProjDim() int {
	if l.order != 1 || l.aggregateFirst {
		return 0
	}
	return l.dim
}

// Project writes x W_1 to p. Evaluation only: there is no dropout.
func (l *HighOrder) Project(c *Context, x, p tensor.Tensor) {
	c.Q.Gemm(false, false, 1, x, l.hops[1].weight.Value, 0, p)
}

// ForwardProjected is Forward for destinations whose own rows are self and whose sources
// have the projections p. Evaluation only: there is no dropout and nothing to go back to.
func (l *HighOrder) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	checkCols("HighOrder self", self, l.in)
	checkRows("HighOrder self", self, g.NumDst())
	y := c.New(self.Rows, l.OutDim())
	s := hopScratch{}
	z := l.hopZ(c, &s, 0, y)
	c.Q.Gemm(false, false, 1, self, l.hops[0].weight.Value, 0, z)
	l.activate(c, &s, 0, z, y)
	z = l.hopZ(c, &s, 1, y)
	Aggregate(c, g, p, z)
	l.activate(c, &s, 1, z, y)
	l.normalize(c, y)
	return y
}

// Forward returns y (NumDst×OutDim).
func (l *HighOrder) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	checkCols("HighOrder x", x, l.in)
	checkRows("HighOrder x", x, g.NumSrc())
	if l.order > 1 {
		checkRows("HighOrder of order above 1: sources", x, g.NumDst())
	}
	if l.dropsOut(c) {
		dropped := c.Temp(tensor.F32, x.Rows, x.Cols)
		c.Q.Dropout(l.dropout, c.Rand(slotX), x, dropped)
		x = dropped
	}
	c.Save(slotX, x, Factor)
	y := c.New(g.NumDst(), l.OutDim())
	switch {
	case l.aggregateFirst:
		l.forwardAggregated(c, g, x, y)
	case l.order > 0 && c.Store != nil && x.Rows == g.NumDst():
		l.forwardJoined(c, g, x, y)
	default:
		l.forwardProjected(c, g, x, y)
	}
	l.normalize(c, y)
	return y
}

// forwardAggregated computes A^i X' before the products.
func (l *HighOrder) forwardAggregated(c *Context, g Graph, x, y tensor.Tensor) {
	s := hopScratch{}
	h := x // A^i x
	for i := range l.hops {
		z := l.hopZ(c, &s, i, y)
		in := g.Dst(x)
		if i > 0 {
			h = l.nextInput(c, g, &s, i, h)
			in = h
		}
		c.Q.Gemm(false, false, 1, in, l.hops[i].weight.Value, 0, z)
		l.activate(c, &s, i, z, y)
		l.done(c, z, y)
	}
}

// done ends the life of a hop's z where it is a tensor of its own.
func (l *HighOrder) done(c *Context, z, y tensor.Tensor) {
	if c.Store != nil && z.ID != y.ID {
		c.Done(z)
	}
}

// forwardProjected computes X' W_i hop by hop, each before it is aggregated.
func (l *HighOrder) forwardProjected(c *Context, g Graph, x, y tensor.Tensor) {
	s := hopScratch{}
	for i := range l.hops {
		z := l.hopZ(c, &s, i, y)
		w := l.hops[i].weight.Value
		if i == 0 {
			c.Q.Gemm(false, false, 1, g.Dst(x), w, 0, z)
		} else {
			p := s.buffer(c, 0, x.Rows, l.dim)
			c.Q.Gemm(false, false, 1, x, w, 0, p)
			l.aggregate(c, g, &s, i, p, z)
		}
		l.activate(c, &s, i, z, y)
		l.done(c, z, y)
	}
}

// forwardJoined is forwardProjected with one product for all hops, which reads X' once.
func (l *HighOrder) forwardJoined(c *Context, g Graph, x, y tensor.Tensor) {
	s := hopScratch{}
	all := l.wide(c, x.Rows)
	c.Q.Gemm(false, false, 1, x, l.joinedWeights(c), 0, all)
	for i := range l.hops {
		z := l.joined(i, all)
		if i > 0 {
			p := z
			z = l.hopZ(c, &s, i, y)
			l.aggregate(c, g, &s, i, p, z)
		}
		l.activate(c, &s, i, z, y)
		if i > 0 { // the first is a part of all
			l.done(c, z, y)
		}
	}
}

// aggregate writes A^i p to z.
func (l *HighOrder) aggregate(c *Context, g Graph, s *hopScratch, i int, p, z tensor.Tensor) {
	for j := 1; j < i; j++ {
		next := s.buffer(c, j, p.Rows, l.dim)
		Aggregate(c, g, p, next)
		p = next
	}
	Aggregate(c, g, p, z)
}

// pageFloats is the distance of rows that share a set of every cache, and padFloats what
// keeps them apart.
const (
	pageFloats = 1024
	padFloats  = 16
)

// wide returns a temporary with the columns of all hops side by side.
func (l *HighOrder) wide(c *Context, rows int) tensor.Tensor {
	cols := len(l.hops) * l.dim
	if cols%pageFloats == 0 {
		return c.Temp(tensor.F32, rows, cols+padFloats).ColRange(0, cols)
	}
	return c.Temp(tensor.F32, rows, cols)
}

// joinedWeights returns [W_0 … W_k], a copy: a product with it costs rows times as much.
func (l *HighOrder) joinedWeights(c *Context) tensor.Tensor {
	w := l.wide(c, l.in)
	for i := range l.hops {
		c.Q.Axpby(1, l.hops[i].weight.Value, 0, l.joined(i, w))
	}
	return w
}

// dropsOut reports whether the layer itself drops its input out.
func (l *HighOrder) dropsOut(c *Context) bool { return c.Train && l.dropout > 0 && !c.Dropped }

// InputDrop returns the layer's dropout.
func (l *HighOrder) InputDrop(c *Context, layer int) tensor.Drop {
	if l.dropout == 0 {
		return tensor.Drop{}
	}
	key := tensor.RandKey{Seed: c.Seed, Step: c.Step, Layer: uint32(layer), Slot: slotX}
	return tensor.Drop{P: l.dropout, Key: key, Width: l.in}
}

// DropsOutput returns true where hops write their columns of the output once and for all.
func (l *HighOrder) DropsOutput() bool { return l.batch == nil && (!l.sum || l.order == 0) }

// dropOut returns the dropout of the columns of hop i.
func (l *HighOrder) dropOut(c *Context, i int) tensor.Drop {
	if c.DropOut.P == 0 {
		return tensor.Drop{}
	}
	return c.DropOut.At(i * l.dim)
}

// hopScratch holds the temporaries that hops reuse within one call.
type hopScratch struct {
	pair       [2]tensor.Tensor // products A^j (X W) taken in turn
	z, h       tensor.Tensor
	mean, rstd tensor.Tensor
}

// buffer returns one of two temporaries of that shape, alternating with j.
func (s *hopScratch) buffer(c *Context, j, rows, cols int) tensor.Tensor {
	t := &s.pair[j%2]
	if !t.Present() {
		*t = c.Temp(tensor.F32, rows, cols)
	}
	return *t
}

// nextInput returns A h, which is A^i x, and saves it.
func (l *HighOrder) nextInput(c *Context, g Graph, s *hopScratch, i int, h tensor.Tensor) tensor.Tensor {
	var next tensor.Tensor
	if c.Store == nil {
		next = s.buffer(c, i, g.NumDst(), l.in)
	} else {
		next = c.Temp(tensor.F32, g.NumDst(), l.in)
	}
	Aggregate(c, g, h, next)
	c.Save(hopSlot(i, hopInput), next, Factor)
	return next
}

// joined returns the columns of hop i in the concatenation y.
func (l *HighOrder) joined(i int, y tensor.Tensor) tensor.Tensor {
	return y.ColRange(i*l.dim, (i+1)*l.dim)
}

// hopZ returns where z_i goes: a tensor of its own if backward needs it, else y itself.
func (l *HighOrder) hopZ(c *Context, s *hopScratch, i int, y tensor.Tensor) tensor.Tensor {
	switch {
	case c.Store != nil:
		return c.Temp(tensor.F32, y.Rows, l.dim)
	case !l.sum || i == 0:
		return l.joined(i, y)
	case !s.z.Present():
		s.z = c.Temp(tensor.F32, y.Rows, l.dim)
	}
	return s.z
}

// needsZ reports whether backward needs z_i: not to go back through a bias alone.
func (l *HighOrder) needsZ() bool {
	return l.act != tensor.Identity || l.hops[0].scale != nil || l.batch != nil
}

// activate saves z_i and makes h_i part of y.
func (l *HighOrder) activate(c *Context, s *hopScratch, i int, z, y tensor.Tensor) {
	var scale, offset, mean, rstd tensor.Tensor
	h := &l.hops[i]
	if l.needsZ() {
		c.SaveActivated(hopSlot(i, hopZ), z, Activated{Act: l.act, Bias: h.bias.Value, Values: h.scale != nil || l.batch != nil})
	}
	if h.scale != nil {
		scale, offset = h.scale.Value, h.offset.Value
		if c.Store != nil || !s.mean.Present() {
			s.mean, s.rstd = c.Temp(tensor.F32, y.Rows, 1), c.Temp(tensor.F32, y.Rows, 1)
		}
		mean, rstd = s.mean, s.rstd
	}
	out := z
	switch {
	case !l.sum || i == 0:
		out = l.joined(i, y)
	case c.Store != nil:
		if !s.h.Present() {
			s.h = c.Temp(tensor.F32, y.Rows, l.dim)
		}
		out = s.h
	}
	c.Q.BiasActNorm(l.act, h.bias.Value, scale, offset, z, l.dropOut(c, i), out, mean, rstd)
	if h.scale != nil {
		c.Save(hopSlot(i, hopMean), mean, Exact)
		c.Save(hopSlot(i, hopRstd), rstd, Exact)
	}
	if l.sum && i > 0 {
		c.Q.Axpby(1, out, 1, y)
	}
}

// normalize applies the batch norm to y in place.
func (l *HighOrder) normalize(c *Context, y tensor.Tensor) {
	b := l.batch
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
