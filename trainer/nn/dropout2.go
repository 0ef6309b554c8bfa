package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// scaled is a layer whose input is multiplied by a factor, in training and in evaluation. With 1-p
// for a layer that drops its input out at rate p it makes EXACT's dropout2 of that dropout: what is
// kept stays as it is in training, and evaluation multiplies by 1-p.
type scaled struct {
	Layer
	factor float32
}

var (
	_ Dropper       = (*scaled)(nil)
	_ InitialReader = (*scaled)(nil)
	_ Projector     = (*scaled)(nil)
)

// input returns the layer's input.
func (l *scaled) input(c *Context, x tensor.Tensor) tensor.Tensor {
	t := c.Temp(tensor.F32, x.Rows, x.Cols)
	c.Q.Axpby(l.factor, x, 0, t)
	return t
}

// Forward returns the layer's output.
func (l *scaled) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	return l.Layer.Forward(c, g, l.input(c, x))
}

// Backward returns dx if needDX.
func (l *scaled) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	dx := l.Layer.Backward(c, g, dy, needDX)
	if needDX {
		c.Q.Scale(l.factor, dx)
	}
	return dx
}

// Weighting returns the layer's.
func (l *scaled) Weighting() Weighting { return WeightingOf(l.Layer) }

// ReadsInitial returns what the layer says.
func (l *scaled) ReadsInitial() bool { return readsInitial(l.Layer) }

// InputDrop returns the layer's: elements are dropped before they are multiplied, or after.
func (l *scaled) InputDrop(c *Context, layer int) tensor.Drop {
	if d, ok := l.Layer.(Dropper); ok {
		return d.InputDrop(c, layer)
	}
	return tensor.Drop{}
}

// DropsOutput returns the layer's.
func (l *scaled) DropsOutput() bool {
	d, ok := l.Layer.(Dropper)
	return ok && d.DropsOutput()
}

// ProjDim returns the layer's.
func (l *scaled) ProjDim() int {
	if p, ok := l.Layer.(Projector); ok {
		return p.ProjDim()
	}
	return 0
}

// Project writes the layer's projection of its input.
func (l *scaled) Project(c *Context, x, p tensor.Tensor) {
	l.Layer.(Projector).Project(c, l.input(c, x), p)
}

// ForwardProjected is Forward for destinations whose own rows are self.
func (l *scaled) ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor {
	return l.Layer.(Projector).ForwardProjected(c, g, l.input(c, self), p)
}
