package nn

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func init() { Register("jk_max_pool", newMaxPool) }

// Values of ModelSpec.JK.
const (
	jkConcat  = "concat"
	jkMaxPool = "max_pool"
)

// jumps returns the layers whose outputs a jumping-knowledge head reads (arXiv:1806.03536),
// chosen as GraphSAINT does: the layer before every aggregating one but the first, and the last
// layer; if the orders of neighbours in that list all differ, the layers of order 1 instead.
func jumps(orders []int) []int {
	var list []int
	first := true
	for i, k := range orders {
		if k > 0 && !first {
			list = append(list, i-1)
		}
		first = first && k == 0
	}
	list = append(list, len(orders)-1)
	for i := 1; i < len(list); i++ {
		if orders[list[i]] == orders[list[i-1]] {
			return list
		}
	}
	list = list[:0]
	for i, k := range orders {
		if k == 1 {
			list = append(list, i)
		}
	}
	return list
}

// carrier runs a layer and carries outputs of earlier ones along, in columns before its own:
//
//	x = [k_1 … k_m]     → y = [k_1 … k_m, layer(k_m)]      where the layer's input is kept
//	x = [k_1 … k_m, h]  → y = [k_1 … k_m, layer(h)]        where it is not
//
// So a container that knows one input and one output of a layer, and an evaluator that goes over
// row tiles, run models with jumping knowledge like any other. The layer writes into the wider
// tensor at once (Context.Into); only kept columns are copied.
type carrier struct {
	Layer
	in   int  // columns of the layer's input
	from int  // where they begin in x
	keep int  // columns of x that y begins with
	last bool // what follows reads all columns
}

// read reports whether the layer's input is among the kept columns, so that it has two readers.
func (l *carrier) read() bool { return l.keep > l.from }

// OutDim returns the width of kept columns and output.
func (l *carrier) OutDim() int { return l.keep + l.Layer.OutDim() }

// InputDrop returns the layer's dropout, unless another reader wants the input as it is.
func (l *carrier) InputDrop(c *Context, layer int) tensor.Drop {
	if d, ok := l.Layer.(Dropper); ok && !l.read() {
		return d.InputDrop(c, layer)
	}
	return tensor.Drop{}
}

// DropsOutput reports whether the layer does and the next one reads its output alone.
func (l *carrier) DropsOutput() bool {
	d, ok := l.Layer.(Dropper)
	return ok && d.DropsOutput() && !l.last
}

// Weighting returns the layer's.
func (l *carrier) Weighting() Weighting { return WeightingOf(l.Layer) }

func (l *carrier) input(x tensor.Tensor) tensor.Tensor { return x.ColRange(l.from, l.from+l.in) }

// begin returns a tensor for what a call of the carrier returns, of whose columns the layer's
// own, from col on, are where it is to write.
func begin(c *Context, rows, cols, col int) tensor.Tensor {
	wide := c.New(rows, cols)
	c.Into = wide.ColRange(col, cols)
	return wide
}

// end makes t, which the layer returned, part of wide, if it did not write there.
func end(c *Context, t, wide tensor.Tensor, col int) {
	c.Into = tensor.Tensor{}
	if t.ID != wide.ID {
		c.Q.Axpby(1, t, 0, wide.ColRange(col, wide.Cols))
		c.A.Release(t)
	}
}

// Forward returns the kept columns and the layer's output.
func (l *carrier) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	y := begin(c, g.NumDst(), l.OutDim(), l.keep)
	end(c, l.Layer.Forward(c, g, l.input(x)), y, l.keep)
	c.Q.Axpby(1, g.Dst(x).ColRange(0, l.keep), 0, y.ColRange(0, l.keep))
	return y
}

