package assemble

import (
	"context"
	"fmt"
)

// Reports is how a converter talks while it works. The zero value is silent.
type Reports struct {
	// Warn is told what is odd but usable or cannot be kept, a line each.
	Warn func(string)
	// Progress is told how far a stage is: done of total units (0: unknown).
	Progress func(stage string, done, total int64)
}

// Warnf passes a warning on.
func (r *Reports) Warnf(format string, args ...any) {
	if r.Warn != nil {
		r.Warn(fmt.Sprintf(format, args...))
	}
}

// Step reports progress and returns the context's error, so that a loop that calls it once
// in a while can be interrupted.
func (r *Reports) Step(ctx context.Context, stage string, done, total int64) error {
	if r.Progress != nil {
		r.Progress(stage, done, total)
	}
	return ctx.Err()
}

// StepEvery is how many items loops handle between calls of Step.
const StepEvery = 1 << 16
