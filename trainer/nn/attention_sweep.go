package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// headSweeper holds the visits of attention, built once for a Context.
type headSweeper struct {
	q       tensor.Queue
	self    tensor.HeadSelf
	y, mean tensor.Tensor
	dy, ds  tensor.Tensor
	arg     tensor.Tensor
	base    int32
	visited bool
	loops   bool // self loops came first: blocks add to what they wrote

	aggregate, stats, largest  func(b Block, xsrc tensor.Tensor)
	back, backSelf, largestOut func(b Block, xsrc, dxsrc tensor.Tensor)
}

func (c *Context) headSweeper() *headSweeper {
	if c.heads == nil {
		s := &headSweeper{}
		s.aggregate = s.visitAggregate
		s.stats = s.visitStats
		s.back = s.visitBack
		s.backSelf = s.visitBackSelf
		s.largest = s.visitLargest
		s.largestOut = s.visitLargestBack
		c.heads = s
	}
	c.heads.q, c.heads.visited, c.heads.base, c.heads.loops = c.Q, false, 0, false
	return c.heads
}

func (s *headSweeper) visitAggregate(b Block, xsrc tensor.Tensor) {
	s.visited = true
	beta := betaOf(b)
	if s.loops {
		beta = 1
	}
	s.q.HeadAggregate(s.self, b.A, xsrc, beta, s.y, s.mean)
	s.self.Drop.V += int32(b.A.Cols)
}

func (s *headSweeper) visitStats(b Block, xsrc tensor.Tensor) {
	s.visited = true
	s.q.HeadSoftmaxSums(b.A, s.self.S, xsrc.ColRange(xsrc.Cols-s.self.S.Cols, xsrc.Cols), b.First && !s.loops, s.self.Top, s.self.Sum)
}

func (s *headSweeper) visitBack(b Block, xsrc, dxsrc tensor.Tensor) {
	s.visited = true
	s.q.HeadAggregateBack(s.self, b.A.Trans, xsrc, s.dy, betaOf(b), dxsrc)
	s.self.Drop.V += int32(b.A.Cols)
}

// visitBackSelf also makes the block's part of the gradient of the destinations' scores. The
// first of those starts it, which is told by base: First is about dxsrc.
func (s *headSweeper) visitBackSelf(b Block, xsrc, dxsrc tensor.Tensor) {
	beta := float32(1)
	if s.base == 0 && !s.loops {
		beta = 0
	}
	s.base++
	s.q.HeadAggregateSelf(s.self, b.A, xsrc, s.dy, beta, s.ds)
	s.visitBack(b, xsrc, dxsrc)
}

func (s *headSweeper) visitLargest(b Block, xsrc tensor.Tensor) {
	s.visited = true
	s.q.NeighborMax(b.A, xsrc, s.base, b.First, s.y, s.arg)
	s.base += int32(b.A.Cols)
}

func (s *headSweeper) visitLargestBack(b Block, _, dxsrc tensor.Tensor) {
	s.visited = true
	s.q.NeighborMaxBackward(b.A.Trans, s.arg, s.dy, s.base, betaOf(b), dxsrc)
	s.base += int32(b.A.Cols)
}

// aggregateHeads writes the weighted sums of the sources' heads to y, and of HeadSum what mean
// is for (absent: not wanted). src holds features and scores of all sources.
func aggregateHeads(c *Context, g Graph, self tensor.HeadSelf, src, y, mean tensor.Tensor) {
	checkRows("attention src", src, g.NumSrc())
	checkRows("attention y", y, g.NumDst())
	s := c.headSweeper()
	s.self, s.y, s.mean = self, y, mean
	g.Sweep(c, src, s.aggregate)
	if !s.visited {
		c.Q.Fill(0, y)
		if mean.Present() {
			c.Q.Fill(0, mean)
		}
	}
}

// aggregateSoftmax writes the sums of the sources' heads and of the destinations' own, weighted
// by softmax, to y and fills self.Top and self.Sum. loops is the identity.
func aggregateSoftmax(c *Context, g Graph, self tensor.HeadSelf, loops *tensor.CSR, src, y tensor.Tensor) {
	checkRows("attention src", src, g.NumSrc())
	checkRows("attention y", y, g.NumDst())
	s := c.headSweeper()
	s.self, s.y, s.mean, s.loops = self, y, tensor.Tensor{}, true
	own, k := g.Dst(src), self.S.Cols
	c.Q.HeadSoftmaxSums(loops, self.S, own.ColRange(own.Cols-k, own.Cols), true, self.Top, self.Sum)
	g.Sweep(c, src, s.stats)
	c.Q.HeadAggregate(self, loops, own, 0, y, tensor.Tensor{})
	g.Sweep(c, src, s.aggregate)
}

// aggregateSoftmaxBack writes the gradients of aggregateSoftmax's src and self.S to dsrc and ds.
func aggregateSoftmaxBack(c *Context, g Graph, self tensor.HeadSelf, loops *tensor.CSR, src, dy, dsrc, ds tensor.Tensor) {
	own := g.Dst(src)
	c.Q.HeadAggregateSelf(self, loops, own, dy, 0, ds)
	s := c.headSweeper()
	s.self, s.dy, s.ds, s.loops = self, dy, ds, true
	g.SweepBack(c, src, dsrc, true, s.backSelf)
	if !s.visited {
		c.Q.Fill(0, dsrc)
	}
	c.Q.HeadAggregateBack(self, loops, own, dy, 1, g.Dst(dsrc))
}

// aggregateHeadsBack writes the gradient of src to dsrc and, unless ds is absent, that of the
// destinations' scores to ds.
func aggregateHeadsBack(c *Context, g Graph, self tensor.HeadSelf, src, dy, dsrc, ds tensor.Tensor) {
	s := c.headSweeper()
	s.self, s.dy, s.ds = self, dy, ds
	visit := s.back
	if ds.Present() {
		visit = s.backSelf
	}
	g.SweepBack(c, src, dsrc, true, visit)
	if !s.visited {
		c.Q.Fill(0, dsrc)
		if ds.Present() {
			c.Q.Fill(0, ds)
		}
	}
}

// neighborMax writes the largest of the neighbours' x to y and where they were to arg.
func neighborMax(c *Context, g Graph, x, y, arg tensor.Tensor) {
	s := c.headSweeper()
	s.y, s.arg = y, arg
	g.Sweep(c, x, s.largest)
	if !s.visited {
		c.Q.Fill(0, y)
	}
}

// neighborMaxBack writes the gradient of neighborMax's x to dx.
func neighborMaxBack(c *Context, g Graph, arg, dy, dx tensor.Tensor) {
	s := c.headSweeper()
	s.dy, s.arg = dy, arg
	g.SweepBack(c, tensor.Tensor{}, dx, false, s.largestOut)
	if !s.visited {
		c.Q.Fill(0, dx)
	}
}
