package loader

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/samplers"
)

// StageError says which batch could not be made, and where.
type StageError struct {
	Phase int
	Index uint64
	Stage string // sample, normalise, transpose, labels, features or finish
	Err   error  // the cause; a *PanicError if the stage panicked
}

// Error returns batch, stage and cause on one line.
func (e *StageError) Error() string {
	return fmt.Sprintf("batch %d of phase %d: %s: %v", e.Index, e.Phase, e.Stage, e.Err)
}

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// PanicError is a panic in a stage, for example in a user's sampler.
type PanicError struct {
	Value any
	Stack string // the innermost calls, "function (file:line)", innermost first
}

// Error returns the value and where it came from on one line.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v at %s", e.Value, e.Stack) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// worker is the memory that one running task needs; idle ones wait in Pipeline.idle.
type worker struct {
	scratch    samplers.Scratch
	transposer Transposer
	slot       *slot // the one being filled, for scratch.Grow
	stage      string

	number  int // from 0
	index   uint64
	entered time.Time // the stage, where there is a tracer
}

func (p *Pipeline) newWorker(number int) *worker {
	w := &worker{number: number}
	w.scratch.Grow = func(dst *formats.Subgraph, n, m int) { w.slot.grow(&p.arena, dst, n, m) }
	return w
}

// fill makes batch i in s. A panic of a stage becomes an error.
func (p *Pipeline) fill(i uint64, s *slot) (err error) {
	start := time.Now()
	w := <-p.idle // never blocks: there are as many as running tasks
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: shortStack()}
		}
		if err != nil {
			err = &StageError{Phase: p.cfg.Phase, Index: i, Stage: w.stage, Err: err}
			w = p.newWorker(w.number) // whatever state the failed stage left behind goes
		}
		p.busy.Add(int64(time.Since(start)))
		p.idle <- w
	}()
	w.slot, w.stage, w.index = s, "", i
	if invariants.Enabled || s.batch == nil {
		s.batch = new(Batch) // a stale handle then never names a living batch
	}
	b := s.batch
	*b = Batch{Phase: p.cfg.Phase, Index: i, release: s.release}
	return p.stages(w, b)
}

// stages runs the stages in order; w.stage names the current one.
func (p *Pipeline) stages(w *worker, b *Batch) error {
	c, s := &p.cfg, w.slot

	p.enter(w, "sample")
	s.open(&b.Subgraph)
	if err := samplers.DrawAt(c.Sampler, c.Env, c.Seed, c.Phase, b.Index, &w.scratch, &b.Subgraph); err != nil {
		return err
	}
	s.adopt(&p.arena, &b.Subgraph)

	p.enter(w, "normalise")
	c.Norm.Apply(c.Env.Graph, &b.Subgraph)

	if !c.NoTranspose {
		p.enter(w, "transpose")
		p.transpose(w, b)
	}

	p.enter(w, "labels")
	if c.Labels != nil {
		p.labels(s, b)
	}

	p.enter(w, "features")
	if c.Features != nil {
		b.Features = s.features.take(&p.arena, b.NumNodes()*c.Features.Dim())
		if err := c.Features.Gather(b.Features, b.Nodes); err != nil {
			return err
		}
	}
	if invariants.Enabled {
		p.enter(w, "invariants")
		if err := b.row().Check(&p.meta); err != nil {
			return err
		}
	}
	if c.Finish != nil {
		p.enter(w, "finish")
		if err := c.Finish(s.number, b); err != nil {
			return err
		}
	}
	p.enter(w, "")
	return nil
}

func (p *Pipeline) transpose(w *worker, b *Batch) {
	c, s := &p.cfg, w.slot
	n, m := b.NumNodes(), b.NumEdges()
	b.TransPerm, b.TransNorm = s.transPerm.take(&p.arena, m), s.transNorm.take(&p.arena, m)
	if !c.Symmetric {
		b.TransIndptr, b.TransIndices = s.transIndptr.take(&p.arena, n+1), s.transIndices.take(&p.arena, m)
	}
	w.transposer.Apply(b, c.Symmetric)
	if c.Symmetric && n > 0 && &b.TransIndptr[0] != &b.Indptr[0] {
		b.TransIndptr = s.transIndptr.adopt(&p.arena, b.TransIndptr)
		b.TransIndices = s.transIndices.adopt(&p.arena, b.TransIndices)
	}
}

func (p *Pipeline) labels(s *slot, b *Batch) {
	l := p.cfg.Labels
	if !l.IsMulti() {
		b.Class = s.class.take(&p.arena, b.NumNodes())
		for i, v := range b.Nodes {
			b.Class[i] = l.Class[v]
		}
		return
	}
	b.Multi = s.multi.take(&p.arena, b.NumNodes()*l.NumClasses)
	for i, v := range b.Nodes {
		copy(b.Multi[i*l.NumClasses:(i+1)*l.NumClasses], l.Row(v))
	}
}

// shortStack names the calls from the panic outwards to the pipeline. It is called by the
// deferred function that recovered.
func shortStack() string {
	const most = 4
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var calls []string
	for more := true; more && len(calls) < most; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.HasPrefix(f.Function, "runtime.") {
			continue
		}
		function := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		file := f.File[strings.LastIndexByte(f.File, '/')+1:]
		calls = append(calls, fmt.Sprintf("%s (%s:%d)", function, file, f.Line))
	}
	return strings.Join(calls, " < ")
}
