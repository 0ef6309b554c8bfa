package trainconfig

import (
	"bytes"
	"fmt"
)

// System is how the machine computes, as far as it has a choice. The list of that name may be absent.
type System struct {
	Matmul string // how GPUs multiply dense matrices: "fp32", "tf32" or "bf16"; "": nothing was said
	Graphs string // whether GPUs get a step as one graph: "off", "on" or "auto"; "": nothing was said
	Half   bool   // "feature_dtype": features are stored in half precision, f16, rather than f32
}

type systemKeys struct {
	Matmul       *string `yaml:"matmul"`
	Graphs       *string `yaml:"graphs"`
	FeatureDType *string `yaml:"feature_dtype"`
}

func (c *Config) readSystem(root *Section) error {
	if root.value("system") == nil {
		return nil
	}
	s, err := c.one(root, "system")
	if err != nil {
		return err
	}
	var k systemKeys
	if err := s.Decode(&k); err != nil {
		return err
	}
	put(&c.System.Matmul, k.Matmul)
	if k.Matmul != nil {
		if err := oneOf(s, map[string]string{"matmul": c.System.Matmul}, map[string]string{"matmul": "fp32 tf32 bf16"}); err != nil {
			return err
		}
	}
	put(&c.System.Graphs, k.Graphs)
	if k.Graphs != nil {
		if err := oneOf(s, map[string]string{"graphs": c.System.Graphs}, map[string]string{"graphs": "off on auto"}); err != nil {
			return err
		}
	}
	if c.System.Matmul != "" && c.Params.Double {
		return s.Errorf("matmul", "matmul is about single precision, but dtype is d")
	}
	if k.FeatureDType != nil {
		if err := oneOf(s, map[string]string{"feature_dtype": *k.FeatureDType}, map[string]string{"feature_dtype": "f32 f16"}); err != nil {
			return err
		}
		c.System.Half = *k.FeatureDType == "f16"
	}
	if msg := c.CheckFeatures(); msg != "" {
		return s.Errorf("feature_dtype", "%s", msg)
	}
	return s.Unused()
}

// CheckFeatures says what half precision of the features does not go with, "" if all is well.
func (c *Config) CheckFeatures() string {
	switch {
	case c.System.Half && c.Params.Inputs.UseLabels:
		return "feature_dtype f16: labels are added to features in single precision only; leave out feature_dtype or use_labels"
	case c.System.Half && c.Params.Double:
		return "feature_dtype f16 stores less than single precision, but dtype d is double precision; leave one of them out"
	}
	return ""
}

// write writes what was said.
func (s System) write(b *bytes.Buffer) {
	lines := ""
	if s.Matmul != "" {
		lines += "    matmul: " + s.Matmul + "\n"
	}
	if s.Graphs != "" {
		lines += "    graphs: " + s.Graphs + "\n"
	}
	if s.Half {
		lines += "    feature_dtype: f16\n"
	}
	if lines != "" {
		fmt.Fprintf(b, "system:\n  -%s", lines[3:])
	}
}
