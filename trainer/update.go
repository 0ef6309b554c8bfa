package trainer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/saint-gnn/saint/loader"
)

// update does one update with the mean gradient of the n next subgraphs of the epoch, the i-th of which
// is the business of device i mod the number of devices. Nothing of the run's state changes before all
// is done.
func (r *run) update(ctx context.Context, phase int, src loader.Source, n uint64) error {
	begin := time.Now()
	u := pending{index: r.Step}
	r.team.keep()
	for u.subgraphs < n {
		if err := r.round(ctx, src, n, &u); err != nil {
			if ctx.Err() != nil {
				r.team.undo()
			}
			return err
		}
	}
	rate := r.schedule.rate(r.Epoch, r.Step, &r.Plateau)
	if u.Nodes > 0 {
		r.team.idle(nil, u.devices)
		if err := r.team.sum(u.devices); err != nil {
			return err
		}
		r.opt.SetLR(rate)
		if err := r.stepper.Update(r.Step); err != nil {
			return err
		}
		if err := r.team.share(); err != nil {
			return err
		}
	}
	r.F1Sum += u.f1
	r.F1Count += u.scored
	r.advance(n)
	r.stepped(&takeOff{epoch: r.Epoch, phase: phase, step: u.index, rate: rate, waited: u.wait, began: begin, sum: u.Step})
	return nil
}

// pending is an update that is not done yet.
type pending struct {
	Step             // sums over the subgraphs so far, and the largest of their peaks
	index     uint64 // of the update
	subgraphs uint64
	devices   int // that had any
	wait      time.Duration
	f1        float64
	scored    int
}

// round gives every device its next subgraph, as long as the update has any.
func (r *run) round(ctx context.Context, src loader.Source, n uint64, u *pending) error {
	tasks, err := r.deal(ctx, src, n, u)
	defer release(tasks)
	if err != nil {
		return err
	}
	if err := r.team.run(tasks); err != nil {
		return err
	}
	for i := range tasks {
		o := &r.team.members[i].outcome
		u.add(o.Step)
		if tasks[i].score != nil && o.Nodes > 0 {
			u.f1 += o.f1
			u.scored++
		}
	}
	u.dealt(len(tasks))
	return nil
}

// deal waits for the next subgraph of every device, as long as the update has any.
func (r *run) deal(ctx context.Context, src loader.Source, n uint64, u *pending) ([]task, error) {
	tasks := r.tasks[:0]
	for u.subgraphs+uint64(len(tasks)) < n && len(tasks) < len(r.team.members) {
		b, err := r.next(ctx, src, u)
		if err != nil {
			return tasks, err
		}
		at := u.subgraphs + uint64(len(tasks))
		t := task{batch: b, draw: r.Drawn + at, share: 1 / float32(n)}
		if (r.InStep+at)%uint64(r.EvalTrainEvery) == 0 {
			t.score = r.scores[len(tasks)]
		}
		tasks = append(tasks, t)
		if b.Repeats {
			break // it has to be released before it comes again
		}
	}
	return tasks, nil
}

// release gives the batches of tasks back.
func release(tasks []task) {
	for _, t := range tasks {
		t.batch.Release()
	}
}

// add counts the outcome of a subgraph.
func (s *Step) add(o Step) {
	s.Loss += o.Loss
	s.WeightSum += o.WeightSum
	s.Nodes, s.Edges = s.Nodes+o.Nodes, s.Edges+o.Edges
	s.PeakBytes, s.SavedBytes = max(s.PeakBytes, o.PeakBytes), max(s.SavedBytes, o.SavedBytes)
}

// dealt counts the subgraphs of a round.
func (u *pending) dealt(n int) {
	u.subgraphs += uint64(n)
	u.devices = max(u.devices, n)
}

// next waits for the next subgraph.
func (r *run) next(ctx context.Context, src loader.Source, u *pending) (*loader.Batch, error) {
	begin := time.Now()
	b, err := src.Next(ctx)
	end := time.Now()
	u.wait += end.Sub(begin)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the source of batches ended early, at step %d", r.Step)
	}
	if err == nil && r.Tracer != nil {
		r.Tracer.Span(LaneCompute, "wait", int64(u.index), begin, end)
	}
	return b, err
}
