package trainconfig

import (
	"bytes"
	"fmt"
)

// Inputs says what training sees besides the features of the training nodes and the edges
// between them.
type Inputs struct {
	Transductive bool    // "transductive": the whole graph, of which only training nodes have a loss
	UseLabels    bool    // "use_labels": labels of training nodes are features as well
	MaskRate     float64 // "mask_rate": share of the labels that are, in a step; the loss is that of the others
}

// usualMaskRate is the mask_rate of those who do not say.
const usualMaskRate = 0.5

type inputKeys struct {
	Transductive bool     `yaml:"transductive"`
	UseLabels    bool     `yaml:"use_labels"`
	MaskRate     *float64 `yaml:"mask_rate"`
}

func (c *Config) readInputs(s *Section) error {
	var k inputKeys
	if err := s.Decode(&k); err != nil {
		return err
	}
	in := Inputs{Transductive: k.Transductive, UseLabels: k.UseLabels}
	switch {
	case k.MaskRate != nil && !k.UseLabels:
		return s.Errorf("mask_rate", "mask_rate is about labels as features and needs use_labels: true")
	case k.UseLabels && c.Network.Loss == "sigmoid":
		return s.Errorf("use_labels", "use_labels needs one label a node, but the loss here is sigmoid")
	case k.UseLabels:
		in.MaskRate = usualMaskRate
		put(&in.MaskRate, k.MaskRate)
	}
	if in.UseLabels && (float32(in.MaskRate) <= 0 || float32(in.MaskRate) >= 1) {
		return s.Errorf("mask_rate", "mask_rate is %v, want more than 0 and less than 1", in.MaskRate)
	}
	c.Params.Inputs = in
	return nil
}

// write writes what is not the default.
func (in Inputs) write(b *bytes.Buffer) {
	if in.Transductive {
		b.WriteString("    transductive: true\n")
	}
	if in.UseLabels {
		fmt.Fprintf(b, "    use_labels: true\n    mask_rate: %v\n", in.MaskRate)
	}
}
