package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// pairSweeper holds the visits of attention of pairs, built once for a Context.
type pairSweeper struct {
	q        tensor.PairOps
	self     tensor.PairSelf
	y        tensor.Tensor
	dy       tensor.Tensor
	dl, datt tensor.Tensor
	visited  bool

	aggregate func(b Block, xsrc tensor.Tensor)
	back      func(b Block, xsrc, dxsrc tensor.Tensor)
}

func (c *Context) pairSweeper() *pairSweeper {
	if c.pairs == nil {
		s := &pairSweeper{}
		s.aggregate, s.back = s.visitAggregate, s.visitBack
		c.pairs = s
	}
	ops, ok := c.Q.(tensor.PairOps)
	if !ok {
		panic("nn: the device has no operations for gatv2")
	}
	c.pairs.q, c.pairs.visited = ops, false
	return c.pairs
}

func (s *pairSweeper) visitAggregate(b Block, xsrc tensor.Tensor) {
	s.q.PairAggregate(s.self, b.A, xsrc, false, s.y)
	s.self.Drop.V += int32(b.A.Cols)
}

func (s *pairSweeper) visitBack(b Block, xsrc, dxsrc tensor.Tensor) {
	s.visited = true
	s.q.PairAggregateSelf(s.self, b.A, xsrc, s.dy, 1, s.dl, s.datt)
	s.q.PairAggregateBack(s.self, b.A.Trans, xsrc, s.dy, betaOf(b), dxsrc)
	s.self.Drop.V += int32(b.A.Cols)
}

// aggregatePairs writes the sums of the heads of the sources r and of the destinations' own to y
// and fills self.Top and self.Sum. loops is the identity.
func aggregatePairs(c *Context, g Graph, self tensor.PairSelf, loops *tensor.CSR, r, y tensor.Tensor) {
	checkRows("attention r", r, g.NumSrc())
	checkRows("attention y", y, g.NumDst())
	s := c.pairSweeper()
	s.self, s.y = self, y
	s.q.PairAggregate(self, loops, g.Dst(r), true, y)
	g.Sweep(c, r, s.aggregate)
}

// aggregatePairsBack writes the gradients of aggregatePairs's r and self.L to dr and dl and adds
// that of self.Att to datt.
func aggregatePairsBack(c *Context, g Graph, self tensor.PairSelf, loops *tensor.CSR, r, dy, dr, dl, datt tensor.Tensor) {
	s := c.pairSweeper()
	s.self, s.dy, s.dl, s.datt = self, dy, dl, datt
	own := g.Dst(r)
	s.q.PairAggregateSelf(self, loops, own, dy, 0, dl, datt)
	g.SweepBack(c, r, dr, true, s.back)
	if !s.visited {
		c.Q.Fill(0, dr)
	}
	s.q.PairAggregateBack(self, loops, own, dy, 1, g.Dst(dr))
}
