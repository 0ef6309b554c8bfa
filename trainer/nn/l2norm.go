package nn

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("l2norm", newL2Norm) }

// L2Norm scales every row to unit length: y_v = x_v / max(|x_v|, 1e-12), the head of
// GraphSAINT models. It has no parameters, NumDst×In output for NumSrc×In input, and
// saves y (Activation) and the lengths (Exact, n×1).
type L2Norm struct{ dim int }

// Slots of L2Norm.
const (
	l2normY = iota
	l2normLength
)

func newL2Norm(_ Builder, s Spec) (Layer, error) {
	if s.In < 1 {
		return nil, fmt.Errorf("input width %d: must be at least 1", s.In)
	}
	return &L2Norm{dim: s.In}, nil
}

// Params returns nil.
func (l *L2Norm) Params() []*Param { return nil }

// OutDim returns the input width.
func (l *L2Norm) OutDim() int { return l.dim }

// Hops returns 0.
func (l *L2Norm) Hops() int { return 0 }

// Forward returns the normalised destination rows.
func (l *L2Norm) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	checkCols("L2Norm x", x, l.dim)
	self := g.Dst(x)
	y := c.New(self.Rows, l.dim)
	length := c.Temp(tensor.F32, self.Rows, 1)
	c.Q.NormalizeRows(self, y, length)
	c.Save(l2normY, y, Activation)
	c.Save(l2normLength, length, Exact)
	return y
}

// Backward returns (dy - y <y,dy>)/|x|.
func (l *L2Norm) Backward(c *Context, _ Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	y, length := c.loadUnitRows(l2normY), c.Load(l2normLength)
	if !needDX {
		return tensor.Tensor{}
	}
	dx := c.New(dy.Rows, dy.Cols)
	c.Q.NormalizeRowsBackward(dy, y, length, dx)
	return dx
}
