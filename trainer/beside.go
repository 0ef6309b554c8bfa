package trainer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// beside validates on a device of its own while training goes on: it has a copy of the model, which
// gets the weights of the epoch. One validation is under way at a time.
type beside struct {
	model  *Model
	arena  tensor.Arena
	q      tensor.Queue
	eval   *Evaluator
	scorer *Scorer
	host   []float32

	pending *validation // nil: none is under way
}

// validation is one that is under way. Only its goroutine touches ev, err and ended before done is
// closed.
type validation struct {
	epoch  Epoch
	step   uint64
	began  time.Time
	cancel context.CancelFunc
	done   chan struct{}

	ev    *Evaluation
	err   error
	ended time.Time
}

// buildEvaluation makes what validates.
func (r *run) buildEvaluation() (err error) {
	d := r.Data
	if r.EvalBackend == nil {
		if r.eval, err = NewEvaluator(d.Full, d.Features, r.Backend, r.arena); err != nil {
			return err
		}
		r.eval.Lend(r.stepper.feats)
		r.eval.Bound(r.EvalMemory)
		if err := r.eval.Check(r.model); err != nil {
			return err
		}
		if r.scorer, err = NewScorer(d, r.eval, r.model.Loss, r.ROCAUC); err == nil {
			r.scorer.LendLabels(r.stepper.tables.labels)
		}
		return err
	}
	s := &beside{}
	r.beside = s
	if s.model, err = NewModel(r.Config, d.Features.Dim(), d.Labels.NumClasses, r.EvalBackend, r.Seed); err != nil {
		return err
	}
	if s.arena, err = r.EvalBackend.NewArena(); err != nil {
		return err
	}
	if s.q, err = r.EvalBackend.NewQueue(); err != nil {
		return err
	}
	if s.eval, err = NewEvaluator(d.Full, d.Features, r.EvalBackend, s.arena); err != nil {
		return err
	}
	s.eval.Bound(r.EvalMemory)
	if err := s.eval.Check(s.model); err != nil {
		return err
	}
	s.scorer, err = NewScorer(d, s.eval, s.model.Loss, r.ROCAUC)
	r.scorer = s.scorer
	return err
}

// close ends a validation under way and frees everything.
func (s *beside) close() {
	if s.pending != nil {
		s.pending.cancel()
		<-s.pending.done
	}
	if s.eval != nil {
		_ = s.eval.Close() // nothing is queued, so nothing can fail
	}
	if s.q != nil {
		_ = s.q.Close() // likewise
	}
	if s.arena != nil {
		_ = s.arena.Close() // likewise
	}
	if s.model != nil {
		_ = s.model.Close() // likewise
	}
}

// begin starts the validation of the epoch's weights, once the one before has ended. It does not
// end with ctx: interrupted or not, an epoch that was trained is validated.
func (s *beside) begin(ctx context.Context, r *run, e Epoch) error {
	if err := r.collect(true); err != nil {
		return err
	}
	if err := s.copyWeights(r); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	v := &validation{epoch: e, step: r.Step, began: time.Now(), cancel: cancel, done: make(chan struct{})}
	s.pending = v
	go func() {
		defer close(v.done)
		v.ev, v.err = s.scorer.Evaluate(ctx, s.model)
		v.ended = time.Now()
	}()
	return nil
}

// copyWeights gives the copy of the model the weights of now.
func (s *beside) copyWeights(r *run) error {
	own := s.model.Seq.Params()
	for i, p := range r.model.Seq.Params() {
		s.host = Download(r.stepper.q, p.Value, s.host)
		if err := r.stepper.q.Sync(); err != nil {
			return fmt.Errorf("weights to validate: %w", err)
		}
		s.q.Upload(bytesOf(s.host), own[i].Value)
		if err := s.q.Sync(); err != nil {
			return fmt.Errorf("weights to validate: %w", err)
		}
	}
	return nil
}

// collect takes in the validation under way, if there is one: with wait set once it has ended, else
// if it has.
func (r *run) collect(wait bool) error {
	if r.beside == nil || r.beside.pending == nil {
		return nil
	}
	v := r.beside.pending
	if !wait {
		select {
		case <-v.done:
		default:
			return nil
		}
	}
	<-v.done
	v.cancel()
	r.beside.pending = nil
	if v.err != nil {
		return v.err
	}
	r.Times.Eval += v.ended.Sub(v.began).Seconds()
	if r.Tracer != nil {
		r.Tracer.Span(LaneEvaluation, "validation", int64(v.epoch.Epoch), v.began, v.ended)
	}
	return r.accept(&v.epoch, v.ev, v.step)
}

// mustKnow reports whether the next epoch depends on the scores of this one.
func (r *run) mustKnow() bool {
	return r.Config.Params.Patience > 0 || r.Config.Params.Schedule.Kind == "plateau"
}

// accept keeps the best of the validations and tells this one, of the weights after so many steps.
func (r *run) accept(e *Epoch, ev *Evaluation, step uint64) error {
	e.Val, e.Test = ev.Val, ev.Test
	// Without validation nodes nothing tells epochs apart: the latest counts as best.
	e.Best = !r.HasBest || ev.Val.F1Micro > r.BestVal.F1Micro || ev.Val.Nodes == 0
	r.LastTest, r.HasLast = ev.Test, true
	if e.Best {
		r.HasBest, r.Best, r.BestVal, r.BestTest = true, e.Epoch, ev.Val, ev.Test
		if r.Dir != nil {
			if err := r.saveBest(e.Epoch, step); err != nil {
				return err
			}
		}
	}
	if r.OnEpoch != nil {
		if err := r.OnEpoch(*e); err != nil {
			return err
		}
	}
	r.observe(e)
	return nil
}

// saveBest writes the weights that were validated.
func (r *run) saveBest(epoch int, step uint64) error {
	m, q := r.model, r.stepper.q
	if r.beside != nil {
		m, q = r.beside.model, r.beside.q
	}
	ts, err := download(q, nil, m.Seq.Params(), nil)
	if err != nil {
		return err
	}
	return safetensors.WriteFile(r.Dir.BestPath(), ts, r.metadata(epoch, step))
}

// scoreLast scores the final weights, where no validation has.
func (r *run) scoreLast(ctx context.Context) error {
	if r.beside == nil {
		ev, err := r.scorer.Evaluate(ctx, r.model)
		if err == nil {
			r.LastTest, r.HasLast = ev.Test, true
		}
		return err
	}
	s := r.beside
	if err := s.copyWeights(r); err != nil {
		return err
	}
	ev, err := s.scorer.Evaluate(ctx, s.model)
	if err == nil {
		r.LastTest, r.HasLast = ev.Test, true
	}
	return err
}

// plainly leaves of an error that a device caused by failing nothing but that: where, and what the
// device says. What operations made of it afterwards would hide it.
func plainly(where string, err error) error {
	var few *tensor.OutOfMemoryError
	var lost *tensor.LostError
	switch {
	case errors.As(err, &lost):
		return fmt.Errorf("%s: %w", where, lost)
	case errors.As(err, &few):
		return fmt.Errorf("%s: %w", where, few)
	}
	return err
}
