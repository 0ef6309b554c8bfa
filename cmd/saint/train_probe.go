package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer"
)

// speedSteps is how many steps --test_speed measures, as EXACT does.
const speedSteps = 100

// probeFlags measure instead of training.
func probeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "debug_mem", Usage: "measure the memory of one step and end"},
		&cli.BoolFlag{Name: "test_speed", Usage: fmt.Sprintf("measure the time of %d steps, and their memory, and end", speedSteps)},
	}
}

// probeOptions are the flags of measuring.
type probeOptions struct{ memory, speed bool }

func probeOf(c *cli.Context) probeOptions {
	return probeOptions{memory: c.Bool("debug_mem"), speed: c.Bool("test_speed")}
}

func (p probeOptions) on() bool { return p.memory || p.speed }

// check finds flags that measuring has no use for.
func (p probeOptions) check(o *trainOptions) error {
	switch {
	case !p.on():
	case o.Resume != "":
		return usagef("--debug_mem and --test_speed measure a new run; leave out --resume")
	case o.Runs > 1:
		return usagef("--debug_mem and --test_speed measure one run; leave out --runs")
	case o.Baseline:
		return usagef("--debug_mem and --test_speed do not train; leave out --baseline")
	}
	return nil
}

// memoryLine is the JSON of the memory of a step.
type memoryLine struct {
	Type        string     `json:"type"` // "memory"
	Nodes       int        `json:"nodes"`
	Edges       int64      `json:"edges"`
	Parameters  int64      `json:"parameter_bytes"`
	Gradients   int64      `json:"gradient_bytes"`
	Optimizer   int64      `json:"optimizer_bytes"`
	Model       int64      `json:"model_bytes"`
	Data        int64      `json:"data_bytes,omitempty"`
	Activations int64      `json:"activation_bytes"`
	Exact       int64      `json:"exact_activation_bytes,omitempty"` // by the accounting of EXACT
	Workspace   int64      `json:"workspace_bytes"`
	Peak        int64      `json:"peak_bytes"` // of the step's arena: activations and workspace
	Held        []heldLine `json:"activations,omitempty"`

	Device *deviceLine `json:"device,omitempty"` // what training takes of a GPU
}

// deviceLine is the JSON of what training takes of a GPU.
type deviceLine struct {
	Nodes   int   `json:"nodes"` // of a step, rounded up
	Edges   int64 `json:"edges"`
	Model   int64 `json:"model_bytes"` // with the features, labels and weights of all nodes that lie there
	Step    int64 `json:"step_bytes"`
	Scratch int64 `json:"scratch_bytes"`
	Copies  int64 `json:"copy_bytes"`
	Total   int64 `json:"total_bytes"`

	Features string `json:"features"` // where those of all nodes lie: device or host
	Name     string `json:"name"`
	Free     int64  `json:"free_bytes"` // of the GPU; all of one that is not there
	Fits     bool   `json:"fits"`

	Evaluation string `json:"evaluation,omitempty"`  // resident, parts, host or none
	Graph      int64  `json:"graph_bytes,omitempty"` // of the whole graph, where evaluations keep it there
}

// verdict says whether the GPU has as much.
func (d *deviceLine) verdict() string {
	if d.Fits {
		return fmt.Sprintf("fits in %s, of which %.1f GiB are free; features lie on the %s%s", d.Name, gibibytes(d.Free), d.Features, d.evaluation())
	}
	return fmt.Sprintf("does not fit in %s, of which %.1f GiB are free; less is taken with --features host, smaller subgraphs or --n_bits", d.Name, gibibytes(d.Free))
}

// evaluation says where evaluations have what they read.
func (d *deviceLine) evaluation() string {
	switch trainer.EvalWay(d.Evaluation) {
	case trainer.EvalResident:
		return fmt.Sprintf("; the graph for evaluations stays on it (%.1f MiB)", float64(d.Graph)/(1<<20))
	case trainer.EvalParts:
		return "; evaluations bring the graph there in parts"
	case trainer.EvalHost:
		return "; evaluations take rows from the host's memory"
	case trainer.EvalNone:
		return "; there is too little beside it for evaluations, which --cpu_eval does on the CPU"
	}
	return ""
}

// heldLine is the JSON of one tensor that is kept.
type heldLine struct {
	Layer string `json:"layer"`
	Slot  int    `json:"slot"`
	Rows  int    `json:"rows"`
	Cols  int    `json:"cols"`
	Form  string `json:"form"`
	Bytes int64  `json:"bytes"`
}

func newMemoryLine(m *trainer.Memory, data int64) memoryLine {
	l := memoryLine{
		Type: "memory", Nodes: m.Size.Nodes, Edges: m.Size.Edges, Parameters: m.Parameters, Gradients: m.Gradients, Optimizer: m.Optimizer,
		Model: m.Parameters + m.Gradients + m.Optimizer, Data: data, Activations: m.Activations, Workspace: m.Workspace(), Peak: m.Peak,
	}
	for _, h := range m.Held {
		l.Held = append(l.Held, heldLine{h.Layer, h.Key.Slot, h.Rows, h.Cols, h.Form, h.Bytes})
	}
	return l
}

