package loader

import "time"

// Tracer learns where the time of a pipeline's workers goes.
type Tracer interface {
	// Stage says that a worker, 0 to Workers-1, was in a stage (those of StageError) of the
	// batch with that phase and index from begin to end. Workers call it at the same time, but
	// the calls of one worker never overlap, in time or in what they report. It is called on
	// the way to the next stage and should return at once.
	Stage(worker int, stage string, phase int, index uint64, begin, end time.Time)
}

// enter makes stage the running one and tells the tracer of the one before; "" is none. Without
// a tracer it does not look at the clock.
func (p *Pipeline) enter(w *worker, stage string) {
	if t := p.cfg.Tracer; t != nil {
		now := time.Now()
		if w.stage != "" {
			t.Stage(w.number, w.stage, p.cfg.Phase, w.index, w.entered, now)
		}
		w.entered = now
	}
	w.stage = stage
}
