package nn

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("gcnii", newGCNII) }

// GCNII is the layer of arXiv:2007.02133, equation 5, number l of the model's GCNII layers:
//
//	X' = dropout(X),  p = (1-α) D^-1/2 (A + I) D^-1/2 X'
//	z  = (1-β) h + β h W,  h = p + α X_0                              shared_weights: true
//	z  = (1-β) p + β p W_1 + (1-β) α X_0 + β α X_0 W_2                shared_weights: false
//	y  = norm(act(z))                                                 NumDst×Dim
//
// with X_0 the initial representation, which the last dense layer before these made, and
// β = ln(θ/l + 1). A is that of GCN. Keys: alpha (0.1), theta (0.5), beta (a number for all layers in
// place of θ's), shared_weights (true). In must be Dim. A layer of order 0 is a dense one; aggr
// has nothing to join.
//
// Saved for backward: h (Factor), or p and X_0 (Factor) where weights are not shared; z where
// there is an activation or norm (Activation).
type GCNII struct {
	conv
	weight, initial *Param // initial: W_2, nil where shared
	alpha, beta     float32
}

// Slots of GCNII after its conv's.
const (
	gcniiMixed = convSlots + iota // h, or p
	gcniiInitial
)

type gcniiKeys struct {
	Alpha         float64  `yaml:"alpha"`
	Theta         float64  `yaml:"theta"`
	Beta          *float64 `yaml:"beta"`
	SharedWeights bool     `yaml:"shared_weights"`
}

func newGCNII(b Builder, s Spec) (Layer, error) {
	keys := gcniiKeys{Alpha: 0.1, Theta: 0.5, SharedWeights: true}
	if s.Order == 0 {
		if s.Extra != nil {
			if err := s.Extra.Decode(&keys); err != nil {
				return nil, err
			}
		}
		s.Extra = nil
		return newHighOrder(b, s)
	}
	f, err := newConv(s, &keys)
	if err != nil {
		return nil, err
	}
	beta := math.Log(keys.Theta/float64(s.Depth+1) + 1)
	if keys.Beta != nil {
		beta = *keys.Beta
	}
	switch {
	case s.In != s.Dim:
		return nil, fmt.Errorf("input width %d: must be the width, %d; let arch begin with 0", s.In, s.Dim)
	case !(keys.Alpha >= 0 && keys.Alpha <= 1):
		return nil, fmt.Errorf("alpha %v: must be 0 to 1", keys.Alpha)
	case !(keys.Theta >= 0 && keys.Theta <= 1e6):
		return nil, fmt.Errorf("theta %v: must be at least 0", keys.Theta)
	case !(beta >= 0 && beta <= 1) && keys.Beta != nil:
		return nil, fmt.Errorf("beta %v: must be 0 to 1", beta)
	}
	l := &GCNII{conv: f, alpha: float32(keys.Alpha), beta: float32(beta)}
	l.weight = l.add(b.Param(s.Name+".weight", s.In, s.Dim, initGlorot))
	if !keys.SharedWeights {
		l.initial = l.add(b.Param(s.Name+".initial.weight", s.In, s.Dim, initGlorot))
	}
	l.addTail(b, s)
	return l, nil
}

// Weighting returns Symmetric.
func (l *GCNII) Weighting() Weighting { return Symmetric }

// ReadsInitial returns true.
func (l *GCNII) ReadsInitial() bool { return true }

// Forward returns y (NumDst×Dim).
func (l *GCNII) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	x = l.input(c, g, x)
	checkCols("GCNII initial representation", c.Initial, l.dim)
	first := g.Dst(c.Initial)
	g, loops := weigh(g, Symmetric)
	h := c.Temp(tensor.F32, g.NumDst(), l.in)
	aggregateLoops(c, g, loops, x, h)
	z := l.target(c, g.NumDst())
	if l.initial == nil {
		c.Q.Axpby(l.alpha, first, 1-l.alpha, h)
		c.Save(gcniiMixed, h, Factor)
		l.mix(c, 1, h, l.weight, 0, z)
		return l.finish(c, z)
	}
	c.Q.Scale(1-l.alpha, h)
	c.Save(gcniiMixed, h, Factor)
	c.Save(gcniiInitial, first, Factor)
	l.mix(c, 1, h, l.weight, 0, z)
	l.mix(c, l.alpha, first, l.initial, 1, z)
	return l.finish(c, z)
}

// mix computes z = f ((1-β) h + β h W) + add z.
func (l *GCNII) mix(c *Context, f float32, h tensor.Tensor, w *Param, add float32, z tensor.Tensor) {
	c.Q.Axpby(f*(1-l.beta), h, add, z)
	c.Q.Gemm(false, false, f*l.beta, h, w.Value, 1, z)
}

// mixBack adds the gradient of W and writes that of h to dh, both of mix.
func (l *GCNII) mixBack(c *Context, f float32, h tensor.Tensor, w *Param, dz, dh tensor.Tensor) {
	c.Q.Gemm(true, false, f*l.beta, h, dz, 1, w.Grad)
	c.Q.Axpby(f*(1-l.beta), dz, 0, dh)
	c.Q.Gemm(false, true, f*l.beta, dz, w.Value, 1, dh)
}

// Backward returns dx (NumSrc×In) if needDX, adds the gradients of all parameters and that of the
// initial representation to c.InitialGrad.
func (l *GCNII) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	h := c.LoadRows(gcniiMixed)
	dz := l.finishBack(c, dy)
	dh := c.Temp(tensor.F32, dz.Rows, l.dim)
	initialGrad := g.Dst(c.InitialGrad)
	if l.initial == nil {
		l.mixBack(c, 1, h, l.weight, dz, dh)
		c.Q.Axpby(l.alpha, dh, 1, initialGrad)
	} else {
		l.mixBack(c, l.alpha, c.LoadRows(gcniiInitial), l.initial, dz, dh)
		c.Q.Axpby(1, dh, 1, initialGrad)
		l.mixBack(c, 1, h, l.weight, dz, dh)
	}
	if !needDX {
		return tensor.Tensor{}
	}
	c.Q.Scale(1-l.alpha, dh)
	g, loops := weigh(g, Symmetric)
	dx := c.New(g.NumSrc(), l.in)
	aggregateLoopsBack(c, g, loops, dh, dx)
	l.inputBack(c, dx)
	return dx
}
