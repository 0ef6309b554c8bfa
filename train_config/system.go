package trainconfig

import (
	"bytes"
	"fmt"
)

// System is how the machine computes, as far as it has a choice. The list of that name may be absent.
type System struct {
	Matmul string // how GPUs multiply dense matrices: "fp32", "tf32" or "bf16"; "": nothing was said
}

type systemKeys struct {
	Matmul *string `yaml:"matmul"`
}

func (c *Config) readSystem(root *Section) error {
	if root.value("system") == nil {
		return nil
	}
	all, err := c.list(root, "system")
	if err != nil {
		return err
	}
	s := all[0]
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
	if c.System.Matmul != "" && c.Params.Double {
		return s.Errorf("matmul", "matmul is about single precision, but dtype is d")
	}
	return s.Unused()
}

// write writes what was said.
func (s System) write(b *bytes.Buffer) {
	if s.Matmul != "" {
		fmt.Fprintf(b, "system:\n  - matmul: %s\n", s.Matmul)
	}
}
