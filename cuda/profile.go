package cuda

import (
	"errors"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// Profile is what queues of a backend were given while it was being taken.
type Profile struct {
	Launches int     // kernels, and products of cuBLAS
	Seconds  float64 // the sum of their times, each with the microsecond that measuring it takes
}

// profiler puts an event before and behind every launch.
type profiler struct {
	mu     sync.Mutex
	timers []*timer
}

// StartProfile begins to measure every launch, until EndProfile, which slows launching down. Nobody may
// use a queue of the backend meanwhile.
func (b *Backend) StartProfile() { b.profile = &profiler{} }

// EndProfile waits for the device and returns what was measured since StartProfile.
func (b *Backend) EndProfile() (Profile, error) {
	p := b.profile
	b.profile = nil
	errs := []error{b.sync()}
	var sum Profile
	for _, t := range p.timers {
		ms, err := float32(0), t.err
		if err == nil && errs[0] == nil {
			ms, err = b.dev.Elapsed(t.from, t.to)
		}
		sum.Launches++
		sum.Seconds += float64(ms) / 1e3
		errs = append(errs, err, t.close())
	}
	return sum, b.explain(errors.Join(errs...))
}

// Held returns the bytes of the device that arenas and queues hold.
func (b *Backend) Held() int64 { return b.held.Load() }

// measured runs a launch, with its time taken if there is a profiler.
func (p *profiler) measured(d driver.Device, s driver.Stream, launch func() error) error {
	if p == nil {
		return launch()
	}
	t := newTimer(d)
	p.mu.Lock()
	p.timers = append(p.timers, t)
	p.mu.Unlock()
	t.begin(s)
	err := launch()
	t.end(s)
	return err
}
