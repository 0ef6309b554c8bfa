package telemetry

import (
	"sync"
	"time"
)

// windowSeconds is how far back a rate looks.
const windowSeconds = 10

// window counts events by second, to tell the rate of the last seconds.
type window struct {
	mu     sync.Mutex
	counts [windowSeconds + 1]int64
	second [windowSeconds + 1]int64 // what each count belongs to, Unix time
	first  time.Time                // event
	now    func() time.Time         // nil: time.Now; for tests
}

// add counts an event.
func (w *window) add(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first.IsZero() {
		w.first = at
	}
	s := at.Unix()
	i := int(s % int64(len(w.counts)))
	if w.second[i] != s {
		w.second[i], w.counts[i] = s, 0
	}
	w.counts[i]++
}

// rate returns events a second since the first one or over the last ten whole seconds and the
// part of this one.
func (w *window) rate() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.now != nil {
		now = w.now()
	}
	if w.first.IsZero() {
		return 0
	}
	var n int64
	for i, s := range w.second {
		if s > now.Unix()-int64(len(w.second)) && s <= now.Unix() {
			n += w.counts[i]
		}
	}
	span := now.Sub(time.Unix(now.Unix()-windowSeconds, 0))
	if since := now.Sub(w.first); since < span {
		span = max(since, 100*time.Millisecond)
	}
	return float64(n) / span.Seconds()
}
