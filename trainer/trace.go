package trainer

import (
	"time"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/nn"
)

// Lane says which part of a run a span belongs to. Spans of one lane are nested or apart.
type Lane uint8

// Lanes of the goroutine that trains.
const (
	LaneRun        Lane = iota // epoch, normalisation, checkpoint
	LaneCompute                // wait (for a batch); step, with forward, backward and update inside, layers inside those
	LaneCopy                   // inputs: making a batch's tensors, where need be by copies to the device
	LaneEvaluation             // validation
)

// Tracer learns where the time of a run goes: what the goroutine that trains does, and, as a
// loader.Tracer, what the workers of the samplers do.
type Tracer interface {
	loader.Tracer
	// Span says that something took from begin to end; number is that of the step, epoch or
	// phase. What lies inside a span is told before it. One goroutine calls it.
	Span(lane Lane, name string, number int64, begin, end time.Time)
}

// StepReport is what Options.OnStep gets.
type StepReport struct {
	Epoch, Phase  int
	Step          uint64  // this one, counted over the run from 0
	Loss          float64 // weighted mean over the nodes
	LearningRate  float64
	Nodes, Edges  int
	PeakBytes     int64 // high-water mark of the step's tensors
	Took, Waiting time.Duration
}

// stopwatch tells a tracer of consecutive spans; without one it does not look at the clock.
type stopwatch struct {
	to     Tracer
	number int64
	began  time.Time
	lapped time.Time
	layer  time.Time // when the layer before ended
	names  []string  // of layers
}

// layers returns what nn.Context tells when a layer is done, nil without a tracer.
func (w *stopwatch) layers(m *nn.Sequential) func(int) {
	if w.to == nil {
		return nil
	}
	w.names = nil
	for i := range m.Len() {
		w.names = append(w.names, layerName(m, i))
	}
	return func(i int) {
		now := time.Now()
		w.to.Span(LaneCompute, w.names[i], w.number, w.layer, now)
		w.layer = now
	}
}

// start begins the first span.
func (w *stopwatch) start(number uint64) {
	if w.to != nil {
		w.number, w.began = int64(number), time.Now()
		w.lapped, w.layer = w.began, w.began
	}
}

// lap ends a span and begins the next one.
func (w *stopwatch) lap(lane Lane, name string) {
	if w.to != nil {
		now := time.Now()
		w.to.Span(lane, name, w.number, w.lapped, now)
		w.lapped, w.layer = now, now
	}
}

// stop ends the whole, which goes from start to the last lap.
func (w *stopwatch) stop(lane Lane, name string) {
	if w.to != nil {
		w.to.Span(lane, name, w.number, w.began, w.lapped)
	}
}

// loaderTracer returns the tracer as the loader wants it: none must be a nil interface.
func (r *run) loaderTracer() loader.Tracer {
	if r.Tracer == nil {
		return nil
	}
	return r.Tracer
}

// span tells of something that ends now.
func (r *run) span(lane Lane, name string, number int, begin time.Time) {
	if r.Tracer != nil {
		r.Tracer.Span(lane, name, int64(number), begin, time.Now())
	}
}