// Backward returns the gradient of all columns.
func (l *carrier) Backward(c *Context, g Graph, dy tensor.Tensor, _ bool) tensor.Tensor {
	dx := begin(c, g.NumSrc(), l.from+l.in, l.from)
	end(c, l.Layer.Backward(c, g, dy.ColRange(l.keep, dy.Cols), true), dx, l.from)
	c.Q.Axpby(1, dy.ColRange(0, l.from), 0, g.Dst(dx).ColRange(0, l.from))
	if l.read() {
		c.Q.Axpby(1, dy.ColRange(l.from, l.keep), 1, g.Dst(dx).ColRange(l.from, l.keep))
	}
	return dx
}

// ProjDim returns the layer's.
func (l *carrier) ProjDim() int {
	if p, ok := l.Layer.(Projector); ok {
		return p.ProjDim()
	}
	return 0
}

// Project writes the layer's projection of its columns of x.
func (l *carrier) Project(c *Context, x, p tensor.Tensor) {
	l.Layer.(Projector).Project(c, l.input(x), p)
}

// ForwardProjected is Forward for destinations whose own rows are self.
func (l *carrier) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	y := begin(c, self.Rows, l.OutDim(), l.keep)
	end(c, l.Layer.(Projector).ForwardProjected(c, g, l.input(self), p), y, l.keep)
	c.Q.Axpby(1, self.ColRange(0, l.keep), 0, y.ColRange(0, l.keep))
	return y
}

// carrying wraps the layers of a model so that the last one's output holds all those of jumps.
type carrying struct {
	jumps []int
	kept  int // columns kept so far, the last output's among them if it is one
	next  int // index into jumps
}

// wrap returns the layer to run as number i, whose input has in columns.
func (k *carrying) wrap(i, in int, l Layer) Layer {
	carried, from := k.kept, k.kept
	if i > 0 && k.next > 0 && k.jumps[k.next-1] == i-1 {
		from -= in
	}
	kept := k.next < len(k.jumps) && k.jumps[k.next] == i
	if kept {
		k.next++
		k.kept += l.OutDim()
	}
	if carried == 0 {
		return l
	}
	return &carrier{Layer: l, in: in, from: from, keep: carried, last: k.next == len(k.jumps)}
}

// MaxPool is the elementwise maximum of groups of columns of the same width: y = max(h_1 … h_m)
// for x = [h_1 … h_m]. It saves which group an element came from (Exact).
type MaxPool struct{ in, dim int }

func newMaxPool(_ Builder, s Spec) (Layer, error) {
	if s.Dim < 1 || s.In < 1 || s.In%s.Dim != 0 {
		return nil, fmt.Errorf("input width %d: must be a multiple of %d", s.In, s.Dim)
	}
	return &MaxPool{in: s.In, dim: s.Dim}, nil
}

// Params returns nil.
func (l *MaxPool) Params() []*Param { return nil }

// OutDim returns the width of a group.
func (l *MaxPool) OutDim() int { return l.dim }

// Hops returns 0.
func (l *MaxPool) Hops() int { return 0 }

// Forward returns the maxima of the destinations' rows.
func (l *MaxPool) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	checkCols("MaxPool x", x, l.in)
	self := g.Dst(x)
	y := c.New(self.Rows, l.dim)
	arg := c.Temp(tensor.I32, self.Rows, l.dim)
	c.Q.GroupMax(self, y, arg)
	c.Save(0, arg, Exact)
	return y
}

// Backward gives each element's gradient to the group that it came from.
func (l *MaxPool) Backward(c *Context, _ Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	arg := c.Load(0)
	if !needDX {
		return tensor.Tensor{}
	}
	dx := c.New(dy.Rows, l.in)
	c.Q.GroupMaxBackward(arg, dy, dx)
	return dx
}

// checkJK returns the layers that a jumping-knowledge head reads.
func checkJK(m ModelSpec) ([]int, error) {
	switch m.JK {
	case "":
		return nil, nil
	case jkConcat, jkMaxPool:
	default:
		return nil, fmt.Errorf("jk %q: unknown, there is concat, max_pool", m.JK)
	}
	list := jumps(m.Orders)
	if len(list) == 0 {
		return nil, errors.New("jk: no layer has order 1")
	}
	return list, nil
}
