package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer"
)

// gpuSteps are steps on a few subgraphs in turn.
type gpuSteps struct {
	stepper *trainer.Stepper
	batches []*loader.Batch
	index   uint64
	queued  time.Duration // what the host took to queue them, without waiting
}

func (b *gpuBencher) step(ctx context.Context) error {
	batches, err := b.drawBatches(ctx, benchBatches)
	if err != nil {
		return err
	}
	defer release(batches)
	m, err := b.model()
	if err != nil {
		return err
	}
	defer m.close()
	s := &gpuSteps{stepper: m.stepper, batches: batches}
	name := "step/" + b.set.label + " " + b.set.config.Phases[0].Sampler
	f, queued, err := b.steps(s, name)
	if err != nil {
		return err
	}
	b.gpu.StartProfile()
	err = errors.Join(s.round(), s.landed(0))
	p, profileErr := b.gpu.EndProfile()
	if err := errors.Join(err, profileErr); err != nil {
		return err
	}
	b.stepFigure(&f, batches, p, queued)
	if err := b.report.add(f); err != nil {
		return err
	}
	return b.graphs(s, f)
}

// steps measures steps, and the milliseconds in which the host queues one.
func (b *gpuBencher) steps(s *gpuSteps, name string) (f figure, queued float64, err error) {
	if err := errors.Join(s.round(), s.landed(0)); err != nil { // makes what later steps use again
		return f, 0, err
	}
	first := s.index
	s.queued = 0
	samples, err := b.timed(s.round)
	if err = errors.Join(err, s.landed(0)); err != nil {
		return f, 0, err
	}
	for i := range samples {
		samples[i] /= float64(len(s.batches))
	}
	return newFigure(name, 1, "ms", samples), 1e3 * s.queued.Seconds() / float64(s.index-first), nil
}

// round does a step on every subgraph.
func (s *gpuSteps) round() error {
	for _, batch := range s.batches {
		if err := s.ahead(batch); err != nil {
			return err
		}
		s.index++
	}
	return nil
}

// ahead does an update as training does: it is queued, and the outcome of the one before taken in.
func (s *gpuSteps) ahead(batch *loader.Batch) error {
	if !s.stepper.Ahead() {
		_, err := s.stepper.Step(batch, s.index, nil)
		return err
	}
	begin := time.Now()
	if err := s.stepper.Start(batch, s.index, false); err != nil {
		return err
	}
	s.queued += time.Since(begin)
	return s.landed(1)
}

// landed takes in outcomes until so many are left.
func (s *gpuSteps) landed(left int) error {
	for s.stepper.Ahead() && s.stepper.Started() > left {
		if _, err := s.stepper.Finish(); err != nil {
			return err
		}
	}
	return nil
}

// stepFigure adds what a step does, and how long the GPU has nothing to do meanwhile.
func (b *gpuBencher) stepFigure(f *figure, batches []*loader.Batch, p cuda.Profile, queued float64) {
	n := float64(len(batches))
	flops, nodes, edges := 0.0, 0, 0
	for _, batch := range batches {
		flops += stepFlops(b.set, batch.NumNodes(), batch.NumEdges()) / n
		nodes, edges = nodes+batch.NumNodes()/len(batches), edges+batch.NumEdges()/len(batches)
	}
	f.rate(flops/f.Value*1e3, "GFLOP/s", 1e9, b.mostFlops())
	busy := 1e3 * p.Seconds / n
	f.More = map[string]float64{
		"launches": float64(p.Launches) / n, "busy_ms": busy, "gap_ms": max(0, f.Value-busy), "device_bytes": float64(b.gpu.Held()), "queue_ms": queued,
	}
	f.Work = fmt.Sprintf("%d nodes, %d edges, %.1f GFLOP; %.0f launches, queued in %.3f ms, kernels %.3f ms, without any %.3f ms; %d MB of the GPU held",
		nodes, edges, flops/1e9, f.More["launches"], queued, busy, f.More["gap_ms"], b.gpu.Held()/1e6)
}

// graphs measures the same steps again, each given to the GPU as a graph.
func (b *gpuBencher) graphs(s *gpuSteps, direct figure) error {
	if !s.stepper.Record(true) {
		return nil
	}
	defer s.stepper.Record(false)
	before, err := b.gpu.Free()
	if err != nil {
		return err
	}
	f, queued, err := b.steps(s, direct.Name+" as graphs")
	if err != nil {
		return err
	}
	if err := s.stepper.Refused(); err != nil {
		b.env.log.Warn("steps as graphs are left out", "error", err)
		return nil
	}
	after, err := b.gpu.Free()
	if err != nil {
		return err
	}
	count, index := b.gpu.Counters(), s.index
	if err := errors.Join(s.round(), s.landed(0)); err != nil {
		return err
	}
	graphs := float64(b.gpu.Counters().Sub(count).Graphs) / float64(s.index-index)
	f.rate(direct.Rate*direct.Value/f.Value*1e9, "GFLOP/s", 1e9, b.mostFlops())
	f.More = map[string]float64{
		"launches": direct.More["launches"], "graphs": graphs, "queue_ms": queued, "direct_ms": direct.Value, "direct_queue_ms": direct.More["queue_ms"],
		"graph_bytes": float64(max(0, before-after)), "device_bytes": float64(b.gpu.Held()),
	}
	f.Work = fmt.Sprintf("the same %.0f launches in %.3g graphs, queued in %.3f ms instead of %.3f; %.2f times as fast; %d kB of the GPU for graphs",
		f.More["launches"], graphs, queued, direct.More["queue_ms"], direct.Value/f.Value, max(0, before-after)/1000)
	return b.report.add(f)
}
