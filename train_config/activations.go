package trainconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// Activations says how activations are kept between the forward and the backward pass, in the
// words of EXACT. The zero value keeps them as they are.
type Activations struct {
	Bits     int     // "n_bits": 1, 2, 4 or 8; 0: absent
	KeptFrac float64 // "kept_frac": share of the columns that a random projection leaves; 0: absent, all
	FP       bool    // "act_fp": single precision, with kept_frac alone
	Group    int     // "act_group": values that share statistics; RowGroup: a row; 0: as GroupSize says
	Stats    string  // "act_stats": "bf16" or "fp32"; "": bf16
	Simulate bool    // "simulate": round, but keep single precision
	AMP      bool    // "amp": bfloat16 in products on a GPU; on the CPU for what n_bits leaves as it is
}

type activationKeys struct {
	Bits     *int     `yaml:"n_bits"`
	KeptFrac *float64 `yaml:"kept_frac"`
	FP       bool     `yaml:"act_fp"`
	Group    *string  `yaml:"act_group"`
	Stats    *string  `yaml:"act_stats"`
	Simulate bool     `yaml:"simulate"`
	AMP      bool     `yaml:"amp"`
}

// RowGroup as Activations.Group makes all values of a row share their statistics, as in EXACT.
const RowGroup = -1

// maxGroup is the largest act_group; fineGroup that of codes so coarse that the spread of a whole row
// costs accuracy.
const (
	maxGroup  = 1 << 16
	fineGroup = 64
)

// ParseGroup returns the Activations.Group of a word: "row", or a number of values.
func ParseGroup(word string) (int, error) {
	n, err := strconv.Atoi(word)
	switch {
	case word == "row" || err == nil && n == 0:
		return RowGroup, nil
	case err != nil || n < 0 || n > maxGroup:
		return 0, fmt.Errorf("act_group is %s, want row, or 1 to %d", word, maxGroup)
	}
	return n, nil
}

// GroupSize returns how many values share statistics, 0 for those of a row: Group if it is given,
// else 64 for codes of 1 and 2 bits and a row for others.
func (a Activations) GroupSize() int {
	switch {
	case a.Group == RowGroup:
		return 0
	case a.Group == 0 && (a.Bits == 1 || a.Bits == 2):
		return fineGroup
	}
	return a.Group
}

// Check says which of the words is wrong, and what is wrong with it; "" if none is.
func (a Activations) Check() (key, msg string) {
	switch {
	case a.Bits != 0 && !slices.Contains([]int{1, 2, 4, 8}, a.Bits):
		return "n_bits", fmt.Sprintf("n_bits is %d, want 1, 2, 4 or 8", a.Bits)
	case !(a.KeptFrac >= 0 && a.KeptFrac <= 1):
		return "kept_frac", fmt.Sprintf("kept_frac is %v, want more than 0 and at most 1", a.KeptFrac)
	case a.Group < RowGroup || a.Group > maxGroup:
		return "act_group", fmt.Sprintf("act_group is %d, want row, or 1 to %d", a.Group, maxGroup)
	case a.Stats != "" && a.Stats != "bf16" && a.Stats != "fp32":
		return "act_stats", fmt.Sprintf("act_stats is %q, want bf16 or fp32", a.Stats)
	case a.FP && a.AMP:
		return "amp", "amp keeps bfloat16 and act_fp single precision; leave one of them out"
	case a.FP && a.Bits != 0:
		return "act_fp", "act_fp keeps single precision and n_bits does not; leave one of them out"
	case a.KeptFrac != 0 && a.KeptFrac < 1 && a.Bits == 0 && !a.FP && !a.AMP:
		return "kept_frac", "kept_frac needs n_bits, or act_fp to project without codes"
	case a.Bits != 0:
		return "", ""
	case a.Group != 0:
		return "act_group", "act_group is about codes and needs n_bits"
	case a.Stats != "":
		return "act_stats", "act_stats is about codes and needs n_bits"
	case a.Simulate:
		return "simulate", "simulate is about codes and needs n_bits"
	}
	return "", ""
}

func (c *Config) readActivations(s *Section) error {
	var k activationKeys
	if err := s.Decode(&k); err != nil {
		return err
	}
	a := Activations{FP: k.FP, Simulate: k.Simulate, AMP: k.AMP}
	put(&a.Bits, k.Bits)
	put(&a.KeptFrac, k.KeptFrac)
	put(&a.Stats, k.Stats)
	if k.Group != nil {
		var err error
		if a.Group, err = ParseGroup(*k.Group); err != nil {
			return s.Errorf("act_group", "%s", err)
		}
	}
	switch {
	case k.Bits != nil && a.Bits == 0:
		return s.Errorf("n_bits", "n_bits is 0, want 1, 2, 4 or 8; leave it out to compress nothing")
	case k.KeptFrac != nil && a.KeptFrac == 0:
		return s.Errorf("kept_frac", "kept_frac is 0, want more than 0 and at most 1")
	}
	if key, msg := a.Check(); key != "" {
		return s.Errorf(key, "%s", msg)
	}
	if c.Params.Double && a != (Activations{}) {
		return s.Errorf("dtype", "dtype d: activations are compressed in single precision only; leave out dtype, or n_bits, kept_frac and amp")
	}
	c.Params.Activations = a
	return nil
}

// write writes what is not the default, and the groups of codes that have a default of their own.
func (a Activations) write(b *bytes.Buffer) {
	line := func(key string, v, usual any) {
		if v != usual {
			fmt.Fprintf(b, "    %s: %v\n", key, v)
		}
	}
	line("n_bits", a.Bits, 0)
	line("kept_frac", a.KeptFrac, 0.0)
	line("act_fp", a.FP, false)
	switch group := a.GroupSize(); {
	case group > 0:
		line("act_group", group, 0)
	case a.Bits == 1 || a.Bits == 2:
		line("act_group", "row", 0)
	}
	line("act_stats", a.Stats, "")
	line("simulate", a.Simulate, false)
	line("amp", a.AMP, false)
}
