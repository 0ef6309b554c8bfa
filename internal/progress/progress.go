// Package progress shows how far long work is: one rewritten line on a terminal, a log line
// per interval elsewhere, nothing when quiet. The [Reporter] is also the writer that logs go
// through, so that a log line never lands in the middle of the progress line.
package progress

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mode says how progress appears.
type Mode uint8

// Modes.
const (
	Off      Mode = iota
	Lines         // one line per interval
	Terminal      // one line, rewritten in place
)

// Reporter owns one output, usually stderr. Safe for concurrent use.
type Reporter struct {
	mu       sync.Mutex
	w        io.Writer
	mode     Mode
	interval time.Duration
	now      func() time.Time
	line     string // what stands on the terminal's last line
}

// New returns a Reporter that writes to w; interval applies to Lines (0: ten seconds).
func New(w io.Writer, mode Mode, interval time.Duration) *Reporter {
	if interval <= 0 {
		interval = 10 * time.Second
	}
	return &Reporter{w: w, mode: mode, interval: interval, now: time.Now}
}

// Write passes p on, above the progress line.
func (r *Reporter) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line != "" {
		if _, err := io.WriteString(r.w, "\r\x1b[K"); err != nil {
			return 0, err
		}
	}
	n, err := r.w.Write(p)
	if r.line != "" && err == nil {
		_, err = io.WriteString(r.w, r.line)
	}
	return n, err
}

// Task is one piece of long work. The nil Task does nothing.
type Task struct {
	r       *Reporter
	name    string
	unit    string
	total   int64
	started time.Time
	shown   time.Time
	last    int64
	first   int64
	begun   bool
}

// Start begins a task of total units (0: unknown). Only one task at a time shows a line.
func (r *Reporter) Start(name, unit string, total int64) *Task {
	now := r.now()
	return &Task{r: r, name: name, unit: unit, total: total, started: now, shown: now}
}

// Set reports that done units are finished; detail is appended to the line. The rate counts
// from the first call, so that resumed work is not credited to this run. Safe for concurrent use.
func (t *Task) Set(done int64, detail string) {
	t.set(done, detail, nil)
}

// SetFunc is Set for a detail that costs something to make: it is asked for only when a line
// is shown, before SetFunc returns. It must not use the Reporter.
func (t *Task) SetFunc(done int64, detail func() string) {
	t.set(done, "", detail)
}

func (t *Task) set(done int64, detail string, build func() string) {
	if t == nil || t.r.mode == Off {
		return
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if !t.begun {
		t.begun, t.first = true, done
	}
	t.last = max(t.last, done)
	now := t.r.now()
	wait := t.r.interval
	if t.r.mode == Terminal {
		wait = 100 * time.Millisecond
	}
	if now.Sub(t.shown) < wait {
		return
	}
	t.shown = now
	if build != nil {
		detail = build()
	}
	t.r.show(t.text(now, detail))
}

// Done ends the task and clears its line.
func (t *Task) Done() {
	if t == nil || t.r.mode != Terminal {
		return
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if t.r.line != "" {
		io.WriteString(t.r.w, "\r\x1b[K") //nolint:errcheck // losing a progress line harms nobody
		t.r.line = ""
	}
}

func (r *Reporter) show(text string) {
	if r.mode == Terminal {
		io.WriteString(r.w, "\r\x1b[K"+text) //nolint:errcheck // losing a progress line harms nobody
		r.line = text
		return
	}
	io.WriteString(r.w, text+"\n") //nolint:errcheck // losing a progress line harms nobody
}

func (t *Task) text(now time.Time, detail string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", t.name, t.last)
	if t.total > 0 {
		fmt.Fprintf(&b, "/%d", t.total)
	}
	b.WriteString(" " + t.unit)
	if secs := now.Sub(t.started).Seconds(); secs > 0 && t.last > t.first {
		rate := float64(t.last-t.first) / secs
		fmt.Fprintf(&b, "  %s %s/s", Rate(rate), t.unit)
		if t.total > t.last {
			fmt.Fprintf(&b, "  ETA %s", Short(time.Duration(float64(t.total-t.last)/rate*float64(time.Second))))
		}
	}
	if detail != "" {
		b.WriteString("  " + detail)
	}
	return b.String()
}

// Rate formats a number per second with three significant digits.
func Rate(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.3gM", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.3gk", x/1e3)
	default:
		return strconv.FormatFloat(x, 'f', precision(x), 64)
	}
}

// Short formats a duration as 1h02m, 3m05s or 12s.
func Short(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
}

// Bytes formats a size as B, KiB, MiB or GiB.
func Bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d B", n)
	}
}

// precision returns the decimals that leave about three significant digits.
func precision(x float64) int {
	switch {
	case x >= 100:
		return 0
	case x >= 10:
		return 1
	default:
		return 2
	}
}

// SetTotal changes the total, for work whose size is learnt on the way.
func (t *Task) SetTotal(total int64) {
	if t == nil {
		return
	}
	t.r.mu.Lock()
	t.total = total
	t.r.mu.Unlock()
}
