package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// SaveKind says what a store may do to a saved tensor.
type SaveKind uint8

// Kinds.
const (
	Activation SaveKind = iota // may come back approximately (unbiased)
	Mask                       // 0/1 bytes; must come back exactly, may be packed to bits
	Exact                      // must come back bit for bit (statistics, indices)
	// Factor is an Activation that backward uses as a factor of products over its rows alone, as
	// a weight's gradient does: a random projection of its columns may stand in for it.
	Factor
)

// Activated describes a saved tensor x that went through an activation function: backward wants
// to know where x + Bias was above 0, and what it was if Values is set.
type Activated struct {
	Act    tensor.Act
	Bias   tensor.Tensor // 1×Cols, or absent; it must not change before the backward pass
	Values bool          // not only the sign counts: a norm follows
	Group  int           // columns of each of the norms that follow, side by side; 0: one of all columns
}

// Key names a saved tensor within a step.
type Key struct{ Layer, Slot int }

// Store keeps tensors from forward to backward. Implementations are in actmem.
type Store interface {
	// Begin starts a step. Random numbers are functions of seed, step and Key.
	Begin(seed, step uint64)
	Put(k Key, t tensor.Tensor, kind SaveKind)
	// PutActivated is Put for an argument of an activation function, also for one whose sign is
	// that of the argument. What Get returns has the signs that t had, and values that are t's,
	// approximately, as far as the activation passes them on.
	PutActivated(k Key, t tensor.Tensor, a Activated)
	// PutScored is Put for what act made, an Activation, of which the last columns must come back bit
	// for bit, and of the others the signs if act is not Identity.
	PutScored(k Key, t tensor.Tensor, act tensor.Act, last int)
	Get(k Key) tensor.Tensor // once per Put; the caller gets one reference
	Bytes() int64            // bytes held now, each distinct tensor once, borrowed ones not at all
	Reset()                  // end of step, also after an error
}

// Context is what a layer sees of the running step. It is not safe for concurrent use.
type Context struct {
	Q     tensor.Queue
	A     tensor.Arena
	Store Store // nil while evaluating: Save does nothing
	Train bool  // dropout and batch statistics are on
	Seed  uint64
	Step  uint64
	Layer int // position of the running layer, set by the container
	// LayerDone, if set, is called by the container when Forward or Backward of the running layer
	// has returned.
	LayerDone func(layer int)

	// Who writes the input of a layer that drops elements out can drop them on the way. The
	// container then sets, for Forward and Backward of both layers,
	DropOut tensor.Drop // what the running layer (a Dropper) drops from its output
	Dropped bool        // that the running layer's input comes dropped out

	// Initial is what an InitialReader reads besides its input, one row for each source. Its
	// Backward adds to InitialGrad. The container sets both.
	Initial, InitialGrad tensor.Tensor

	// Into, if present, is where the running layer's output goes if it has that shape: a part of
	// a larger tensor of A, with a reference for the layer to return. New clears it.
	Into tensor.Tensor

	// Numbers, if set, returns 0, 1, 2, … of at least n (I32, one column) that the device keeps, absent if
	// there is no memory for them. Who has none has layers upload what they need.
	Numbers func(n int) tensor.Tensor

	spareDY bool // Backward of the running layer may overwrite dy: nobody reads it afterwards

	temps []tensor.Tensor
	lent  []tensor.Tensor // by the store
	sweep *sweeper
	heads *headSweeper
	pairs *pairSweeper
}

// New returns an F32 tensor the layer will return; ownership passes to the caller.
func (c *Context) New(rows, cols int) tensor.Tensor {
	if t := c.Into; t.Present() && t.Rows == rows && t.Cols == cols {
		c.Into = tensor.Tensor{}
		return t
	}
	return c.A.Alloc(tensor.F32, rows, cols)
}

// Temp returns a tensor that dies when the current layer call returns.
func (c *Context) Temp(dt tensor.DType, rows, cols int) tensor.Tensor {
	t := c.A.Alloc(dt, rows, cols)
	c.temps = append(c.temps, t)
	return t
}

// Done ends the life of a temporary or loaded tensor before the call returns: on large graphs
// what a layer has in full precision at the same time decides what fits. t must be the caller's
// own: what a layer was given may be a temporary of the layer around it.
func (c *Context) Done(t tensor.Tensor) {
	for i := range c.temps {
		if c.temps[i].ID == t.ID {
			c.A.Release(c.temps[i])
			c.temps = append(c.temps[:i], c.temps[i+1:]...)
			return
		}
	}
	for i := range c.lent {
		if c.lent[i].ID == t.ID {
			c.Store.(rowStore).Return(t)
			c.lent = append(c.lent[:i], c.lent[i+1:]...)
			return
		}
	}
}