// speedLine is the JSON of --test_speed.
type speedLine struct {
	Type            string  `json:"type"` // "speed"
	Steps           int     `json:"steps"`
	SecondsPerStep  float64 `json:"seconds_per_step"`
	StepsPerSecond  float64 `json:"steps_per_second"`
	SecondsPerEpoch float64 `json:"seconds_per_epoch"`
	EpochsPerSecond float64 `json:"epochs_per_second"`
}

// probe measures and prints.
func (j *job) probe(ctx context.Context) error {
	steps := 0
	if j.Measure.speed {
		steps = speedSteps
	}
	o := j.options(j.Seed, nil, false)
	p, err := trainer.Probe(ctx, o, steps)
	if err != nil {
		return err
	}
	if err := printMemory(j.env, newMemoryLine(&p.Memory, dataBytes(j.data, j.config.Params.Double)), false); err != nil || p.Steps == 0 {
		return err
	}
	step := p.Seconds / float64(p.Steps)
	epoch := step * float64(p.StepsPerEpoch)
	l := speedLine{"speed", p.Steps, step, 1 / step, epoch, 1 / epoch}
	if j.env.json {
		return j.env.printJSON(l)
	}
	return j.env.printf("%d steps: %.4g s/step, %.4g s/epoch, %.4g epoch/s\n", l.Steps, l.SecondsPerStep, l.SecondsPerEpoch, l.EpochsPerSecond)
}

// dataBytes returns the bytes of graphs, features and labels; double precision has the features
// once more, converted.
func dataBytes(d *formats.Dataset, double bool) int64 {
	feature := int64(4)
	in, resident := formats.StoredOf(d.Features)
	switch {
	case in.F16 != nil:
		feature = 2
	case double && resident:
		feature += 8
	}
	n := feature*int64(d.Features.Rows())*int64(d.Features.Dim()) + 4*int64(len(d.Labels.Class)) + int64(len(d.Labels.Multi))
	for _, g := range []*formats.Graph{d.Full, d.Train} {
		n += 8*int64(len(g.Indptr)) + 4*int64(len(g.Indices)) + 4*int64(len(g.Weights))
	}
	return n + 4*int64(len(d.TrainNodes)+len(d.ValNodes)+len(d.TestNodes))
}

// printMemory prints what a step takes, with every tensor that is kept if all is set.
func printMemory(e *env, l memoryLine, all bool) error {
	if !all {
		l.Held = nil
	}
	if e.json {
		return e.printJSON(l)
	}
	row := func(name string, n int64, note string) error {
		return e.printf("%-14s %16d bytes  %10.2f MiB%s\n", name, n, float64(n)/(1<<20), note)
	}
	if err := e.printf("a step of %d nodes and %d edges\n", l.Nodes, l.Edges); err != nil {
		return err
	}
	for _, r := range []struct {
		name string
		n    int64
		note string
	}{
		{"parameters", l.Parameters, ""},
		{"gradients", l.Gradients, ""},
		{"optimizer", l.Optimizer, ""},
		{"data", l.Data, ""},
		{"activations", l.Activations, "  held at the turn from forward to backward"},
		{"by EXACT", l.Exact, "  its activations, by its own accounting"},
		{"workspace", l.Workspace, ""},
		{"peak", l.Peak, "  activations and workspace"},
		{"total", l.Model + l.Data + l.Peak, ""},
	} {
		if (r.name == "data" || r.name == "by EXACT") && r.n == 0 {
			continue
		}
		if err := row(r.name, r.n, r.note); err != nil {
			return err
		}
	}
	if d := l.Device; d != nil {
		if err := e.printf("on a GPU, for steps of up to %d nodes and %d edges\n", d.Nodes, d.Edges); err != nil {
			return err
		}
		for _, r := range []struct {
			name string
			n    int64
			note string
		}{
			{"model", d.Model, "  parameters, optimizer, and what lies there of all nodes"},
			{"step", d.Step, "  activations and workspace"},
			{"scratch", d.Scratch, ""},
			{"copies", d.Copies, "  the arrays of two steps"},
			{"all", d.Total, "  with what libraries take; evaluation shares the step's"},
		} {
			if err := row(r.name, r.n, r.note); err != nil {
				return err
			}
		}
	}
	if d := l.Device; d != nil {
		if err := e.printf("%s\n", d.verdict()); err != nil {
			return err
		}
	}
	for _, h := range l.Held {
		if err := e.printf("  %-22s slot %-3d %9d x %-6d %-22s %14d bytes\n", h.Layer, h.Slot, h.Rows, h.Cols, h.Form, h.Bytes); err != nil {
			return err
		}
	}
	return nil
}
