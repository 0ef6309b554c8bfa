package timeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// event is one of a file.
type event struct {
	Ph, Name string
	Pid, Tid int
	Ts, Dur  json.Number
	Args     struct {
		Name   string
		Number int64
	}
}

// read returns the events of a timeline.
func read(t *testing.T, tl *Timeline) []event {
	t.Helper()
	var b bytes.Buffer
	if err := tl.Write(&b); err != nil {
		t.Fatal(err)
	}
	var f struct{ TraceEvents []event }
	if err := json.Unmarshal(b.Bytes(), &f); err != nil {
		t.Fatalf("the file does not parse: %v\n%s", err, b.Bytes())
	}
	return f.TraceEvents
}

func TestWrite(t *testing.T) {
	start := time.Now()
	at := func(ns int) time.Time { return start.Add(time.Duration(ns)) }
	tl := New(start)
	run := tl.Process("a <run> \"x\"\n\xff")
	compute, worker := run.Lane("compute"), run.Lane("worker 0")
	compute.Span("forward", 7, at(1000), at(2500))
	compute.Span("backward", 7, at(2500), at(2999))
	compute.Span("step", 7, at(1000), at(2999))
	compute.Span("wait", 8, at(2999), at(2999))
	worker.Span("sample", 1, at(-1), at(1234567))
	other := tl.Process("second")
	other.Lane("empty")
	var got []string
	for _, e := range read(t, tl) {
		switch e.Ph {
		case "X":
			got = append(got, fmt.Sprintf("%d/%d %s %d %s+%s", e.Pid, e.Tid, e.Name, e.Args.Number, e.Ts, e.Dur))
		case "M":
			if strings.HasSuffix(e.Name, "_name") {
				got = append(got, fmt.Sprintf("%d/%d %q", e.Pid, e.Tid, e.Args.Name))
			}
		}
	}
	want := []string{
		`1/0 "a <run> \"x\"\n�"`, `1/1 "compute"`,
		"1/1 step 7 1.000+1.999", "1/1 forward 7 1.000+1.500", "1/1 backward 7 2.500+0.499", "1/1 wait 8 2.999+0.000",
		`1/2 "worker 0"`, "1/2 sample 1 -0.001+1234.568", `2/0 "second"`, `2/1 "empty"`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestBounded: a lane keeps its latest spans, and says how many it has lost.
func TestBounded(t *testing.T) {
	start := time.Now()
	tl := New(start)
	tl.keep = 10
	run := tl.Process("run")
	busy, rare := run.Lane("busy"), run.Lane("rare")
	rare.Span("normalisation", 0, start, start)
	for i := range 25 {
		busy.Span("step", int64(i), start.Add(time.Duration(i)), start.Add(time.Duration(i+1)))
	}
	var numbers []int64
	var names []string
	for _, e := range read(t, tl) {
		switch {
		case e.Ph == "X":
			numbers = append(numbers, e.Args.Number)
		case e.Name == "thread_name":
			names = append(names, e.Args.Name)
		}
	}
	if got, want := fmt.Sprint(numbers), "[15 16 17 18 19 20 21 22 23 24 0]"; got != want {
		t.Errorf("spans kept = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(names), "[busy (15 earlier ones left out) rare]"; got != want {
		t.Errorf("lanes = %s, want %s", got, want)
	}
	if got := tl.Dropped(); got != 15 {
		t.Errorf("Dropped() = %d, want 15", got)
	}
}

// TestConcurrent: lanes are written while they grow.
func TestConcurrent(t *testing.T) {
	tl := New(time.Now())
	var wg sync.WaitGroup
	for i := range 4 {
		lane := tl.Process("run").Lane(fmt.Sprint(i))
		wg.Go(func() {
			for k := range 2000 {
				now := time.Now()
				lane.Span("step", int64(k), now, now)
			}
		})
	}
	for range 5 {
		read(t, tl)
	}
	wg.Wait()
	if got := len(read(t, tl)); got != 4*(4+2000) {
		t.Errorf("%d events, want %d", got, 4*(4+2000))
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriteFails(t *testing.T) {
	tl := New(time.Now())
	tl.Process("run").Lane("lane").Span("a", 0, time.Now(), time.Now())
	if err := tl.Write(full{}); err == nil {
		t.Error("Write to a full disk = nil, want an error")
	}
}

func BenchmarkSpan(b *testing.B) {
	lane := New(time.Now()).Process("run").Lane("lane")
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		lane.Span("step", 1, now, now)
	}
}
