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
}

// Build assembles the model. Its layers are named "layers.0", …, "jk_pool" and "jk"
// (where asked for), "head" (the row scaling)
// and "classifier". Errors say which value of the specification is wrong.
func Build(m ModelSpec, b Builder) (*Sequential, error) {
	if len(m.Orders) == 0 {
		return nil, errors.New("arch: a model needs at least one layer")
	}
	kind := m.Layer
	if kind == "" {
		kind = "high_order"
	}
	jumps, err := checkJK(m)
	if err != nil {
		return nil, err
	}
	if len(jumps) > 0 {
		m.Orders = m.Orders[:jumps[len(jumps)-1]+1]
	}
	s := &Sequential{}
	width := m.In
	carried := carrying{jumps: jumps}
	add := func(kind string, spec Spec) error {
		spec.In = width
		l, err := New(kind, b, spec)
		if err != nil {
			return err
		}
		width = l.OutDim()
		s.Add(spec.Name, carried.wrap(s.Len(), spec.In, l))
		return nil
	}
	for i, order := range m.Orders {
		spec := Spec{
			Name: fmt.Sprintf("layers.%d", i), Dim: m.Dim, Order: order, Act: m.Act,
			Aggr: m.Aggr, Bias: m.Bias, Dropout: m.Dropout, Heads: m.Heads, Extra: m.Extra,
		}
		if err := add(kind, spec); err != nil {
			return nil, err
		}
	}
	if len(jumps) > 0 {
		each := width
		width = carried.kept
		carried = carrying{}
		if m.JK == jkMaxPool {
			if width != each*len(jumps) {
				return nil, errors.New("jk: max_pool needs outputs of the same width; the layers that it reads differ in order")
			}
			if err := add("jk_max_pool", Spec{Name: "jk_pool", Dim: each}); err != nil {
				return nil, err
			}
		}
		if err := add("high_order", Spec{
			Name: "jk", Dim: m.Dim, Act: m.Act, Aggr: aggrConcat, Bias: m.Bias, Dropout: m.Dropout,
		}); err != nil {
			return nil, err
		}
	}
	if err := add("l2norm", Spec{Name: "head"}); err != nil {
		return nil, err
	}
	classifier := Spec{
		Name: "classifier", Dim: m.Classes, Act: tensor.Identity,
		Aggr: aggrConcat, Bias: biasOnly, Dropout: m.Dropout,
	}
	if err := add("high_order", classifier); err != nil {
		return nil, err
	}
	return s, nil
}
