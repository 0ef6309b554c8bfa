package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("gin", newGIN) }

// GIN is the layer of the graph isomorphism network (arXiv:1810.00826, equation 4.1) with a
// perceptron of two layers:
//
//	X' = dropout(X)                                     NumSrc×In
//	u_v = (1 + ε) X'_v + sum over neighbours w of X'_w  NumDst×In
//	r  = max(u W_0 + b_0, 0) or max(bn(u W_0), 0)       NumDst×Dim
//	z  = r W_1                                          NumDst×Dim
//	y  = norm(act(z + b_1))                             NumDst×Dim
//
// A has 1 for every edge of the graph at hand, whatever its weight. Keys: eps is ε's initial
// value (0), train_eps says whether it is learned (false), mlp_norm: batch (none) puts in the batch
// norm, whose offset takes the place of b_0. A layer of order 0 is a dense one; aggr has nothing to join.
//
// Saved for backward: u and r (Factor), r's sign or, with a batch norm, the norm's input
// (Activation) and statistics (Exact); X' (Activation) where ε is learned; z where there is an
// activation or norm (Activation).
type GIN struct {
	conv
	eps       *Param // 1×1; a buffer where it is not learned
	w0, b0    *Param // b0: nil with a batch norm
	w1        *Param
	inner     *batchNorm // nil: none
	learnsEps bool
}

// batchNormUsual is what batch norms add to the variance elsewhere (PyTorch's default).
const batchNormUsual = 1e-5

// Slots of GIN after its conv's.
const (
	ginSum = convSlots + iota
	ginHidden
	ginNormed // what the batch norm got
	ginMean
	ginRstd
	ginSign
)

type ginKeys struct {
	Eps      float64 `yaml:"eps"`
	TrainEps bool    `yaml:"train_eps"`
	MLPNorm  string  `yaml:"mlp_norm"`
}

func newGIN(b Builder, s Spec) (Layer, error) {
	if s.Order == 0 {
		return newHighOrder(b, s)
	}
	keys := ginKeys{MLPNorm: "none"}
	f, err := newConv(s, &keys)
	switch {
	case err != nil:
		return nil, err
	case keys.MLPNorm != "none" && keys.MLPNorm != "batch":
		return nil, fmt.Errorf("mlp_norm %q: unknown, there is batch, none", keys.MLPNorm)
	case !(keys.Eps >= -1e6 && keys.Eps <= 1e6):
		return nil, fmt.Errorf("eps %v: must be a number near 0", keys.Eps)
	}
	l := &GIN{conv: f, learnsEps: keys.TrainEps}
	init := initConst(keys.Eps)
	if keys.TrainEps {
		l.eps = l.add(b.Param(s.Name+".eps", 1, 1, init))
	} else {
		l.eps = l.add(b.Buffer(s.Name+".eps", 1, 1, init))
	}
	l.w0 = l.add(b.Param(s.Name+".mlp.0.weight", s.In, s.Dim, initGlorot))
	if keys.MLPNorm == "batch" {
		l.inner = newBatchNorm(b, s.Name+".mlp.norm.", s.Dim, l.add)
	} else {
		l.b0 = l.add(b.Param(s.Name+".mlp.0.bias", 1, s.Dim, initZeros))
	}
	l.w1 = l.add(b.Param(s.Name+".mlp.1.weight", s.Dim, s.Dim, initGlorot))
	l.bias = l.add(b.Param(s.Name+".mlp.1.bias", 1, s.Dim, initZeros))
	l.addTail(b, s)
	return l, nil
}

// Weighting returns Ones.
func (l *GIN) Weighting() Weighting { return Ones }

// factor returns 1 + ε for every destination.
func (l *GIN) factor(c *Context, rows int) tensor.Tensor {
	f := c.Temp(tensor.F32, rows, 1)
	c.Q.Fill(1, f)
	c.Q.Axpby(1, l.eps.Value, 1, f)
	return f
}

