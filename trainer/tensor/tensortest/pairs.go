package tensortest

import (
	"fmt"
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// runPairs checks attention of pairs and dropout of its weights, where the device has them.
func runPairs(t *testing.T, open tensor.Opener) {
	e := newEnv(t, open, tensor.Options{})
	if _, ok := e.q.(tensor.PairOps); !ok {
		t.Skip("this device has no operations for attention of pairs")
	}
	for _, s := range []shape{{1, 4, false}, {17, 12, true}, {300, 15, false}, {65, 64, true}} {
		for _, p := range []float32{0, 0.4} {
			t.Run(fmt.Sprintf("%s/drop=%g", s, p), func(t *testing.T) {
				e.TB = t
				newPairRun(e, s, p).check()
				e.a.Reset()
			})
			t.Run(fmt.Sprintf("%s/heads/drop=%g", s, p), func(t *testing.T) {
				e.TB = t
				e.droppedHeads(s, p)
				e.a.Reset()
			})
		}
	}
	e.TB = t
}

// edgeMask is what dropout multiplies the weight of u<-v in head k by.
func edgeMask(d tensor.EdgeDrop, u, v, k int) float64 {
	if d.P == 0 {
		return 1
	}
	key := philox.Key(d.Key.Seed, d.Key.Step, d.Key.Layer, d.Key.Slot)
	w := [4]uint32{}
	w[0], w[1], w[2], w[3] = philox.Block(uint32(int(d.U)+u), uint32(int(d.V)+v), uint32(k/4), 0, uint32(key), uint32(key>>32))
	if uint64(w[k%4]) < philox.Threshold(d.P) {
		return 0
	}
	return 1 / (1 - float64(d.P))
}

func testDrop(p float32) tensor.EdgeDrop {
	return tensor.EdgeDrop{P: p, Key: tensor.RandKey{Seed: 3, Step: 1, Layer: 2, Slot: 9}, U: 5, V: 70}
}

// pairRun is attention of pairs over a matrix and its transpose.
type pairRun struct {
	*env
	s            shape
	k, d         int
	a            *tensor.CSR
	entries      [][]int
	l, r, att, y *operand
	top, sum     *operand
	self         tensor.PairSelf
}

func newPairRun(e *env, s shape, p float32) *pairRun {
	c := &pairRun{env: e, s: s}
	c.k, c.d = headsIn(s.cols)
	c.a, c.entries, _ = e.simple(s.rows, s.rows+3, 9)
	c.l, c.r, c.att = e.normal(s), e.normal(shape{s.rows + 3, s.cols, s.strided}), e.normal(shape{1, s.cols, false})
	c.y, c.top, c.sum = e.undefined(s), e.undefined(s.of(c.k)), e.undefined(s.of(c.k))
	c.self = tensor.PairSelf{L: c.l.Tensor, Att: c.att.Tensor, Top: c.top.Tensor, Sum: c.sum.Tensor, Drop: testDrop(p)}
	return c
}

func (c *pairRun) score(u, v, hd int) (e float64) {
	for j := hd * c.d; j < (hd+1)*c.d; j++ {
		e += c.att.at(0, j) * leaky(c.l.at(u, j)+c.r.at(v, j))
	}
	return e
}

// check compares the passes with their definitions.
func (c *pairRun) check() {
	ops := c.q.(tensor.PairOps)
	cols := c.s.cols
	// In two calls with the same entries, softmax halves every weight and adds them up again.
	ops.PairAggregate(c.self, c.a, c.r.Tensor, true, c.y.Tensor)
	ops.PairAggregate(c.self, c.a, c.r.Tensor, false, c.y.Tensor)
	c.sync()
	top, sum, y := make([]float64, c.s.rows*c.k), make([]float64, c.s.rows*c.k), make([]float64, c.s.rows*cols)
	for u, row := range c.entries {
		for hd := range c.k {
			at := u*c.k + hd
			top[at] = math.Inf(-1)
			for _, v := range row {
				top[at] = max(top[at], c.score(u, v, hd))
			}
			for _, v := range row {
				sum[at] += 2 * math.Exp(c.score(u, v, hd)-top[at])
			}
			if len(row) == 0 {
				top[at] = 0
			}
			for _, v := range row {
				w := 2 * math.Exp(c.score(u, v, hd)-top[at]) / sum[at] * edgeMask(c.self.Drop, u, v, hd)
				for j := hd * c.d; j < (hd+1)*c.d; j++ {
					y[u*cols+j] += w * c.r.at(v, j)
				}
			}
		}
	}
	c.top.equals("top", top, 1e-5)
	c.sum.equals("sum", sum, 1e-5)
	c.y.equals("y", y, 2e-5)
	c.backward(ops, top, sum)
}

func (c *pairRun) backward(ops tensor.PairOps, top, sum []float64) {
	dy, dot := c.normal(c.s), c.normal(c.s.of(c.k))
	dl, datt := c.destination(c.s, 1), c.destination(shape{1, c.s.cols, false}, 1)
	wantL, wantAtt := clone(dl), clone(datt)
	wantR := make([]float64, (c.s.rows+3)*c.s.cols)
	self := c.self
	self.Dot = dot.Tensor
	for u, row := range c.entries {
		for _, v := range row {
			for hd := range c.k {
				at := u*c.k + hd
				w, m := math.Exp(c.score(u, v, hd)-top[at])/sum[at], edgeMask(self.Drop, u, v, hd)
				g := 0.0
				for j := hd * c.d; j < (hd+1)*c.d; j++ {
					g += dy.at(u, j) * c.r.at(v, j)
				}
				g = w * (m*g - dot.at(u, hd))
				for j := hd * c.d; j < (hd+1)*c.d; j++ {
					z := c.l.at(u, j) + c.r.at(v, j)
					f := g * c.att.at(0, j) * leakySlope(z)
					wantAtt[j] += g * leaky(z)
					wantL[u*c.s.cols+j] += f
					wantR[v*c.s.cols+j] += f + w*m*dy.at(u, j)
				}
			}
		}
	}
	ops.PairAggregateSelf(self, c.a, c.r.Tensor, dy.Tensor, 1, dl.Tensor, datt.Tensor)
	c.sync()
	dl.equals("dl", wantL, 1e-4)
	datt.equals("datt", wantAtt, 1e-4)
	// Rows of the transpose are sources: the same entries, told from the other side.
	dr := c.undefined(shape{c.s.rows + 3, c.s.cols, c.s.strided})
	ops.PairAggregateBack(self, c.transposed(), c.r.Tensor, dy.Tensor, 0, dr.Tensor)
	c.sync()
	dr.equals("dr", wantR, 1e-4)
}

// transposed returns the matrix with rows and columns exchanged.
func (c *pairRun) transposed() *tensor.CSR {
	sources := c.s.rows + 3
	var indptr, indices []float64
	for v := range sources {
		indptr = append(indptr, float64(len(indices)))
		for u, row := range c.entries {
			for _, w := range row {
				if w == v {
					indices = append(indices, float64(u))
				}
			}
		}
	}
	indptr = append(indptr, float64(len(indices)))
	of := func(x []float64) tensor.Tensor {
		return c.i32(shape{len(x), 1, false}, func(i int) float64 { return x[i] }).Tensor
	}
	ones := c.f32(shape{len(indices), 1, false}, func(int) float64 { return 1 })
	return &tensor.CSR{Rows: sources, Cols: c.s.rows, Indptr: of(indptr), Indices: of(indices), Values: ones.Tensor}
}

// droppedHeads checks that attention with softmax heeds dropout of its weights in every pass.
func (e *env) droppedHeads(s shape, p float32) {
	h, back := e.edgesFor(s, tensor.HeadSoftmax, false), e.edgesFor(s, tensor.HeadSoftmax, true)
	self, backSelf := h.self(), back.self()
	self.Drop, backSelf.Drop = testDrop(p), testDrop(p)
	cols := s.cols + h.k
	y, ds, dsrc := e.undefined(s), e.undefined(s.of(h.k)), e.undefined(s.of(cols))
	e.q.HeadAggregate(self, h.a, h.src.Tensor, 0, y.Tensor, tensor.Tensor{})
	e.q.HeadAggregateSelf(self, h.a, h.src.Tensor, h.dy.Tensor, 0, ds.Tensor)
	e.q.HeadAggregateBack(backSelf, back.a, back.src.Tensor, back.dy.Tensor, 0, dsrc.Tensor)
	e.sync()
	wantY, wantS, wantSrc := make([]float64, s.rows*s.cols), make([]float64, s.rows*h.k), make([]float64, s.rows*cols)
	// change is for weights that all count once: what counts otherwise is a product m times.
	change := func(h *headEdges, u, v, hd int) float64 {
		return edgeMask(self.Drop, u, v, hd)*(h.change(u, v, hd)+h.dot.at(u, hd)) - h.dot.at(u, hd)
	}
	h.each(func(u, v, hd int, w, slope float64) {
		for j := hd * h.d; j < (hd+1)*h.d; j++ {
			wantY[u*s.cols+j] += w * edgeMask(self.Drop, u, v, hd) * h.src.at(v, j)
		}
		wantS[u*h.k+hd] += slope * change(h, u, v, hd)
	})
	back.each(func(u, v, hd int, w, slope float64) {
		for j := hd * back.d; j < (hd+1)*back.d; j++ {
			wantSrc[v*cols+j] += w * edgeMask(self.Drop, u, v, hd) * back.dy.at(u, j)
		}
		wantSrc[v*cols+s.cols+hd] += slope * change(back, u, v, hd)
	})
	y.equals("y", wantY, 2e-5)
	ds.equals("ds", wantS, 1e-4)
	dsrc.equals("dsrc", wantSrc, 1e-4)
}
