package trainer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// ErrInterrupted is returned by Train when its context ended and everything was saved.
var ErrInterrupted = errors.New("interrupted")

// Epoch is what a validation reports.
type Epoch struct {
	Epoch, Phase int
	TrainLoss    float64 // weighted mean over the nodes of the epoch's subgraphs
	TrainF1      float64 // mean over the epoch's scored subgraphs
	Val, Test    Scores
	Best         bool // better than every validation before
	Seconds      float64
}

// Result is the outcome of a run.
type Result struct {
	Epochs    int // trained in total
	BestEpoch int // -1: no validation
	Val, Test Scores
	LastTest  Scores
	Params    int64
	Times     Times
}

// Options describe a run.
type Options struct {
	Data    *formats.Dataset
	Config  *trainconfig.Config
	Backend tensor.Backend
	Others  []tensor.Backend // devices of the same kind, which share the subgraphs of every update
	Seed    uint64

	MaxEpochs       int           // cap over all phases; 0: none
	Workers         int           // sampler goroutines; 0: one a core
	EvalTrainEvery  int           // steps between scores of the training subgraph; 0: 15
	CheckpointEvery time.Duration // 0: 5 minutes
	EvalMemory      int64         // what an evaluation may take beside the data, in bytes; 0: no bound
	ROCAUC          bool          // the data set's metric is the ROC-AUC
	InitFrom        string        // parameter file to start from
	CacheDir        string        // where normalisations are shared between runs; "": nowhere
	LoadSeconds     float64       // what loading the data took, for the times
	Started         time.Time     // when the command began; zero: now

	// Source, if set, opens the batches of a phase in place of loader.Open and of estimating
	// the normalisation here: the configuration it gets has no Norm. What it returns must
	// deliver what loader.Open would, bit for bit.
	Source func(ctx context.Context, c loader.Config) (loader.Source, error)

	Dir    RunDir // where checkpoints go; nil: nowhere
	Resume bool   // go on from Dir's last checkpoint

	// EvalBackend, if set, is another device, which validates while training goes on. Scores and
	// checkpoints are those of validating on that device; they are told some steps later.
	EvalBackend tensor.Backend

	Features Placement // where the features lie if Backend has memory of its own

	Log      *slog.Logger            // nil: nowhere
	Progress *progress.Reporter      // nil: nowhere
	OnEpoch  func(Epoch) error       // told every validation; may be nil
	OnTrain  func(Epoch) error       // told every epoch before it is validated, without scores; may be nil
	OnStep   func(StepReport)        // told every step; may be nil
	OnNorm   func(drawn, want int64) // nodes; told on the way of estimating a normalisation, from any goroutine; may be nil
	Tracer   Tracer                  // learns where the time goes; may be nil
	OnResume func(epoch int) error   // told the first epoch that is trained again; may be nil
}

// RunDir is the part of a run's folder that training writes.
type RunDir interface {
	// NormPath is where the normalisation of a phase is kept.
	NormPath(phase int) string
	// BestPath, LastPath and StatePath are those of the checkpoints.
	BestPath() string
	LastPath() string
	StatePath() string
}

// Train runs all phases of the configuration and returns the scores. When ctx ends it saves
// and returns an error that wraps ErrInterrupted; after any other error the last checkpoint
// is what it was. Given the same options, data and
// instruction set it produces the same parameters, bit for bit, whatever Workers is and
// however often it was interrupted.
func Train(ctx context.Context, o Options) (*Result, error) {
	r, err := newRun(o)
	if err != nil {
		return nil, plainly("before the first step", err)
	}
	defer r.close()
	if err := r.start(); err != nil {
		return nil, plainly("before the first step", err)
	}
	for i := range r.phases {
		if err := r.phase(ctx, i); err != nil {
			return nil, r.stop(err)
		}
	}
	res, err := r.finish(ctx)
	if err != nil {
		return nil, r.stop(err)
	}
	return res, nil
}

