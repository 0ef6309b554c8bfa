package trainer

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// recorder is a queue that notes what it is told.
type recorder struct {
	tensor.Queue
	on      bool
	told    int
	refused error
}

func (r *recorder) Record(on bool) { r.on, r.told = on, r.told+1 }

func (r *recorder) Refused() error { return r.refused }

// stepper returns one over the queue that can do nothing else.
func (r *recorder) stepper() []*Stepper {
	return []*Stepper{{q: r, ahead: &ahead{}, model: &Model{Backend: named{}}}}
}

// named is a backend that has a name.
type named struct{ tensor.Backend }

func (named) Device() string { return "gpu" }

// A run that may choose takes what is faster, whatever the first steps and some odd ones take.
func TestGraphsChosen(t *testing.T) {
	for _, c := range []struct {
		with, without time.Duration
		want          bool
		text          string
	}{
		{time.Millisecond, 2 * time.Millisecond, true, "graphs are on: a step takes 1 ms with, 2 ms without"},
		{2 * time.Millisecond, time.Millisecond, false, "graphs are off: a step takes 2 ms with, 1 ms without"},
		{999 * time.Microsecond, time.Millisecond, false, "graphs are off"},
	} {
		var log bytes.Buffer
		q := &recorder{}
		r := &run{Options: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, graphs: graphs{of: q.stepper(), auto: true}}
		for k := range 200 {
			took := c.without
			if q.on {
				took = c.with
			}
			if k%graphSpan < 3 || k%7 == 0 {
				took = time.Second // the first of a span, a checkpoint
			}
			r.graphed(took)
		}
		if q.on != c.want || q.told != graphSpans || !strings.Contains(log.String(), c.text) {
			t.Errorf("%v with, %v without: graphs %t after %d changes, want %t; log %q", c.with, c.without, q.on, q.told, c.want, log.String())
		}
	}
}

// A device that refuses is asked once and told of once.
func TestGraphsRefused(t *testing.T) {
	var log bytes.Buffer
	q := &recorder{refused: errors.New("not here")}
	r := &run{Options: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, graphs: graphs{of: q.stepper(), on: true}}
	for range 3 {
		r.graphed(time.Millisecond)
	}
	if n := strings.Count(log.String(), "gpu: not here"); n != 1 || q.on {
		t.Errorf("told %d times, want once: %q; graphs %t", n, log.String(), q.on)
	}
}