// Forward returns y (NumDst×Dim).
func (l *GIN) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	if l.learnsEps {
		c.Save(slotX, x, Activation)
	}
	g, _ = weigh(g, Ones)
	n := g.NumDst()
	u := c.Temp(tensor.F32, n, l.in)
	c.Q.HeadScale(false, l.factor(c, n), g.Dst(x), u)
	aggregateOnto(c, g, x, u)
	c.Save(ginSum, u, Factor)
	r := l.hidden(c, u)
	c.Save(ginHidden, r, Factor)
	z := l.target(c, n)
	c.Q.Gemm(false, false, 1, r, l.w1.Value, 0, z)
	return l.finish(c, z)
}

// hidden returns r.
func (l *GIN) hidden(c *Context, u tensor.Tensor) tensor.Tensor {
	var none tensor.Tensor
	h := c.Temp(tensor.F32, u.Rows, l.dim)
	c.Q.Gemm(false, false, 1, u, l.w0.Value, 0, h)
	r := h
	if l.inner != nil {
		if c.Store != nil {
			c.Save(ginNormed, h, Activation)
			r = c.Temp(tensor.F32, u.Rows, l.dim)
		}
		l.inner.forward(c, batchNormUsual, ginMean, h, r)
	}
	c.Q.BiasActNorm(tensor.ReLU, valueOf(l.b0), none, none, r, tensor.Drop{}, r, none, none)
	c.SaveActivated(ginSign, r, Activated{Act: tensor.ReLU})
	return r
}

// Backward returns dx (NumSrc×In) if needDX and adds the gradients of all parameters.
func (l *GIN) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	dz := l.finishBack(c, dy)
	c.Q.Gemm(true, false, 1, c.LoadRows(ginHidden), dz, 1, l.w1.Grad)
	d := c.Temp(tensor.F32, dz.Rows, l.dim)
	c.Q.Gemm(false, true, 1, dz, l.w1.Value, 0, d)
	d = l.hiddenBack(c, d)
	c.Q.Gemm(true, false, 1, c.LoadRows(ginSum), d, 1, l.w0.Grad)
	var x tensor.Tensor
	if l.learnsEps {
		x = c.Load(slotX)
	}
	if !needDX && !l.learnsEps {
		return tensor.Tensor{}
	}
	du := c.Temp(tensor.F32, d.Rows, l.in)
	c.Q.Gemm(false, true, 1, d, l.w0.Value, 0, du)
	return l.sumBack(c, g, x, du, needDX)
}

// hiddenBack returns the gradient of u W_0 for d, that of r, which it overwrites.
func (l *GIN) hiddenBack(c *Context, d tensor.Tensor) tensor.Tensor {
	var none tensor.Tensor
	r := c.LoadRows(ginSign) // of the sign of the argument
	if l.inner == nil {
		zero := c.Temp(tensor.F32, 1, l.dim)
		c.Q.Fill(0, zero)
		c.Q.BiasActNormBackward(tensor.ReLU, zero, none, none, none, r, d, tensor.Drop{}, d, l.b0.Grad, none, none)
		return d
	}
	c.Q.BiasActNormBackward(tensor.ReLU, none, none, none, none, r, d, tensor.Drop{}, d, none, none, none)
	dh := c.Temp(tensor.F32, d.Rows, d.Cols)
	l.inner.backward(c, ginMean, c.Load(ginNormed), d, dh)
	return dh
}

// sumBack returns the gradient of x from that of u and adds that of ε.
func (l *GIN) sumBack(c *Context, g Graph, x, du tensor.Tensor, needDX bool) tensor.Tensor {
	own := c.Temp(tensor.F32, du.Rows, l.in)
	f := l.factor(c, du.Rows)
	if l.learnsEps {
		var none tensor.Tensor
		df := c.Temp(tensor.F32, du.Rows, 1)
		c.Q.HeadScaleBackward(false, f, g.Dst(x), du, own, df)
		c.Q.BiasActNormBackward(tensor.Identity, l.eps.Value, none, none, none, df, df, tensor.Drop{}, df, l.eps.Grad, none, none)
	} else {
		c.Q.HeadScale(false, f, du, own)
	}
	if !needDX {
		return tensor.Tensor{}
	}
	g, _ = weigh(g, Ones)
	dx := c.New(g.NumSrc(), l.in)
	AggregateBack(c, g, du, dx)
	c.Q.Axpby(1, own, 1, g.Dst(dx))
	l.inputBack(c, dx)
	return dx
}
