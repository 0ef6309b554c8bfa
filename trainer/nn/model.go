package nn

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// ModelSpec describes a GraphSAINT model: one layer for every order of Orders, rows scaled
// to unit length, and a linear classifier. With jumping knowledge a dense layer of width Dim
// comes after them, which reads the outputs of several of them, side by side or their elementwise
// maximum; layers behind the last that it reads are not built.
//
// With Norm or Residual every layer but the dense ones before the first that aggregates is a
// block: norm and activation move behind it, see there what for. Such models need Bias "bias".
type ModelSpec struct {
	Layer   string // registered kind of the layers; "" means "high_order"
	In      int    // features of a node
	Dim     int    // width of one hop of a layer
	Classes int
	Orders  []int // "arch": 1-0-1-0 is {1, 0, 1, 0}
	Act     tensor.Act
	Aggr    string  // "concat" or "mean"
	Bias    string  // "bias", "norm" or "norm-nn"
	Dropout float32 // on the input of every layer and of the classifier
	Heads   int     // of attention layers; 0: one
	JK      string  // jumping knowledge: "" for none, "concat" or "max_pool"
	Extra   Decoder // further keys of the layers; nil: none

	Norm     string // between layers: "" or "batch"
	Residual string // "", "identity" (where widths match) or "project" (elsewhere by a product)
	// Head is what follows the layers: "" or "l2norm" for unit rows and a classifier, "linear" for
	// the classifier alone, "none" where the last layer gives the logits, without activation,
	// norm and residual.
	Head         string
	InputDropout *float32 // on the features; nil: Dropout
	AttDropout   float32  // on the weights of attention with softmax
	Dropout2     bool     // dropout keeps elements as they are; evaluation multiplies by 1-Dropout
}

// Values of ModelSpec.Head.
const (
	headL2Norm = "l2norm"
	headLinear = "linear"
	headNone   = "none"
)

// Build assembles the model. Its layers are named "layers.0", …, "jk_pool" and "jk"
// (where asked for), "head" (the row scaling)
// and "classifier". Errors say which value of the specification is wrong.
func Build(m ModelSpec, b Builder) (*Sequential, error) {
	if len(m.Orders) == 0 {
		return nil, errors.New("arch: a model needs at least one layer")
	}
	if m.Layer == "" {
		m.Layer = "high_order"
	}
	jumps, err := checkJK(m)
	if err != nil {
		return nil, err
	}
	if err := checkBlock(&m); err != nil {
		return nil, err
	}
	if len(jumps) > 0 {
		m.Orders = m.Orders[:jumps[len(jumps)-1]+1]
	}
	a := &assembly{m: &m, b: b, s: &Sequential{}, width: m.In, carried: carrying{jumps: jumps}}
	for i := range m.Orders {
		if err := a.layer(i); err != nil {
			return nil, err
		}
	}
	if len(jumps) > 0 {
		if err := a.jk(len(jumps)); err != nil {
			return nil, err
		}
	}
	return a.s, a.head()
}

// assembly is a model that is being built.
type assembly struct {
	m       *ModelSpec
	b       Builder
	s       *Sequential
	width   int // of the output so far
	carried carrying
	depth   int // layers so far that aggregate
}

// add appends a layer, wrapped as a block if asked for.
func (a *assembly) add(kind string, spec Spec, inBlock bool) error {
	spec.In = a.width
	l, err := New(kind, a.b, spec)
	if err != nil {
		return err
	}
	if inBlock {
		l = newBlock(a.b, spec.Name, spec.In, l, a.m)
	}
	if readsInitial(l) && (len(a.s.layers) == 0 || a.m.JK != "") {
		if a.m.JK != "" {
			return fmt.Errorf("jk %q: layers that read an initial representation have none", a.m.JK)
		}
		return fmt.Errorf("layer %s (%s): arch must begin with 0, the layer reads what that gives", spec.Name, kind)
	}
	if a.m.Dropout2 && spec.Dropout > 0 {
		l = &scaled{l, 1 - spec.Dropout}
	}
	a.width = l.OutDim()
	a.s.Add(spec.Name, a.carried.wrap(a.s.Len(), spec.In, l))
	return nil
}

// layer appends the layer of order i.
func (a *assembly) layer(i int) error {
	m := a.m
	spec := Spec{
		Name: fmt.Sprintf("layers.%d", i), Dim: m.Dim, Order: m.Orders[i], Act: m.Act, Depth: a.depth,
		Aggr: m.Aggr, Bias: m.Bias, Dropout: m.Dropout, AttDropout: m.AttDropout, Heads: m.Heads, Extra: m.Extra,
	}
	if i == 0 && m.InputDropout != nil {
		spec.Dropout = *m.InputDropout
	}
	if spec.Order > 0 {
		a.depth++
	}
	inBlock := (m.Norm != "" || m.Residual != "") && a.depth > 0
	if inBlock {
		spec.Act = tensor.Identity
	}
	if m.Head == headNone && i == len(m.Orders)-1 {
		inBlock = false
		spec.Dim, spec.Act, spec.Bias, spec.Last = m.Classes, tensor.Identity, biasOnly, true
		if m.Layer != "gatv2" { // whose heads may be as wide as the output
			spec.Heads = min(spec.Heads, 1)
		}
	}
	return a.add(m.Layer, spec, inBlock)
}

// jk appends the layers that read the outputs of n others.
func (a *assembly) jk(n int) error {
	m, each := a.m, a.width
	a.width = a.carried.kept
	a.carried = carrying{}
	if m.JK == jkMaxPool {
		if a.width != each*n {
			return errors.New("jk: max_pool needs outputs of the same width; the layers that it reads differ in order")
		}
		if err := a.add("jk_max_pool", Spec{Name: "jk_pool", Dim: each}, false); err != nil {
			return err
		}
	}
	return a.add("high_order", Spec{
		Name: "jk", Dim: m.Dim, Act: m.Act, Aggr: aggrConcat, Bias: m.Bias, Dropout: m.Dropout,
	}, false)
}

// head appends what follows the layers.
func (a *assembly) head() error {
	m := a.m
	switch m.Head {
	case "", headL2Norm:
		if err := a.add("l2norm", Spec{Name: "head"}, false); err != nil {
			return err
		}
	case headLinear:
	case headNone:
		switch {
		case m.JK != "":
			return fmt.Errorf("head none: jk %q needs a classifier", m.JK)
		case a.width != m.Classes:
			return fmt.Errorf("head none: the last layer gives %d columns for %d classes; use aggr: mean", a.width, m.Classes)
		}
		return nil
	default:
		return fmt.Errorf("head %q: unknown, there is %s, %s, %s", m.Head, headL2Norm, headLinear, headNone)
	}
	return a.add("high_order", Spec{
		Name: "classifier", Dim: m.Classes, Act: tensor.Identity,
		Aggr: aggrConcat, Bias: biasOnly, Dropout: m.Dropout,
	}, false)
}
