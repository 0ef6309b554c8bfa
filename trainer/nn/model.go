package nn

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// ModelSpec describes a GraphSAINT model: one layer for every order of Orders, rows scaled
// to unit length, and a linear classifier.
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
	Extra   Decoder // further keys of the layers; nil: none
}

// Build assembles the model. Its layers are named "layers.0", …, "head" (the row scaling)
// and "classifier". Errors say which value of the specification is wrong.
func Build(m ModelSpec, b Builder) (*Sequential, error) {
	if len(m.Orders) == 0 {
		return nil, errors.New("arch: a model needs at least one layer")
	}
	kind := m.Layer
	if kind == "" {
		kind = "high_order"
	}
	s := &Sequential{}
	width := m.In
	add := func(kind string, spec Spec) error {
		spec.In = width
		l, err := New(kind, b, spec)
		if err != nil {
			return err
		}
		s.Add(spec.Name, l)
		width = l.OutDim()
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