// reuse returns the temporary t as memory for the layer's output, if that may lie anywhere and the
// store does not hold t itself. Where it does, or nothing is known of it, ok is false.
func (c *Context) reuse(t tensor.Tensor) (y tensor.Tensor, ok bool) {
	s, knows := c.Store.(interface{ Holds(t tensor.Tensor) bool })
	if !knows || c.Into.Present() || s.Holds(t) {
		return y, false
	}
	for i := range c.temps {
		if c.temps[i].ID == t.ID {
			c.temps = append(c.temps[:i], c.temps[i+1:]...)
			return t, true
		}
	}
	return y, false
}

// Save keeps t for Backward. The layer must not write to t afterwards.
func (c *Context) Save(slot int, t tensor.Tensor, k SaveKind) {
	if c.Store != nil {
		c.Store.Put(Key{c.Layer, slot}, t, k)
	}
}

// SaveActivated is Save for an argument of an activation function.
func (c *Context) SaveActivated(slot int, t tensor.Tensor, a Activated) {
	if c.Store != nil {
		c.Store.PutActivated(Key{c.Layer, slot}, t, a)
	}
}

// SaveScored is Save for an Activation whose last columns are Exact: features, which act has made, with
// the scores of attention, which are few and small beside them.
func (c *Context) SaveScored(slot int, t tensor.Tensor, act tensor.Act, last int) {
	if c.Store != nil {
		c.Store.PutScored(Key{c.Layer, slot}, t, act, last)
	}
}

// lossy reports whether activations come back changed.
func (c *Context) lossy() bool {
	l, ok := c.Store.(interface{ Lossy() bool })
	return ok && l.Lossy()
}

// Load returns what Save got; it dies when the current Backward call returns.
func (c *Context) Load(slot int) tensor.Tensor {
	t := c.Store.Get(Key{c.Layer, slot})
	c.temps = append(c.temps, t)
	return t
}

// rowStore is a Store that can keep a matrix as it is kept while operations use it.
type rowStore interface {
	// GetRows is Get for an operand of which the operation makes the rows, if that can be.
	GetRows(k Key) (t tensor.Tensor, ok bool)
	Return(t tensor.Tensor) // ends the use of what GetRows returned
}

// LoadRows is Load for a matrix that is only to be an operand of those operations that tensor.RowOps
// names: it need not be written out then.
func (c *Context) LoadRows(slot int) tensor.Tensor {
	if s, ok := c.Store.(rowStore); ok {
		if t, ok := s.GetRows(Key{c.Layer, slot}); ok {
			c.lent = append(c.lent, t)
			return t
		}
	}
	return c.Load(slot)
}

// loadUnitRows is LoadRows for y of NormalizeRowsBackward.
func (c *Context) loadUnitRows(slot int) tensor.Tensor {
	if _, ok := c.Q.(tensor.UnitRowOps); ok {
		return c.LoadRows(slot)
	}
	return c.Load(slot)
}

// Rand names the random stream of one use in the running layer and step.
func (c *Context) Rand(slot int) tensor.RandKey {
	return tensor.RandKey{Seed: c.Seed, Step: c.Step, Layer: uint32(c.Layer), Slot: uint32(slot)}
}

// EndLayer releases the temporaries of the layer call that just returned. Containers and
// evaluators call it; layers do not.
func (c *Context) EndLayer() {
	for _, t := range c.temps {
		c.A.Release(t)
	}
	c.temps = c.temps[:0]
	for _, t := range c.lent {
		c.Store.(rowStore).Return(t)
	}
	c.lent = c.lent[:0]
}

// Block is one column block of the adjacency; its columns index the rows given to visit.
type Block struct {
	A *tensor.CSR
	// First says that nothing was written yet to what the visit adds to: the destination
	// rows in Sweep, dxsrc in SweepBack. The visit then writes instead of adding, which
	// spares one pass that would clear it.
	First bool
}

// Graph is the adjacency a layer aggregates over: NumDst destination rows, NumSrc source
// rows. A minibatch and a whole graph have NumDst == NumSrc; a row tile of a graph has fewer
// destinations.
type Graph interface {
	NumDst() int
	NumSrc() int
	// Dst returns the rows of x (NumSrc rows) that are the destinations themselves.
	Dst(x tensor.Tensor) tensor.Tensor
	// Sweep calls visit once per block, in a fixed order, with the source rows of x that
	// the block reads. xsrc is valid only during the call.
	Sweep(c *Context, x tensor.Tensor, visit func(b Block, xsrc tensor.Tensor))
	// SweepBack writes dx (NumSrc rows, contents undefined before): it visits the blocks
	// again, and visit writes (if b.First) or adds to dxsrc the gradient of the block's
	// source rows; the graph makes dxsrc part of dx or sends it to the rank that owns those
	// rows. xsrc is fetched again only if needX; otherwise x and xsrc are absent.
	SweepBack(c *Context, x, dx tensor.Tensor, needX bool, visit func(b Block, xsrc, dxsrc tensor.Tensor))
	Err() error
}

