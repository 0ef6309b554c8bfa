// Package timeline collects what the parts of a process did when, and writes it in the JSON form
// of trace events that Perfetto (ui.perfetto.dev) and Chrome (chrome://tracing) show as lanes over
// time.
package timeline

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"
)

// laneSpans is how many spans a lane keeps; further ones replace the oldest. A lane then holds
// less than 3 MiB, and a file of ten lanes about 60 MB, which Perfetto still opens well.
const laneSpans = 1 << 16

// Timeline is a set of processes with lanes. Safe for concurrent use.
type Timeline struct {
	start time.Time
	keep  int // spans of a lane

	mu        sync.Mutex
	processes []*Process
}

// New returns an empty timeline whose time 0 is start.
func New(start time.Time) *Timeline { return &Timeline{start: start, keep: laneSpans} }

// Process is a group of lanes that stand together, for example those of one training run.
type Process struct {
	timeline *Timeline
	name     string
	lanes    []*Lane // under the timeline's mutex
}

// Process adds a group; groups stand in the order in which they were added.
func (t *Timeline) Process(name string) *Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &Process{timeline: t, name: name}
	t.processes = append(t.processes, p)
	return p
}

// Lane is one row. Its spans must be nested or apart: the form has no other.
type Lane struct {
	name  string
	start time.Time
	keep  int

	mu    sync.Mutex
	spans []span // a ring once it has keep spans
	next  int    // where the next one goes
	total int64
}

// span is a bar of a lane; times are nanoseconds since the timeline's start.
type span struct {
	name       string
	number     int64
	begin, end int64
}

// Lane adds a row; rows stand in the order in which they were added.
func (p *Process) Lane(name string) *Lane {
	t := p.timeline
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &Lane{name: name, start: t.start, keep: t.keep}
	p.lanes = append(p.lanes, l)
	return l
}

// Span adds a bar. What is drawn is name; number, that of a step or batch, is shown when the bar
// is chosen. name should be one of few: it is kept, not copied.
func (l *Lane) Span(name string, number int64, begin, end time.Time) {
	s := span{name, number, int64(begin.Sub(l.start)), int64(end.Sub(l.start))}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if len(l.spans) < l.keep {
		l.spans = append(l.spans, s)
		return
	}
	l.spans[l.next] = s
	l.next = (l.next + 1) % l.keep
}

// sorted returns the spans from the earliest, outer ones before inner ones, and how many were
// replaced.
func (l *Lane) sorted() (spans []span, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Spans come in the order of their ends, inner ones first.
	for i := range l.spans {
		spans = append(spans, l.spans[(l.next+len(l.spans)-1-i)%len(l.spans)])
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(b.end, a.end))
	})
	return spans, l.total - int64(len(spans))
}

// Dropped returns how many spans were replaced by later ones.
func (t *Timeline) Dropped() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n int64
	for _, p := range t.processes {
		for _, l := range p.lanes {
			l.mu.Lock()
			n += l.total - int64(len(l.spans))
			l.mu.Unlock()
		}
	}
	return n
}

// Write writes everything as one JSON object. It may be called while spans are added.
func (t *Timeline) Write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &file{w: bufio.NewWriterSize(w, 1<<16)}
	f.text(`{"displayTimeUnit":"ms","traceEvents":[`)
	for i, p := range t.processes {
		f.meta("process_name", i+1, 0, p.name)
		f.order("process_sort_index", i+1, 0, i)
		for k, l := range p.lanes {
			spans, dropped := l.sorted()
			name := l.name
			if dropped > 0 {
				name += " (" + strconv.FormatInt(dropped, 10) + " earlier ones left out)"
			}
			f.meta("thread_name", i+1, k+1, name)
			f.order("thread_sort_index", i+1, k+1, k)
			for j := range spans {
				f.span(i+1, k+1, &spans[j])
			}
		}
	}
	f.text("\n]}\n")
	return f.w.Flush()
}

// file writes events; the first error stays in w, whose Flush returns it.
type file struct {
	w    *bufio.Writer
	more bool
	buf  []byte
}

func (f *file) text(s string) { _, _ = f.w.WriteString(s) } // Flush returns the error

// event begins an event of a lane.
func (f *file) event(kind, name string, process, lane int) []byte {
	b := f.buf[:0]
	if f.more {
		b = append(b, ',')
	}
	f.more = true
	b = append(b, "\n{\"ph\":\""...)
	b = append(b, kind...)
	b = append(b, "\",\"name\":"...)
	b = append(b, quote(name)...)
	b = append(b, ",\"pid\":"...)
	b = strconv.AppendInt(b, int64(process), 10)
	b = append(b, ",\"tid\":"...)
	return strconv.AppendInt(b, int64(lane), 10)
}

// finish ends an event.
func (f *file) finish(b []byte) {
	_, _ = f.w.Write(b) // Flush returns the error
	f.buf = b
}

func (f *file) meta(kind string, process, lane int, name string) {
	b := append(f.event("M", kind, process, lane), ",\"args\":{\"name\":"...)
	f.finish(append(append(b, quote(name)...), "}}"...))
}

func (f *file) order(kind string, process, lane, index int) {
	b := append(f.event("M", kind, process, lane), ",\"args\":{\"sort_index\":"...)
	f.finish(append(strconv.AppendInt(b, int64(index), 10), "}}"...))
}

func (f *file) span(process, lane int, s *span) {
	b := append(f.event("X", s.name, process, lane), ",\"ts\":"...)
	b = append(micros(b, s.begin), ",\"dur\":"...)
	b = append(micros(b, max(0, s.end-s.begin)), ",\"args\":{\"number\":"...)
	f.finish(append(strconv.AppendInt(b, s.number, 10), "}}"...))
}

// micros appends nanoseconds as microseconds with all digits: rounding could make neighbours
// overlap.
func micros(b []byte, ns int64) []byte {
	if ns < 0 {
		b, ns = append(b, '-'), -ns
	}
	b = append(strconv.AppendInt(b, ns/1000, 10), '.')
	r := ns % 1000
	return append(b, byte('0'+r/100), byte('0'+r/10%10), byte('0'+r%10))
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string always has a form
	return b
}
