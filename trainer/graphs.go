package trainer

import (
	"fmt"
	"slices"
	"time"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// How a run that may choose finds out whether its device should get a step as one graph: after the first
// span of steps, spans with graphs and spans without take turns. The first steps of a span do not count:
// they make the graphs, and some of them were queued before.
const (
	graphSpan   = 16
	graphSettle = 4
	graphSpans  = 5 // the first is for neither
	graphGain   = 0.98
)

// Record says whether a device that can gets what is recordable of a step as one graph from now on, and
// returns whether it can. It changes no bits.
func (s *Stepper) Record(on bool) bool {
	q, ok := s.q.(tensor.Recorder)
	if ok = ok && s.Ahead(); ok {
		q.Record(on)
	}
	return ok
}

// Refused says why the device does not take graphs after all, nil if it does.
func (s *Stepper) Refused() error {
	if q, ok := s.q.(tensor.Recorder); ok {
		return q.Refused()
	}
	return nil
}

// graphs is what a run knows of the graphs of its steps. They change no bits, so that time may decide.
type graphs struct {
	of    []*Stepper // whose devices get graphs; none: nobody asks
	auto  bool       // the choice is open
	on    bool
	steps int
	took  [2][]time.Duration // of steps without and with
}

// useGraphs does what the configuration says.
func (r *run) useGraphs() {
	mode := r.Config.System.Graphs
	if mode == "" || mode == "off" {
		return
	}
	g := graphs{auto: mode == "auto", on: mode == "on"}
	for _, m := range r.team.members {
		if !m.stepper.Record(g.on) {
			if mode == "on" {
				r.Log.Warn("graphs are for GPUs: " + m.model.Backend.Device() + " gets its work operation by operation")
			}
			return
		}
		g.of = append(g.of, m.stepper)
	}
	r.graphs = g
}

// record says whether the devices get graphs from now on.
func (g *graphs) record() {
	for _, s := range g.of {
		s.Record(g.on)
	}
}

// refused returns what one of the devices says against graphs.
func (g *graphs) refused() error {
	for _, s := range g.of {
		if err := s.Refused(); err != nil {
			return fmt.Errorf("%s: %w", s.model.Backend.Device(), err)
		}
	}
	return nil
}

// graphed takes in how long a step took.
func (r *run) graphed(took time.Duration) {
	g := &r.graphs
	if len(g.of) == 0 {
		return
	}
	if err := g.refused(); err != nil {
		r.Log.Warn("the device does not take a step as one graph, its work goes there operation by operation", "error", err)
		g.on = false
		g.record()
		g.of = nil
		return
	}
	if !g.auto {
		return
	}
	span, at := g.steps/graphSpan, g.steps%graphSpan
	g.steps++
	if span > 0 && at >= graphSettle {
		i := 0
		if g.on {
			i = 1
		}
		g.took[i] = append(g.took[i], took)
	}
	if g.steps%graphSpan != 0 {
		return
	}
	if g.on = !g.on; g.steps == graphSpan*graphSpans {
		without, with := median(g.took[0]), median(g.took[1])
		g.auto, g.on = false, float64(with) < graphGain*float64(without)
		choice := "off"
		if g.on {
			choice = "on"
		}
		r.Log.Info(fmt.Sprintf("graphs are %s: a step takes %.3g ms with, %.3g ms without", choice, ms(with), ms(without)))
	}
	g.record()
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}
