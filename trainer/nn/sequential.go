package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// Sequential runs layers one after the other and owns the activations between them: with
// stores, it is the only place that retains and releases tensors, so that layers never do.
// It keeps no state between calls. A layer's panic passes through; Context.Layer then tells
// which one it was.
type Sequential struct {
	layers  []Layer
	names   []string
	params  []*Param
	initial int // number of the layer whose output InitialReaders read, plus 1; 0: none does
}

// Add appends a layer. name is the prefix of its parameters and its name in messages. The first
// layer that reads the initial representation makes the one before it the layer whose output
// that is; there must be one.
func (s *Sequential) Add(name string, l Layer) {
	if s.initial == 0 && readsInitial(l) {
		s.initial = len(s.layers)
	}
	s.layers = append(s.layers, l)
	s.names = append(s.names, name)
	s.params = append(s.params, l.Params()...)
}

// Len returns the number of layers.
func (s *Sequential) Len() int { return len(s.layers) }

// Layer returns layer i.
func (s *Sequential) Layer(i int) Layer { return s.layers[i] }

// Initial returns the number of the layer whose output is the initial representation, and
// whether there is one.
func (s *Sequential) Initial() (layer int, ok bool) { return s.initial - 1, s.initial > 0 }

// Name returns the name of layer i, for example "layers.0".
func (s *Sequential) Name(i int) string { return s.names[i] }

// Params returns the parameters and buffers of all layers in order. The caller must not
// change the slice.
func (s *Sequential) Params() []*Param { return s.params }

// OutDim returns the width of the output.
func (s *Sequential) OutDim() int { return s.layers[len(s.layers)-1].OutDim() }

// InputDrop returns the dropout of the first layer's input, for who writes it: with
// Context.Dropped set, Forward and Backward take x as dropped out. The zero Drop if there is
// none.
func (s *Sequential) InputDrop(c *Context) tensor.Drop { return s.dropBefore(c, 0) }

// dropBefore returns the dropout of the input of layer i.
func (s *Sequential) dropBefore(c *Context, i int) tensor.Drop {
	if c.Train && i < len(s.layers) {
		if l, ok := s.layers[i].(Dropper); ok {
			return l.InputDrop(c, i)
		}
	}
	return tensor.Drop{}
}

// enter makes layer i the running one and fuses the dropout between it and its neighbours.
// first is whether the input of the first layer comes dropped out.
func (s *Sequential) enter(c *Context, i int, first bool) {
	c.Layer, c.DropOut, c.Dropped = i, tensor.Drop{}, first
	if i > 0 {
		c.Dropped = s.fuses(i-1) && s.dropBefore(c, i).P > 0
	}
	if s.fuses(i) {
		c.DropOut = s.dropBefore(c, i+1)
	}
}

func (c *Context) layerDone(i int) {
	if c.LayerDone != nil {
		c.LayerDone(i)
	}
}

// fuses reports whether layer i can drop out what it returns.
func (s *Sequential) fuses(i int) bool {
	if i == s.initial-1 {
		return false // later layers read it as it is
	}
	l, ok := s.layers[i].(Dropper)
	return ok && l.DropsOutput()
}

// leave ends the fusions and releases the initial representation; Context.Dropped becomes what
// it was.
func (s *Sequential) leave(c *Context, first bool) {
	c.DropOut, c.Dropped, c.spareDY = tensor.Drop{}, first, false
	for _, t := range []*tensor.Tensor{&c.Initial, &c.InitialGrad} {
		if t.Present() {
			c.A.Release(*t)
			*t = tensor.Tensor{}
		}
	}
}

// Forward returns the output of the last layer for x (NumSrc×in); the caller releases it.
// x stays the caller's.
func (s *Sequential) Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	c.A.Retain(x)
	return s.ForwardOf(c, g, x)
}

// ForwardOf is Forward that takes x over: it is released as soon as the first layer has read it.
func (s *Sequential) ForwardOf(c *Context, g Graph, x tensor.Tensor) tensor.Tensor {
	h, first := x, c.Dropped
	defer s.leave(c, first)
	for i, l := range s.layers {
		s.enter(c, i, first)
		y := l.Forward(c, g, h)
		c.EndLayer()
		c.layerDone(i)
		c.A.Release(h)
		h = y
		if i == s.initial-1 {
			c.A.Retain(h)
			c.Initial = h
		}
	}
	return h
}

// Backward adds the gradients of all parameters for dy, the gradient of Forward's output,
// and returns the gradient of its input, which the caller releases (absent unless needDX).
// dy stays the caller's. It uses what Forward saved, so one Backward follows one Forward.
func (s *Sequential) Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	return s.backward(c, g, dy, needDX, false)
}

// BackwardOf is Backward that takes dy over, to write to it and to release it early.
func (s *Sequential) BackwardOf(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	return s.backward(c, g, dy, needDX, true)
}

func (s *Sequential) backward(c *Context, g Graph, dy tensor.Tensor, needDX, own bool) tensor.Tensor {
	d, first := dy, c.Dropped
	defer s.leave(c, first)
	last := len(s.layers) - 1
	if s.initial > 0 {
		c.InitialGrad = c.A.Alloc(tensor.F32, g.NumSrc(), s.layers[s.initial-1].OutDim())
		c.Q.Fill(0, c.InitialGrad)
	}
	for i := last; i >= 0; i-- {
		s.enter(c, i, first)
		if i == s.initial-1 {
			c.Q.Axpby(1, c.InitialGrad, 1, d)
		}
		c.spareDY = own || i < last
		dx := s.layers[i].Backward(c, g, d, i > 0 || needDX)
		c.EndLayer()
		c.layerDone(i)
		if own || i < last {
			c.A.Release(d)
		}
		d = dx
	}
	return d
}
