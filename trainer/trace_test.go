package trainer

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// told is a span that a run told a tracer of.
type told struct {
	name       string
	number     int64
	begin, end time.Time
}

// listener keeps what a run tells a tracer.
type listener struct {
	lanes  [LaneEvaluation + 1][]told
	stages atomic.Int64
}

func (l *listener) Stage(int, string, int, uint64, time.Time, time.Time) { l.stages.Add(1) }

func (l *listener) Span(lane Lane, name string, number int64, begin, end time.Time) {
	l.lanes[lane] = append(l.lanes[lane], told{name, number, begin, end})
}

// counts returns how many spans there are by name. Those of a lane must be nested or apart.
func (l *listener) counts(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for lane, spans := range l.lanes {
		for i, s := range spans {
			counts[s.name]++
			if s.end.Before(s.begin) {
				t.Errorf("lane %d: %s %d ends before it begins", lane, s.name, s.number)
			}
			// What is told later begins after the end of this one, or before its beginning.
			for _, later := range spans[i+1:] {
				if later.begin.Before(s.end) && later.begin.After(s.begin) {
					t.Errorf("lane %d: %s %d and %s %d overlap", lane, s.name, s.number, later.name, later.number)
				}
			}
		}
	}
	return counts
}

// TestTracer: a run that is looked at tells everything, and gives what it gives unseen.
func TestTracer(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	dir := newDir(t)
	o := l.options(dir)
	heard := &listener{}
	var steps, epochs int
	var norms atomic.Int64
	o.Tracer = heard
	o.OnNorm = func(drawn, total int64) { norms.Add(1) }
	o.OnTrain = func(e Epoch) error {
		if e.Epoch != epochs || e.Val.Nodes != 0 || e.TrainLoss <= 0 {
			t.Errorf("OnTrain(%+v), want epoch %d without scores", e, epochs)
		}
		epochs++
		return nil
	}
	o.OnStep = func(s StepReport) {
		if s.Step != uint64(steps) || s.Epoch != epochs || s.Loss <= 0 || s.LearningRate <= 0 || s.Nodes <= 0 || s.Edges <= 0 || s.PeakBytes <= 0 || s.Took < s.Waiting {
			t.Errorf("OnStep(%+v), want step %d of epoch %d with everything", s, steps, epochs)
		}
		steps++
	}
	res := l.train(o)
	l.same("with a tracer", dir, want, res, wantRes)
	if epochs != res.Epochs || norms.Load() == 0 || heard.stages.Load() == 0 {
		t.Errorf("%d epochs, %d looks at normalisations, %d stages; want %d epochs and some of each", epochs, norms.Load(), heard.stages.Load(), res.Epochs)
	}
	counts := heard.counts(t)
	for name, n := range map[string]int{
		"epoch": epochs, "step": steps, "wait": steps, "inputs": steps, "forward": steps, "backward": steps, "update": steps,
	} {
		if counts[name] != n {
			t.Errorf("%d spans %s, want %d", counts[name], name, n)
		}
	}
	layers := 0
	for name, n := range counts {
		if !strings.HasPrefix(name, "layer ") {
			continue
		}
		if layers++; n != 2*steps {
			t.Errorf("%d spans %s, want one forward and one backward in %d steps", n, name, steps)
		}
	}
	if layers < 2 {
		t.Errorf("spans of %d layers, want those of the network", layers)
	}
	for _, name := range []string{"normalisation", "checkpoint", "validation"} {
		if counts[name] == 0 {
			t.Errorf("no span %s", name)
		}
	}
}