// run is a training run in progress.
type run struct {
	Options
	state
	model    *Model
	opt      optim.Optimizer
	arena    tensor.Arena
	stepper  *Stepper
	eval     *Evaluator
	scorer   *Scorer
	team     *team   // the stepper's device and all others
	beside   *beside // nil: the device that trains validates, too
	pinned   *pinned // where batches live; nil: anywhere
	phases   []phase
	schedule schedule
	began    time.Time
	saved    time.Time
	before   Times // of the earlier parts of a resumed run
	task     *progress.Task
	detail   func() string                  // of the task's line
	latest   struct{ loss, weight float64 } // of the last update whose outcome is there
	flying   []leg                          // what was queued and has no outcome yet
	spare    [][]float32                    // memory for the weights of legs
	landed   time.Time                      // when the last outcome came
	grounded []*takeOff                     // memory of updates that are done
	graphs   graphs
	taken    bool // a phase has all memory that was planned
	pageable bool // it was said that page-locked memory has run out

	env    samplers.Env
	scores []Score // of the devices
	tasks  []task  // its memory is reused
}

// phase is a phase of the configuration, ready to draw from.
type phase struct {
	sampler samplers.Sampler
	first   int    // first epoch
	end     int    // last epoch, exclusive, after the cap
	steps   uint64 // subgraphs per epoch
	config  *trainconfig.Phase
}

// newRun builds everything that needs no long work.
func newRun(o Options) (*run, error) {
	if o.Workers < 1 {
		o.Workers = defaultWorkers()
	}
	if o.EvalTrainEvery < 1 {
		o.EvalTrainEvery = 15
	}
	if o.CheckpointEvery <= 0 {
		o.CheckpointEvery = 5 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = progress.New(io.Discard, progress.Off, 0)
	}
	if o.Resume && o.Dir == nil {
		return nil, errors.New("resume: no run folder to resume from")
	}
	r := &run{Options: o, began: time.Now()}
	if !o.Started.IsZero() {
		r.began = o.Started
	}
	r.saved = time.Now()
	r.detail = r.progressText // made once, so that a step allocates nothing
	if err := CheckLabels(o.Config, &o.Data.Labels); err != nil {
		return nil, err
	}
	if err := CheckOptions(o.Config, o.Data); err != nil {
		return nil, err
	}
	var err error
	if r.Data, err = withInputs(o.Config, o.Data); err != nil {
		return nil, err
	}
	if err := r.placeFeatures(); err != nil {
		return nil, err
	}
	if err := r.buildPhases(); err != nil {
		return nil, err
	}
	if err := r.buildModel(); err != nil {
		r.close()
		return nil, err
	}
	if err := o.Config.CheckUsed(); err != nil {
		r.close()
		return nil, err
	}
	r.Identity = identity{Version: stateVersion, Seed: o.Seed, ConfigHash: o.Config.Hash(), Data: o.Data.Fingerprint, Device: DeviceNames(o.Backend, o.Others)}
	r.Best, r.Until = -1, r.phases[len(r.phases)-1].end
	return r, nil
}

func (r *run) buildPhases() error {
	r.env = samplers.NewEnv(r.Data.Train, r.Data.TrainNodes)
	env := r.env
	first := 0
	for i := range r.Config.Phases {
		p := &r.Config.Phases[i]
		s, err := NewSampler(p, env)
		if err != nil {
			return err
		}
		end := p.End
		if r.MaxEpochs > 0 {
			end = min(end, r.MaxEpochs)
		}
		if end > first {
			r.phases = append(r.phases, phase{sampler: s, first: first, end: end, steps: uint64(samplers.BatchesPerEpoch(s, env)), config: p})
		}
		first = max(first, end)
	}
	return nil
}

// NewSampler builds the sampler of a phase; its errors carry the place in the configuration.
func NewSampler(p *trainconfig.Phase, env samplers.Env) (samplers.Sampler, error) {
	params := &askedParams{Section: p.Params}
	s, err := samplers.New(p.Sampler, env, params)
	var placed *trainconfig.Error
	switch {
	case err == nil:
		return s, nil
	case errors.As(err, &placed):
		return nil, placed
	case params.asked:
		// A key that the sampler misses was most likely mistyped.
		if unknown := p.Params.Unused(); unknown != nil {
			return nil, unknown
		}
	}
	at := "sampler"
	for _, kv := range p.Params.Values() {
		if strings.Contains(err.Error(), kv[0]+" is ") {
			at = kv[0]
		}
	}
	return nil, p.Params.Errorf(at, "%v", err)
}

// askedParams notes whether a sampler has got as far as reading its keys.
type askedParams struct {
	*trainconfig.Section
	asked bool
}

// Decode passes the keys on.
func (a *askedParams) Decode(into any) error {
	a.asked = true
	return a.Section.Decode(into)
}

