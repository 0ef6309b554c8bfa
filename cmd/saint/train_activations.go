package main

import (
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// activationFlags are EXACT's, and ours beside them.
func activationFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "n_bits", Usage: "keep activations in codes of `N` bits (1, 2, 4 or 8) from the forward to the backward pass", DefaultText: "as configured, else 32"},
		&cli.Float64Flag{Name: "kept_frac", Usage: "project inputs of products to the share `F` of their columns before", DefaultText: "as configured, else 1"},
		&cli.BoolFlag{Name: "act_fp", Usage: "keep them in single precision, with --kept_frac alone"},
		&cli.StringFlag{Name: "act_group", Usage: "`N` values share the statistics of their codes; row: those of a row", DefaultText: "as configured, else 64 for 1 and 2 bits, row for others"},
		&cli.StringFlag{Name: "act_stats", Usage: "`TYPE` of the statistics: bf16 or fp32", DefaultText: "as configured, else bf16"},
		&cli.BoolFlag{Name: "simulate", Usage: "round as with codes but keep the values: for checking accuracy"},
		&cli.BoolFlag{Name: "amp", Usage: "bfloat16: in products on a GPU (--matmul bf16), on the CPU for activations that --n_bits leaves as they are"},
		&cli.BoolFlag{Name: "dropout2", Usage: "dropout that does not scale what it keeps by 1/(1-p); evaluation scales by 1-p instead"},
		&cli.Float64Flag{Name: "grad_norm", Usage: "clip gradients to the global norm `F`", DefaultText: "as configured (grad_clip)"},
		featureTypeFlag(),
		&cli.BoolFlag{Name: "inductive", Usage: "train on the edges between training nodes alone, whatever the configuration says"},
		&cli.BoolFlag{Name: "transductive", Usage: "train on the whole graph; only training nodes have a loss"},
	}
}

// overrides are flags that stand above what the configuration says.
type overrides struct {
	set         map[string]bool
	features    string // --feature_dtype, "": not given
	group       string // --act_group
	activations trainconfig.Activations
	gradNorm    float64
	inductive   bool
	whole       bool // transductive
	matmul      string
	graphs      string
	dropout2    bool
	accumulate  int
}

func overridesOf(c *cli.Context) overrides {
	o := overrides{
		set: map[string]bool{}, features: c.String("feature_dtype"), group: c.String("act_group"),
		activations: trainconfig.Activations{
			Bits: c.Int("n_bits"), KeptFrac: c.Float64("kept_frac"), FP: c.Bool("act_fp"),
			Stats: c.String("act_stats"), Simulate: c.Bool("simulate"), AMP: c.Bool("amp"),
		},
		gradNorm: c.Float64("grad_norm"), inductive: c.Bool("inductive"), whole: c.Bool("transductive"),
		matmul: c.String("matmul"), graphs: c.String("graphs"), dropout2: c.Bool("dropout2"), accumulate: c.Int("accumulate"),
	}
	for _, name := range []string{"matmul", "graphs", "accumulate"} {
		o.set[name] = c.IsSet(name)
	}
	for _, f := range activationFlags() {
		name := f.Names()[0]
		o.set[name] = c.IsSet(name)
	}
	return o
}

// apply writes the flags that were given into the configuration, so that the run's copy of it
// holds them.
func (o *overrides) apply(c *trainconfig.Config) error {
	a := &c.Params.Activations
	take(o, "n_bits", &a.Bits, o.activations.Bits)
	take(o, "kept_frac", &a.KeptFrac, o.activations.KeptFrac)
	take(o, "act_fp", &a.FP, o.activations.FP)
	if o.set["act_group"] {
		var err error
		if a.Group, err = trainconfig.ParseGroup(o.group); err != nil {
			return usagef("--%s", err)
		}
	}
	take(o, "act_stats", &a.Stats, o.activations.Stats)
	take(o, "simulate", &a.Simulate, o.activations.Simulate)
	take(o, "amp", &a.AMP, o.activations.AMP)
	take(o, "dropout2", &c.Params.Dropout2, o.dropout2)
	switch {
	case o.set["n_bits"] && a.Bits == 0:
		return usagef("--n_bits is 0, want 1, 2, 4 or 8; leave it out to compress nothing")
	case o.set["kept_frac"] && a.KeptFrac == 0:
		return usagef("--kept_frac is 0, want more than 0 and at most 1")
	}
	if key, msg := a.Check(); key != "" {
		if o.set[key] {
			return usagef("--%s", msg)
		}
		return c.Params.Section.Errorf(key, "%s", msg)
	}
	if o.inductive && o.whole {
		return usagef("--inductive and --transductive: want one of them")
	}
	if o.inductive || o.whole {
		c.Params.Inputs.Transductive = o.whole
	}
	if o.set["grad_norm"] {
		if !(o.gradNorm > 0) || math.IsInf(o.gradNorm, 0) {
			return usagef("--grad_norm is %v, want a number of more than 0", o.gradNorm)
		}
		c.Params.GradClip, c.Params.GradClipType = o.gradNorm, "norm"
	}
	return o.applySystem(c)
}

// applySystem is apply for what is about the machine.
func (o *overrides) applySystem(c *trainconfig.Config) error {
	if err := setFeatureType(c, o.features); err != nil {
		return err
	}
	switch {
	case c.Params.Activations.AMP && o.set["amp"] && o.set["matmul"] && o.matmul != tensor.MatmulBF16.String():
		return usagef("--amp stands for --matmul bf16; leave out --matmul %s", o.matmul)
	case c.Params.Activations.AMP && o.set["amp"]:
		c.System.Matmul = tensor.MatmulBF16.String()
	case o.set["matmul"]:
		m, err := tensor.ParseMatmul(o.matmul)
		if err != nil {
			return usagef("--matmul is %v", err)
		}
		c.System.Matmul = m.String()
	}
	if o.set["graphs"] {
		if !slices.Contains([]string{"off", "on", "auto"}, o.graphs) {
			return usagef("--graphs is %q, want off, on or auto", o.graphs)
		}
		c.System.Graphs = o.graphs
	}
	if !o.set["accumulate"] {
		return nil
	}
	if o.accumulate < 1 || o.accumulate > trainconfig.MaxAccumulate {
		return usagef("--accumulate is %d, want 1 to %d", o.accumulate, trainconfig.MaxAccumulate)
	}
	c.Params.Accumulate = o.accumulate
	return nil
}

// given names the flags that were given, "" if none was.
func (o *overrides) given() string {
	var names []string
	for name, set := range o.set {
		if set {
			names = append(names, "--"+name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func take[T any](o *overrides, name string, to *T, v T) {
	if o.set[name] {
		*to = v
	}
}
