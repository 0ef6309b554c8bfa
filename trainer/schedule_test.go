package trainer

import (
	"encoding/json"
	"math"
	"testing"
)

// TestScheduleGolden compares the rate of every update with PyTorch's schedulers; see
// make_golden.py.
func TestScheduleGolden(t *testing.T) {
	var all []struct {
		Name     string    `json:"name"`
		Params   string    `json:"params"`
		PerEpoch int       `json:"per_epoch"`
		Scores   []float64 `json:"scores"`
		Rates    []float64 `json:"rates"`
	}
	if err := json.Unmarshal(readFile(t, "testdata/training/schedule.json"), &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			conf := "network:\n  - {dim: 4, arch: '1-0'}\nparams:\n  - {lr: 0.02, " + c.Params + "}\nphase:\n  - {end: 20, sampler: full_batch}\n"
			s := newSchedule(parse(t, conf))
			var p plateau
			for i, want := range c.Rates {
				epoch := i / c.PerEpoch
				got := s.rate(epoch, uint64(i), &p)
				if math.Abs(got-want) > 1e-6*want+1e-12 {
					t.Fatalf("rate of update %d in epoch %d = %v, want %v", i, epoch, got, want)
				}
				if i%c.PerEpoch == c.PerEpoch-1 {
					p.see(&s, epoch, c.Scores[epoch])
				}
			}
			if n := testing.AllocsPerRun(10, func() { s.rate(7, 30, &p) }); n != 0 {
				t.Errorf("rate allocates %v times, want 0", n)
			}
		})
	}
}

// TestCosineStays: after its length the cosine stays where it is.
func TestCosineStays(t *testing.T) {
	s := newSchedule(parse(t, "network:\n  - {dim: 4, arch: '1-0'}\nparams:\n  - {lr: 0.02, schedule: cosine, schedule_epochs: 5, lr_min: 0.001}\nphase:\n  - {end: 20, sampler: full_batch}\n"))
	for epoch, want := range map[int]float64{0: 0.02, 5: 0.001, 6: 0.001, 19: 0.001} {
		if got := s.rate(epoch, 0, nil); math.Abs(got-want) > 1e-12 {
			t.Errorf("rate of epoch %d = %v, want %v", epoch, got, want)
		}
	}
}

func TestWatch(t *testing.T) {
	var w watch
	for epoch, c := range []struct {
		score float64
		still int
	}{{0.5, 0}, {0.5, 1}, {0.6, 0}, {0.6, 1}, {0.1, 2}, {0.61, 0}} {
		if got := w.see(epoch, c.score, 0); got != c.still {
			t.Errorf("epoch %d with score %v: still for %d epochs, want %d", epoch, c.score, got, c.still)
		}
	}
}
