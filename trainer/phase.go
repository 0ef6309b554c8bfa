package trainer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/metric"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// prefetch is how many finished batches wait in front of the trainer: enough to hide one
// slow subgraph.
const prefetch = 2

// uninformedFactor is how far above the loss of a model that knows nothing the first loss
// may be before the user hears of it.
const uninformedFactor = 3

func defaultWorkers() int { return runtime.GOMAXPROCS(0) }

// phase trains the epochs of one phase, from wherever the state stands.
func (r *run) phase(ctx context.Context, i int) error {
	p := &r.phases[i]
	if r.Epoch >= p.end || r.Stopped {
		return nil
	}
	src, err := r.open(ctx, i)
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
	r.task = r.Progress.Start("train", "steps", int64(r.totalSteps()))
	defer r.task.Done()
	for r.Epoch < p.end && !r.Stopped {
		if err := r.epoch(ctx, i, src); err != nil {
			return r.land(err)
		}
	}
	return nil
}

// open starts the batches that are left of a phase.
func (r *run) open(ctx context.Context, i int) (loader.Source, error) {
	p := &r.phases[i]
	// The features are gathered on the device if they lie there, else by the pipeline.
	var feats formats.FeatureStore
	if inMemory(r.Data.Features) == nil {
		feats = r.Data.Features
	}
	cfg := loader.Config{
		Env: r.env, Sampler: p.sampler, Labels: &r.Data.Labels, Features: feats, Symmetric: r.env.Symmetric(),
		Workers: r.Workers, Prefetch: prefetch + len(r.Others) + r.heldBack(), Seed: r.Seed, Phase: i,
		From: uint64(r.Epoch-p.first)*p.steps + r.InStep, To: uint64(p.end-p.first) * p.steps,
		Tracer: r.loaderTracer(), Alloc: r.allocator(),
	}
	if r.Source != nil && feats != nil && r.Config.System.Half {
		return nil, errors.New("feature_dtype f16: what others send comes in single precision, and the features do not lie in memory here; use f32")
	}
	if r.Source != nil {
		begin := time.Now()
		defer func() { r.Times.Norm += time.Since(begin).Seconds() }()
		if err := r.keepWeights(nil); err != nil {
			return nil, err
		}
		return r.Source(ctx, cfg)
	}
	if err := r.prepare(ctx, i); err != nil {
		return nil, err
	}
	var err error
	if cfg.Norm, err = r.norm(ctx, i, cfg.Env); err != nil {
		return nil, err
	}
	if err := r.keepWeights(cfg.Norm); err != nil {
		return nil, err
	}
	if err := r.reserve(ctx, cfg, cfg.Norm); err != nil {
		return nil, err
	}
	return openSource(ctx, cfg)
}

// totalSteps returns the updates of all phases.
func (r *run) totalSteps() uint64 {
	var n uint64
	for _, p := range r.phases {
		n += uint64(p.end-p.first) * ((p.steps + r.accumulate() - 1) / r.accumulate())
	}
	return n
}

// accumulate returns the subgraphs of an update, but for the last of an epoch, which may have fewer.
func (r *run) accumulate() uint64 { return uint64(max(r.Config.Params.Accumulate, 1)) }