func (r *run) buildModel() (err error) {
	d := r.Data
	bytes, err := r.modelBytes()
	if err != nil {
		return err
	}
	if r.model, err = modelIn(r.Config, d.Features.Dim(), d.Labels.NumClasses, r.Backend, r.Seed, bytes); err != nil {
		return err
	}
	if r.arena, err = r.Backend.NewArena(); err != nil {
		return err
	}
	if err := r.buildOptimizer(); err != nil {
		return err
	}
	if ps := r.model.Seq.Params(); len(ps) > 0 && (ps[0].Value.Type == tensor.F64) != r.Config.Params.Double {
		return fmt.Errorf("%s: the configuration asks for another precision than %s has", r.Config.Name, r.Backend.Device())
	}
	resident := inMemory(d.Features)
	if r.stepper, err = NewStepper(r.model, r.opt, r.arena, resident, r.Seed, WithActivations(ActivationStore(r.Config.Params.Activations)), WithLabels(r.Config.Params.Inputs)); err != nil {
		return err
	}
	r.stepper.SetTracer(r.Tracer)
	if err := r.smoothLoss(r.stepper); err != nil {
		return err
	}
	if err := r.newTeam(); err != nil {
		return err
	}
	for _, m := range r.team.members {
		if err := m.stepper.KeepLabels(&d.Labels); err != nil {
			return err
		}
		r.scores = append(r.scores, r.scoreOf(m))
	}
	r.useGraphs()
	return r.buildEvaluation()
}

func (r *run) buildOptimizer() error {
	q, err := r.Backend.NewQueue()
	if err != nil {
		return err
	}
	r.schedule = newSchedule(r.Config)
	r.opt, err = NewOptimizer(&r.Config.Params, r.model.arena, q, r.model.Seq.Params())
	return errors.Join(err, q.Sync(), q.Close())
}

// close frees what newRun made; it may have made only part of it.
func (r *run) close() {
	if r.beside != nil {
		r.beside.close()
	}
	if r.team != nil {
		r.team.close()
	}
	if r.stepper != nil {
		_ = r.stepper.Close() // nothing is queued, so nothing can fail
	}
	if r.eval != nil {
		_ = r.eval.Close() // likewise
	}
	if r.arena != nil {
		_ = r.arena.Close() // unmapping our own memory
	}
	if r.model != nil {
		_ = r.model.Close() // likewise
	}
}

// start restores a checkpoint or the parameters to begin with.
func (r *run) start() error {
	if !r.Resume {
		return errors.Join(r.initial(), r.team.share())
	}
	if err := errors.Join(r.restore(), r.team.share()); err != nil {
		return err
	}
	if r.OnResume != nil {
		return r.OnResume(r.Epoch)
	}
	return nil
}

// stop ends a run early: an interrupted one is saved.
func (r *run) stop(err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		if r.Step == 0 && len(r.flying) == 0 && !r.taken {
			return plainly("before the first step", err)
		}
		return plainly(fmt.Sprintf("epoch %d, step %d", r.Epoch, r.Step), err)
	}
	if err := r.collect(true); err != nil {
		return fmt.Errorf("interrupted, but the validation under way failed: %w", err)
	}
	if e := r.save(); e != nil {
		return fmt.Errorf("interrupted, but the state could not be saved: %w", e)
	}
	return fmt.Errorf("%w after epoch %d, step %d", ErrInterrupted, r.Epoch, r.Step)
}

// finish saves the last state and gathers the result.
func (r *run) finish(ctx context.Context) (*Result, error) {
	if err := r.collect(true); err != nil {
		return nil, err
	}
	if !r.HasLast {
		// Every epoch was trained before, or there was none to train.
		if err := r.scoreLast(ctx); err != nil {
			return nil, err
		}
	}
	r.Done = true
	if err := r.save(); err != nil {
		return nil, err
	}
	return &Result{
		Epochs: r.Epoch, BestEpoch: r.Best, Val: r.BestVal, Test: r.BestTest, LastTest: r.LastTest,
		Params: r.model.NumParams(), Times: r.times(),
	}, nil
}

// times returns the seconds of all parts of the run, from one interruption to the next.
func (r *run) times() Times {
	t := r.Times
	t.Load = r.before.Load + r.LoadSeconds
	t.Total = r.before.Total + time.Since(r.began).Seconds()
	return t
}
