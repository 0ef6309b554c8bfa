package main

import (
	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// planGPU says what training takes of a GPU that has the features and labels of ds. Without data,
// features are counted as those of a step.
func planGPU(cfg *trainconfig.Config, size trainer.Size, ds *formats.Dataset, phase int) (*deviceLine, error) {
	on := trainer.OnDevice{Nodes: size.Nodes}
	if ds != nil {
		on.Nodes, on.Weights = ds.NumNodes(), cfg.Params.NormLoss && !cfg.Params.Inputs.UseLabels
		if in, ok := formats.StoredOf(ds.Features); ok {
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
	m, err := trainer.PlanDevice(cfg, size, on, cuda.OpenDry(tensor.MatmulTF32).(tensor.Planner))
	if err != nil {
		return nil, err
	}
	return &deviceLine{size.Nodes, size.Edges, m.Model, m.Step, m.Scratch, m.Copies, m.Total}, nil
}
