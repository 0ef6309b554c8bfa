package workers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRunDoesEveryTaskOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 4, 7} {
		g := New(threads)
		for _, n := range []int{0, 1, 2, 3, 6, 7, 8, 1000} {
			done := make([]atomic.Int32, n)
			g.Run(n, func(task int) { done[task].Add(1) })
			for i := range done {
				if got := done[i].Load(); got != 1 {
					t.Errorf("threads %d, n %d: task %d ran %d times, want 1", threads, n, i, got)
				}
			}
		}
		g.Close()
	}
}

func TestThreadsDefault(t *testing.T) {
	g := New(0)
	defer g.Close()
	if got, want := g.Threads(), runtime.GOMAXPROCS(0); got != want {
		t.Errorf("New(0).Threads() = %d, want %d", got, want)
	}
}

type exclusive struct {
	busy []atomic.Bool
	bad  atomic.Int32
}

func (e *exclusive) RunTask(worker, _ int) {
	if !e.busy[worker].CompareAndSwap(false, true) {
		e.bad.Add(1)
	}
	runtime.Gosched()
	e.busy[worker].Store(false)
}

func TestWorkerIsExclusive(t *testing.T) {
	g := New(4)
	defer g.Close()
	e := &exclusive{busy: make([]atomic.Bool, 4)}
	for range 50 {
		g.Do(100, e)
	}
	if n := e.bad.Load(); n != 0 {
		t.Errorf("%d tasks shared a worker number with a running task", n)
	}
}

func TestNestedAndConcurrentRuns(t *testing.T) {
	g := New(4)
	defer g.Close()
	var count atomic.Int64
	g.Run(10, func(int) { g.Run(10, func(int) { count.Add(1) }) })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				g.Run(10, func(int) { count.Add(1) })
			}
		})
	}
	wg.Wait()
	if got := count.Load(); got != 900 {
		t.Errorf("%d tasks ran, want 900", got)
	}
}

// Calls that follow one another at any pace find helpers awake, falling asleep and asleep, and all
// of their tasks are done once, also where many groups want the same processors.
func TestPauses(t *testing.T) {
	const groups, calls = 6, 400
	var wg sync.WaitGroup
	for k := range groups {
		wg.Go(func() {
			g := New(2 + k%3)
			defer g.Close()
			r := rand.New(rand.NewPCG(uint64(k), 1))
			done := make([]atomic.Int32, 40)
			for call := range calls {
				n := 1 + r.IntN(len(done))
				g.Run(n, func(task int) { done[task].Add(1) })
				for task := range done {
					if got := done[task].Swap(0); (got == 1) != (task < n) || got > 1 {
						t.Errorf("call %d of %d tasks: task %d was done %d times", call, n, task, got)
						return
					}
				}
				if pause := time.Duration(r.IntN(3)) * spinTime / 2; pause > 0 {
					time.Sleep(pause)
				}
			}
		})
	}
	wg.Wait()
}

type boom struct{ task int }

func (b boom) Error() string { return fmt.Sprint("boom ", b.task) }

func TestPanicReachesCaller(t *testing.T) {
	for _, threads := range []int{1, 4} {
		g := New(threads)
		for _, n := range []int{1, 64} {
			err := recoverError(func() {
				g.Run(n, func(task int) {
					g.Run(2, func(int) { panic(boom{task}) })
				})
			})
			var b boom
			if !errors.As(err, &b) {
				t.Errorf("threads %d, n %d: recovered %v, want a boom", threads, n, err)
			}
		}
		var count atomic.Int64
		g.Run(64, func(int) { count.Add(1) })
		if got := count.Load(); got != 64 {
			t.Errorf("threads %d: after a panic %d tasks ran, want 64", threads, got)
		}
		g.Close()
	}
}

func recoverError(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

func TestCloseEndsHelpers(t *testing.T) {
	before := runtime.NumGoroutine()
	g := New(8)
	g.Run(100, func(int) {})
	g.Close()
	g.Close()
	// A helper that has reported its end may still be on its way out of its function.
	after := runtime.NumGoroutine()
	for deadline := time.Now().Add(5 * time.Second); after > before && time.Now().Before(deadline); after = runtime.NumGoroutine() {
		time.Sleep(time.Millisecond)
	}
	if after > before {
		t.Errorf("%d goroutines after Close, %d before New", after, before)
	}
	var count int
	g.Run(3, func(int) { count++ })
	if count != 3 {
		t.Errorf("after Close %d tasks ran, want 3", count)
	}
}

type nothing struct{ sum [8]int64 }

func (r *nothing) RunTask(worker, task int) { r.sum[worker] += int64(task) }

func TestDoDoesNotAllocate(t *testing.T) {
	g := New(4)
	defer g.Close()
	r := &nothing{}
	if n := testing.AllocsPerRun(100, func() { g.Do(16, r) }); n != 0 {
		t.Errorf("Do allocates %v times, want 0", n)
	}
}

func TestRowsByNNZ(t *testing.T) {
	star := make([]int32, 1001) // row 0 has all non-zeros
	for i := 1; i < len(star); i++ {
		star[i] = 100000
	}
	even := make([]int32, 1001)
	for i := range even {
		even[i] = int32(i*50 + 17)
	}
	tests := []struct {
		name   string
		indptr []int32
	}{
		{"no rows", []int32{0}},
		{"nothing", nil},
		{"one row", []int32{0, 5}},
		{"empty rows", make([]int32, 101)},
		{"star", star},
		{"even", even},
	}
	for _, tt := range tests {
		for _, parts := range []int{1, 2, 3, 16, 200} {
			next := 0
			for i := range parts {
				lo, hi := RowsByNNZ(tt.indptr, parts, i)
				if lo != next || hi < lo {
					t.Errorf("%s: RowsByNNZ(_, %d, %d) = %d, %d, want it to begin at %d", tt.name, parts, i, lo, hi, next)
				}
				next = hi
				if tt.name == "even" && hi-lo > 1000/parts+2 {
					t.Errorf("even: part %d of %d has %d rows", i, parts, hi-lo)
				}
			}
			if want := max(len(tt.indptr)-1, 0); next != want {
				t.Errorf("%s: %d parts end at row %d, want %d", tt.name, parts, next, want)
			}
		}
	}
}

func BenchmarkDo(b *testing.B) {
	g := New(0)
	defer g.Close()
	r := &nothing{}
	for b.Loop() {
		g.Do(g.Threads(), r)
	}
}
