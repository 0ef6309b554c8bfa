package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// readGPU reads --gpu and --gpu_memory.
func (o *planOptions) readGPU(c *cli.Context) error {
	var err error
	if o.gpu, err = oneGPU(c); err != nil {
		return err
	}
	if !c.IsSet("gpu_memory") {
		if o.gpu == autoDevice {
			o.gpu = -1
		}
		return nil
	}
	if o.gpu != autoDevice {
		return usagef("--gpu_memory is for a GPU that is not here; leave out --gpu %s", c.String("gpu"))
	}
	o.gpu = -1
	var ok bool
	if o.memory, ok = parseSize(c.String("gpu_memory")); !ok {
		return usagef("--gpu_memory is %q, want a size such as 512MiB or 80GiB", c.String("gpu_memory"))
	}
	return nil
}

// plannedGPU is a GPU to plan for, or its size.
type plannedGPU struct {
	tensor.Planner
	name        string
	total, free int64
	opened      tensor.Backend // nil if it is not here
}

// openPlanned returns what --gpu or --gpu_memory names, nil for none.
func (o *planOptions) openPlanned(cfg *trainconfig.Config) (*plannedGPU, error) {
	switch {
	case o.gpu < 0 && o.memory == 0:
		return nil, nil
	case cfg.Params.Double:
		return nil, usagef("dtype d: GPUs compute in single precision; leave out --gpu and --gpu_memory")
	case o.gpu < 0:
		p := cuda.OpenDry(configuredMatmul(cfg)).(tensor.Planner)
		return &plannedGPU{Planner: p, name: fmt.Sprintf("a GPU of %.1f GiB", gibibytes(o.memory)), total: o.memory, free: o.memory}, nil
	}
	b, err := openDevice(o.gpu, configuredMatmul(cfg))
	if err != nil {
		return nil, err
	}
	g := &plannedGPU{Planner: b.(tensor.Planner), name: b.Device(), total: b.Caps().TotalBytes, opened: b}
	if g.free, err = g.Free(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *plannedGPU) close() {
	if g != nil && g.opened != nil {
		_ = g.opened.Close() // it was asked for sizes alone
	}
}

// plan says what training takes of a GPU that has the labels of ds and, if they take at most half of its
// memory, the features. Without data, features are counted as those of a step.
func (g *plannedGPU) plan(cfg *trainconfig.Config, size trainer.Size, ds *formats.Dataset, phase int) (*deviceLine, error) {
	on, where := trainer.OnDevice{Nodes: size.Nodes}, "host"
	if ds != nil {
		on.Nodes, on.Weights = ds.NumNodes(), cfg.Params.NormLoss && !cfg.Params.Inputs.UseLabels
		if in, ok := formats.StoredOf(ds.Features); ok && (cfg.Params.Inputs.UseLabels || in.Bytes() <= g.total/2) {
			where = "device"
			if on.Features = tensor.F32; in.F16 != nil {
				on.Features = tensor.F16
			}
		}
		env := samplers.NewEnv(trainer.TrainingGraph(cfg, ds), ds.TrainNodes)
		size.Directed = !env.Symmetric()
		s, err := trainer.NewSampler(&cfg.Phases[phase], env)
		if err != nil {
			return nil, err
		}
		if d, ok := s.(samplers.Deterministic); ok {
			on.Repeats = d.Deterministic()
		}
	}
	if !on.Repeats {
		size = size.RoundUp()
	}
	m, err := trainer.PlanDevice(cfg, size, on, g)
	if err != nil {
		return nil, err
	}
	line := &deviceLine{
		Nodes: size.Nodes, Edges: size.Edges, Model: m.Model, Step: m.Step, Scratch: m.Scratch, Copies: m.Copies, Total: m.Total,
		Features: where, Name: g.name, Free: g.free, Fits: m.Total <= g.free,
	}
	if ds != nil && line.Fits {
		e, err := trainer.PlanEvaluation(cfg, ds, on, g, m.Step, m.Scratch, g.free-m.Total)
		if err != nil {
			return nil, err
		}
		line.Evaluation, line.Graph = string(e.Way), e.Graph
	}
	return line, nil
}