// Param is a matrix of the model. Backward adds to Grad; the optimizer zeroes it. Grad is
// absent for a buffer (running statistics): saved with the model, not trained.
type Param struct {
	Name        string // "layers.0.hops.1.weight": stable, used in checkpoints
	Value, Grad tensor.Tensor

	flat *Flat // that both are parts of; nil: none
}

// Trained reports whether the optimizer updates p.
func (p *Param) Trained() bool { return p.Grad.Present() }

// Layer is one step of a model.
type Layer interface {
	Params() []*Param // fixed order
	OutDim() int
	// Hops is the number of times the layer aggregates in sequence: 0 for a dense layer.
	Hops() int
	// Forward returns y (NumDst×OutDim) for x (NumSrc×in). It must not modify x. A layer
	// with Hops() > 1 needs NumDst == NumSrc.
	Forward(c *Context, g Graph, x tensor.Tensor) tensor.Tensor
	// Backward returns dx (absent unless needDX) and adds to every Param.Grad. It must not
	// modify dy.
	Backward(c *Context, g Graph, dy tensor.Tensor, needDX bool) tensor.Tensor
}

// Dropper is a layer that starts with dropout, or can end with that of the layer after it.
type Dropper interface {
	Layer
	// InputDrop returns the dropout of the layer's input when it runs as number layer of c;
	// the zero Drop if there is none. The layer leaves it out where c.Dropped is set, and in
	// Backward then returns the gradient of its input as it came.
	InputDrop(c *Context, layer int) tensor.Drop
	// DropsOutput reports whether the layer applies c.DropOut to its output; dy of Backward is
	// then the gradient of what it returned.
	DropsOutput() bool
}

// InitialReader is a layer that reads, besides its input, what the last dense layer before the
// first such layer returned: the initial representation of GCNII. It never comes dropped out.
type InitialReader interface {
	Layer
	ReadsInitial() bool
}

func readsInitial(l Layer) bool {
	r, ok := l.(InitialReader)
	return ok && r.ReadsInitial()
}

// Projector is a layer that can aggregate a projection of its input instead of the input:
// A(XW) = (AX)W. Evaluators that visit the graph in row tiles project once and then call
// ForwardProjected for each tile.
type Projector interface {
	Layer
	// ProjDim is the width of the projection, 0 if the layer would rather aggregate x.
	ProjDim() int
	// Project writes the projection of the rows of x to p (x.Rows×ProjDim()).
	Project(c *Context, x, p tensor.Tensor)
	// ForwardProjected is Forward for g's destinations, with self their own rows of the
	// input (NumDst×in) and p the projection of all source rows.
	ForwardProjected(c *Context, g Graph, self, p tensor.Tensor) tensor.Tensor
}

// Builder creates parameters with seeded initial values. They have their shapes at once; memory and
// values may come when the whole model is built, so that a layer keeps the Param and not its tensors.
type Builder interface {
	// Param creates a trained matrix. init is "glorot" (Glorot uniform over rows+cols),
	// "glorot:N" (the same over N: a matrix that holds several side by side), "zeros", "ones" or
	// "const:V".
	Param(name string, rows, cols int, init string) *Param
	// Buffer creates an untrained one.
	Buffer(name string, rows, cols int, init string) *Param
}

// Decoder gives a layer the configuration keys that only its kind knows: Decode fills the
// fields of the struct that into points to from the keys named by their yaml tags. Keys that
// no layer asked for are the configuration's to report.
type Decoder interface{ Decode(into any) error }

// Spec is what a layer factory gets: sizes plus its own undecoded configuration keys.
type Spec struct {
	Name    string // prefix of parameter names, for example "layers.0"
	In, Dim int    // input width; width of one hop
	Order   int    // hops 0…Order
	Depth   int    // how many layers aggregate before this one; GCNII's number less one
	Act     tensor.Act
	Aggr    string // "concat" or "mean" (the hops are summed)
	Bias    string // "bias", "norm", "norm-nn"
	Dropout float32
	Heads   int // of attention; 0: one

	AttDropout float32 // of attention's weights
	Last       bool    // the output are the logits: Dim of them, however many heads there are
	Extra      Decoder // nil: no further keys
}

// Factory builds a layer.
type Factory func(b Builder, s Spec) (Layer, error)