// epoch trains the rest of one epoch and, every EvalValEvery epochs and after the last one,
// validates.
func (r *run) epoch(ctx context.Context, i int, src loader.Source) error {
	p := &r.phases[i]
	begin, work, first := time.Now(), r.count(), r.InStep
	for r.InStep < p.steps {
		if err := r.proceed(ctx, i, src); err != nil {
			return err
		}
		if err := r.collect(false); err != nil {
			return err
		}
		if time.Since(r.saved) > r.CheckpointEvery {
			if err := errors.Join(r.settle(0), r.collect(true)); err != nil {
				return err
			}
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	if err := r.settle(0); err != nil {
		return err
	}
	r.logWork(work, p.steps-first)
	e := Epoch{Epoch: r.Epoch, Phase: i, Seconds: time.Since(begin).Seconds()}
	if r.WeightSum > 0 {
		e.TrainLoss = r.LossSum / r.WeightSum
	}
	if r.F1Count > 0 {
		e.TrainF1 = r.F1Sum / float64(r.F1Count)
	}
	r.span(LaneRun, "epoch", r.Epoch, begin)
	if r.OnTrain != nil {
		if err := r.OnTrain(e); err != nil {
			return err
		}
	}
	if (r.Epoch+1)%r.Config.Params.EvalValEvery == 0 || r.Epoch+1 == r.Until {
		if err := r.validate(ctx, &e); err != nil {
			return err
		}
	}
	r.Epoch++
	r.InStep, r.LossSum, r.WeightSum, r.F1Sum, r.F1Count = 0, 0, 0, 0, 0
	return nil
}

// proceed does the next update: with one subgraph, or with several that devices may share.
func (r *run) proceed(ctx context.Context, phase int, src loader.Source) error {
	n := min(r.accumulate(), r.phases[phase].steps-r.InStep)
	switch {
	case r.team.ahead:
		return r.fly(ctx, phase, src, n)
	case r.accumulate() == 1 && len(r.team.members) == 1:
		return r.step(ctx, phase, src)
	}
	return r.update(ctx, phase, src, n)
}

// step does one update. Interruption is looked for between updates only, so that the state
// always stands at a step's boundary.
func (r *run) step(ctx context.Context, phase int, src loader.Source) error {
	begin := time.Now()
	b, err := src.Next(ctx)
	wait := time.Since(begin)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the source of batches ended early, at step %d", r.Step)
	}
	if err != nil {
		return err
	}
	scored := r.InStep%uint64(r.EvalTrainEvery) == 0
	if r.Tracer != nil {
		r.Tracer.Span(LaneCompute, "wait", int64(r.Step), begin, begin.Add(wait))
	}
	t := takeOff{
		epoch: r.Epoch, phase: phase, step: r.Step, waited: wait, began: begin,
		rate: r.schedule.rate(r.Epoch, r.Step, &r.Plateau),
	}
	r.opt.SetLR(t.rate)
	defer b.Release()
	var score Score
	if scored {
		score = r.scores[0]
	}
	st, err := r.stepper.Step(b, r.Step, score)
	if err != nil {
		return err
	}
	if score != nil && st.Nodes > 0 {
		r.F1Sum += r.team.members[0].f1.last
		r.F1Count++
	}
	r.advance(1)
	t.sum = st
	r.stepped(&t)
	return nil
}

// advance moves the run on by an update that took n subgraphs.
func (r *run) advance(n uint64) {
	r.Step++
	r.InStep += n
	r.Drawn += n
}

// stepped takes in the outcome of an update, and tells of it.
func (r *run) stepped(t *takeOff) {
	st := &t.sum
	if t.step == 0 && st.Nodes > 0 {
		r.checkFirstLoss(*st)
	}
	r.LossSum += st.Loss
	r.WeightSum += st.WeightSum
	r.Times.SampleWait += t.waited.Seconds()
	now, began := time.Now(), t.began
	if r.landed.After(began) {
		began = r.landed // the time before is that of the update before
	}
	took := now.Sub(began)
	r.landed = now
	r.Times.Train += took.Seconds()
	r.graphed(took)
	r.latest.loss, r.latest.weight = st.Loss, st.WeightSum
	r.task.SetFunc(int64(t.step+1), r.detail)
	if r.OnStep != nil {
		r.OnStep(StepReport{
			Epoch: t.epoch, Phase: t.phase, Step: t.step, Loss: st.Loss / math.Max(st.WeightSum, 1e-30), LearningRate: t.rate,
			Nodes: st.Nodes, Edges: st.Edges, PeakBytes: st.PeakBytes, Took: took, Waiting: t.waited,
		})
	}
}

// progressText describes the last step.
func (r *run) progressText() string {
	return fmt.Sprintf("epoch %d/%d  loss %.4f  wait %.0f%%", r.Epoch+1, r.Until,
		r.latest.loss/math.Max(r.latest.weight, 1e-30), 100*r.Times.SampleWait/math.Max(r.Times.Train, 1e-9))
}

// checkFirstLoss compares the first loss with that of a model that knows nothing.
func (r *run) checkFirstLoss(st Step) {
	want := r.stepper.loss.Uninformed(r.model.Classes, st.WeightSum)
	if r.InitFrom == "" && st.Loss > uninformedFactor*want {
		r.Log.Warn("the first loss is far above that of a model that knows nothing: look at the labels and the scale of the features",
			"loss", st.Loss, "uninformed", want)
		return
	}
	r.Log.Debug("first loss", "loss", st.Loss, "uninformed", want)
}

// validate scores the model on the whole graph and keeps the best.
func (r *run) validate(ctx context.Context, e *Epoch) error {
	if r.beside != nil {
		if err := r.beside.begin(ctx, r, *e); err != nil || !r.mustKnow() {
			return err
		}
		return r.collect(true)
	}
	begin := time.Now()
	ev, err := r.scorer.Evaluate(ctx, r.model)
	if err != nil {
		return err
	}
	r.Times.Eval += time.Since(begin).Seconds()
	r.span(LaneEvaluation, "validation", r.Epoch, begin)
	return r.accept(e, ev, r.Step)
}

// f1Counter scores training subgraphs; its memory is reused.
type f1Counter struct {
	counts *metric.Confusion
	host   []float32
	onehot []uint8
	last   float64 // what it counted last
}

// scoreOf returns what scores the subgraphs of a member.
func (r *run) scoreOf(m *member) Score {
	return func(b *loader.Batch, logits tensor.Tensor, q tensor.Queue) error {
		return r.scoreBatch(m, b, logits, q)
	}
}

// scoreBatch fetches the logits of a training subgraph and counts its F1.
func (r *run) scoreBatch(m *member, b *loader.Batch, logits tensor.Tensor, q tensor.Queue) error {
	f := &m.f1
	f.host = grow(f.host, logits.Rows*logits.Cols)
	q.Download(logits, bytesOf(f.host))
	if err := q.Sync(); err != nil {
		return err
	}
	r.scoreLogits(f, b, f.host, m.stepper.lossWeights(b))
	return nil
}

// scoreLogits counts the F1 of the nodes that a training subgraph learns from.
func (r *run) scoreLogits(f *f1Counter, b *loader.Batch, logits, weights []float32) {
	l := &r.Data.Labels
	if f.counts == nil {
		f.counts, f.onehot = metric.NewConfusion(l.NumClasses), make([]uint8, l.NumClasses)
	}
	f.counts.Reset()
	cols := l.NumClasses
	for i, v := range b.Nodes {
		if weights[i] == 0 {
			continue // the node is not for training, or the model has seen its label
		}
		row := logits[i*cols : (i+1)*cols]
		if r.scorer.multi {
			f.counts.AddMultiLogits(row, truthRow(l, v, f.onehot))
		} else {
			f.counts.AddLogits(row, l.Class[v])
		}
	}
	f.last = f.counts.F1Micro()
}
