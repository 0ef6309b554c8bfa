package trainer

import (
	"context"
	"time"
)

// Probed is what the first steps of a run showed.
type Probed struct {
	Memory
	Steps         int     // measured
	Seconds       float64 // of them, waiting for samples left out
	StepsPerEpoch int
}

// Probe measures the memory of a run's first step and the time of as many steps after it, at
// most to the end of the first phase. It evaluates nothing and leaves nothing behind.
func Probe(ctx context.Context, o Options, steps int) (*Probed, error) {
	o.Dir, o.Resume = nil, false
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.start(); err != nil {
		return nil, err
	}
	src, err := r.open(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
	b, err := src.Next(ctx)
	if err != nil {
		return nil, err
	}
	m, err := r.stepper.Measure(b, 0)
	b.Release()
	if err != nil {
		return nil, err
	}
	first := &r.phases[0]
	p := &Probed{Memory: *m, StepsPerEpoch: int(first.steps)}
	p.Steps = min(steps, (first.end-first.first)*int(first.steps)-1)
	r.task = r.Progress.Start("measure", "steps", int64(p.Steps))
	defer r.task.Done()
	r.EvalTrainEvery = 1 << 62 // scores are no part of a step
	r.Step, r.InStep = 1, 1
	begin, waited := time.Now(), r.Times.SampleWait
	for range p.Steps {
		if err := r.step(ctx, 0, src); err != nil {
			return nil, r.land(err)
		}
	}
	if err := r.settle(0); err != nil {
		return nil, r.land(err)
	}
	p.Seconds = time.Since(begin).Seconds() - (r.Times.SampleWait - waited)
	return p, nil
}
