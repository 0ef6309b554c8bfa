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
	wake    []chan struct{} // one per goroutine, capacity 1
	running sync.WaitGroup  // goroutines with a token for the current call
	alive   sync.WaitGroup  // goroutines started by New
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
	g := &Group{threads: threads, wake: make([]chan struct{}, threads-1)}
	g.alive.Add(threads - 1)
	for i := range g.wake {
		g.wake[i] = make(chan struct{}, 1)
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
	g.running.Add(others)
	for _, wake := range g.wake[:others] {
		wake <- struct{}{}
	}
	g.work(0)
	// A goroutine that has not woken up yet would find nothing left: take its token back
	// rather than wait for it to be scheduled.
	for _, wake := range g.wake[:others] {
		select {
		case <-wake:
			g.running.Done()
		default:
		}
	}
	g.running.Wait()
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
	for _, wake := range g.wake {
		close(wake)
	}
	g.alive.Wait()
}

func (g *Group) help(i int) {
	defer g.alive.Done()
	for range g.wake[i] {
		g.work(i + 1)
		g.running.Done()
	}
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
