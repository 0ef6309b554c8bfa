// Package workers runs the tasks of one operation on a fixed group of goroutines.
//
// Which task computes what must be fixed by the shapes of the operands alone. Then it does
// not matter who runs a task or when, and results are the same bits for every number of
// threads.
package workers

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Runner is an operation cut into tasks. A long-lived struct that implements it makes
// Group.Do free of allocations, which a closure that captures variables is not.
type Runner interface {
	// RunTask does one task. worker is in [0, Threads()) and no two tasks run with the same
	// worker at the same time within one Do: it selects scratch memory, and results must
	// not depend on it.
	RunTask(worker, task int)
}

// Group is a fixed number of goroutines that work off tasks together with the caller.
//
// Run and Do may be called by several goroutines, also from inside a task: a call that
// finds the group busy runs its tasks by itself, in order.
type Group struct {
	threads int
	busy    atomic.Bool // one call owns the fields below; stays true after Close
	n       int64
	runner  Runner
	next    atomic.Int64
	failed  atomic.Pointer[TaskPanic]
	left    atomic.Int32  // goroutines at work on the current call, and the caller
	done    chan struct{} // capacity 1: told when left becomes 0, if the caller was not the last
	helpers []*helper
	spins   bool           // who waits does so awake at first
	alive   sync.WaitGroup // goroutines started by New
}

// spinTime is how long a goroutine that waits for work, or for others to finish, stays awake:
// going to sleep and being woken takes about as long, and most operations of a step follow one
// another within a few microseconds.
const spinTime = 50 * time.Microsecond

// What a helper is about to do.
const (
	waiting int32 = iota // looks for a call, or works and will look then
	called               // has a call that it has not taken
	asleep               // waits for a message in wake
)

// helper is one goroutine's place, on cache lines of its own.
type helper struct {
	state atomic.Int32
	wake  chan struct{} // capacity 1
	_     [112]byte
}

// TaskPanic is what Run and Do panic with when a task panicked.
type TaskPanic struct {
	Value any    // the task's panic value
	Stack []byte // of the goroutine that ran the task
}

// Error returns the panic value and the stack of the task.
func (p *TaskPanic) Error() string { return fmt.Sprintf("%v\n\ntask %s", p.Value, p.Stack) }

// Unwrap returns the panic value if it is an error, so that errors.As finds typed panics.
func (p *TaskPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// New starts a group of the given number of threads, the caller of Run counted in; 0 means
// all that the process may use (GOMAXPROCS, which respects CPU limits of containers). The
// owner must call Close.
func New(threads int) *Group {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	g := &Group{threads: threads, done: make(chan struct{}, 1), helpers: make([]*helper, threads-1)}
	// With fewer processors than threads, one that waits awake would hold up one that works.
	g.spins = threads <= runtime.GOMAXPROCS(0)
	g.alive.Add(threads - 1)
	for i := range g.helpers {
		g.helpers[i] = &helper{wake: make(chan struct{}, 1)}
		go g.help(i)
	}
	return g
}

// Threads returns the number of threads.
func (g *Group) Threads() int { return g.threads }

// taskFunc makes a function a Runner; the conversion does not allocate.
type taskFunc func(task int)

// RunTask calls the function.
func (f taskFunc) RunTask(_, task int) { f(task) }

// Run calls fn(0) ... fn(n-1), each once, and returns when all have returned. If a task
// panics, tasks not yet begun are skipped and Run panics with a *TaskPanic.
func (g *Group) Run(n int, fn func(task int)) { g.Do(n, taskFunc(fn)) }

// Do is Run for a Runner. It does not allocate.
func (g *Group) Do(n int, r Runner) {
	if n <= 0 {
		return
	}
	if n == 1 || g.threads == 1 || !g.busy.CompareAndSwap(false, true) {
		inline(n, r)
		return
	}
	g.runner, g.n = r, int64(n)
	g.next.Store(0)
	others := min(n, g.threads) - 1
	g.left.Store(int32(others) + 1)
	for _, h := range g.helpers[:others] {
		if h.state.Swap(called) == asleep {
			h.wake <- struct{}{}
		}
	}
	g.work(0)
	// A goroutine that has not begun yet would find nothing left: take its call back rather
	// than wait for it to be scheduled.
	for _, h := range g.helpers[:others] {
		if h.state.CompareAndSwap(called, waiting) {
			g.left.Add(-1)
		}
	}
	g.wait()
	g.runner = nil
	failed := g.failed.Swap(nil)
	g.busy.Store(false)
	if failed != nil {
		panic(failed)
	}
}

// Close ends the goroutines and waits for them. No Run may be active; a later Run works
// without them. Close may be called twice.
func (g *Group) Close() {
	if !g.busy.CompareAndSwap(false, true) {
		return
	}
	for _, h := range g.helpers {
		close(h.wake)
	}
	g.alive.Wait()
}

// wait returns once no goroutine works on the call any more.
func (g *Group) wait() {
	alone := func() bool { return g.left.Load() == 1 }
	if alone() || g.spins && spin(alone) {
		return
	}
	if g.left.Add(-1) > 0 {
		<-g.done
	}
}

func (g *Group) help(i int) {
	defer g.alive.Done()
	h := g.helpers[i]
	for h.next(g.spins) {
		g.work(i + 1)
		if g.left.Add(-1) == 0 {
			g.done <- struct{}{}
		}
	}
}

// next waits for a call and takes it. It reports whether there was one before the end.
func (h *helper) next(spins bool) bool {
	take := func() bool { return h.state.Load() == called && h.state.CompareAndSwap(called, waiting) }
	for {
		if take() || spins && spin(take) {
			return true
		}
		if h.state.CompareAndSwap(waiting, asleep) {
			if _, open := <-h.wake; !open {
				return false
			}
		}
	}
}

// spin asks for a while whether something has come about. In between it makes way for others: the
// thread that it waits for may be one of them, or another run that shares the machine.
func spin(has func() bool) bool {
	for begin := time.Now(); time.Since(begin) < spinTime; {
		for range 64 {
			if has() {
				return true
			}
		}
		yield()
	}
	return false
}

// work claims tasks until none is left.
func (g *Group) work(worker int) {
	defer g.catch()
	for {
		task := g.next.Add(1) - 1
		if task >= g.n {
			return
		}
		g.runner.RunTask(worker, int(task))
	}
}

// catch keeps the first panic of a call and makes the others stop.
func (g *Group) catch() {
	if v := recover(); v != nil {
		g.failed.CompareAndSwap(nil, wrap(v))
		g.next.Store(g.n)
	}
}

func inline(n int, r Runner) {
	defer func() {
		if v := recover(); v != nil {
			panic(wrap(v))
		}
	}()
	for task := range n {
		r.RunTask(0, task)
	}
}

func wrap(v any) *TaskPanic {
	if p, ok := v.(*TaskPanic); ok {
		return p
	}
	return &TaskPanic{Value: v, Stack: debug.Stack()}
}
