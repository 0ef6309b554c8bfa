package trainer

import (
	"math"

	trainconfig "github.com/saint-gnn/saint/train_config"
)

// schedule is the learning rate over a run: a function of epoch, update and, for plateau, of
// the scores so far. The end of its cosine is that of the configuration and not of a cap on
// the epochs, so that a run that is continued later goes the same way.
type schedule struct {
	trainconfig.Schedule
	lr     float64
	length int // of the cosine, in epochs
}

func newSchedule(c *trainconfig.Config) schedule {
	s := schedule{Schedule: c.Params.Schedule, lr: c.Params.LR, length: c.Params.Schedule.Length}
	if s.length == 0 {
		s.length = c.Phases[len(c.Phases)-1].End
	}
	return s
}

// rate returns the learning rate of update number step, counted over the whole run from 0,
// which belongs to epoch.
func (s *schedule) rate(epoch int, step uint64, p *plateau) float64 {
	lr := s.lr
	switch s.Kind {
	case "step":
		lr *= math.Pow(s.Gamma, float64(epoch/s.StepSize))
	case "cosine":
		share := float64(min(epoch, s.length)) / float64(s.length)
		lr = s.LRMin + (lr-s.LRMin)*(1+math.Cos(math.Pi*share))/2
	case "plateau":
		if p.Dropped {
			lr = p.LR
		}
	}
	if warmup := uint64(s.WarmupSteps); step < warmup {
		lr *= float64(step+1) / float64(warmup)
	}
	return lr
}

// plateau is what the schedule of that name remembers: the watch on the score and the rate
// since the first drop.
type plateau struct {
	Watch   watch   `json:"watch"`
	Dropped bool    `json:"dropped"`
	LR      float64 `json:"lr"`
}

// see takes in the score of an epoch and reports whether the rate drops.
func (p *plateau) see(s *schedule, epoch int, score float64) bool {
	if s.Kind != "plateau" || p.Watch.see(epoch, score, s.Threshold) <= s.Patience {
		return false
	}
	if !p.Dropped {
		p.LR = s.lr
	}
	before := p.LR
	p.Dropped, p.LR = true, max(p.LR*s.Gamma, s.LRMin)
	p.Watch.Since = epoch
	return p.LR < before
}
