package trainer

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Step is the outcome of one weight update.
type Step struct {
	Loss         float64 // sum over the batch of lambda_v times the node's loss, before the update
	WeightSum    float64 // sum of lambda_v: what the loss is an average over
	Nodes, Edges int
	PeakBytes    int64 // high-water mark of the step's arena
	SavedBytes   int64 // what the store held at the turn from forward to backward
}

// Stepper does weight updates of one model. In the steady state it allocates nothing. It is
// not safe for concurrent use.
type Stepper struct {
	model *Model
	opt   optim.Optimizer
	loss  loss.Loss
	arena tensor.Arena
	q     tensor.Queue
	store nn.Store
	place placer
	ctx   nn.Context
	feats tensor.Tensor // all rows on the device; absent: batches bring theirs

	fwd, back tensor.CSR
	lossT     tensor.Tensor
	lossHost  []float32
}

// NewStepper returns a stepper that draws dropout masks from seed and allocates a step's
// tensors in arena, which is empty between steps. feats must be Resident or nil: then the
// batches bring their rows.
func NewStepper(m *Model, opt optim.Optimizer, arena tensor.Arena, feats formats.Resident, seed uint64) (*Stepper, error) {
	l, err := loss.New(m.Loss)
	if err != nil {
		return nil, err
	}
	q, err := m.Backend.NewQueue()
	if err != nil {
		return nil, err
	}
	s := &Stepper{
		model: m, opt: opt, loss: l, arena: arena, q: q, store: actmem.NewKeep(arena),
		place: placer{b: m.Backend}, lossHost: make([]float32, 1), lossT: m.arena.Alloc(tensor.F32, 1, 1),
	}
	s.ctx = nn.Context{Q: q, A: arena, Store: s.store, Train: true, Seed: seed}
	if feats != nil {
		err = m.Backend.Import(&s.feats, tensor.F32, feats.Rows(), feats.Dim(), bytesOf(feats.Matrix()))
	}
	return s, errors.Join(err, m.arena.Err())
}

// Close frees the stepper's queue.
func (s *Stepper) Close() error { return s.q.Close() }

// Score receives the logits of a step before its update, as n×C host values that are valid
// during the call.
type Score func(b *loader.Batch, logits tensor.Tensor, q tensor.Queue) error

// Step does the update number index (counted over the whole run, from 0) on b. score may be
// nil. A panic of a layer comes back as an error that names the layer; a loss or gradient
// that is not finite comes back as an error that says where it began, and the model is then
// unusable.
func (s *Stepper) Step(b *loader.Batch, index uint64, score Score) (st Step, err error) {
	defer s.reset()
	defer func() {
		if p := recover(); p != nil {
			err = &LayerPanic{Step: index, Batch: b.Index, Layer: s.model.Seq.Name(s.ctx.Layer), Value: p, Stack: string(debug.Stack())}
		}
	}()
	s.ctx.Step = index
	s.arena.ResetPeak()
	x, graph := s.inputs(b)
	logits := s.model.Seq.Forward(&s.ctx, graph, x)
	s.arena.Release(x) // the store holds what the backward pass needs of it
	dlogits := s.arena.Alloc(tensor.F32, logits.Rows, logits.Cols)
	s.loss.Eval(s.q, logits, s.target(b), s.place.column(s.arena, s.q, slotWeight, b.LossNorm), s.lossT, dlogits)
	if score != nil {
		if err := score(b, logits, s.q); err != nil {
			return st, err
		}
	}
	s.arena.Release(logits)
	st = Step{Nodes: b.NumNodes(), Edges: b.NumEdges(), SavedBytes: s.store.Bytes(), WeightSum: sum(b.LossNorm)}
	if st.Loss, err = s.lossNow(); err != nil || !finite(st.Loss) {
		return st, s.notFinite("loss", st.Loss, b, index, err)
	}
	s.model.Seq.Backward(&s.ctx, graph, dlogits, false)
	s.arena.Release(dlogits)
	if err := s.opt.Step(s.q, s.model.Seq.Params()); err != nil {
		return st, err
	}
	s.place.done(s.arena)
	st.PeakBytes = s.arena.Peak()
	return st, s.finish(graph, b, index)
}

// inputs places the batch on the device.
func (s *Stepper) inputs(b *loader.Batch) (tensor.Tensor, nn.Local) {
	n := b.NumNodes()
	if len(b.Nodes) == 0 {
		panic("the batch has no nodes")
	}
	var x tensor.Tensor
	if s.feats.Present() {
		x = s.arena.Alloc(tensor.F32, n, s.feats.Cols)
		s.q.GatherRows(s.feats, s.place.ints(s.arena, s.q, slotNodes, b.Nodes), x)
	} else {
		x = s.place.put(s.arena, s.q, slotFeatures, tensor.F32, n, len(b.Features)/n, bytesOf(b.Features))
	}
	s.back = tensor.CSR{
		Rows: n, Cols: n,
		Indptr:  s.place.ints(s.arena, s.q, slotTransIndptr, b.TransIndptr),
		Indices: s.place.ints(s.arena, s.q, slotTransIndices, b.TransIndices),
		Values:  s.place.column(s.arena, s.q, slotTransValues, b.TransNorm),
	}
	s.fwd = tensor.CSR{
		Rows: n, Cols: n,
		Indptr:  s.place.ints(s.arena, s.q, slotIndptr, b.Indptr),
		Indices: s.place.ints(s.arena, s.q, slotIndices, b.Indices),
		Values:  s.place.column(s.arena, s.q, slotValues, b.AdjNorm),
		Trans:   &s.back,
	}
	return x, nn.Local{A: &s.fwd}
}

func (s *Stepper) target(b *loader.Batch) tensor.Tensor {
	if b.Multi != nil {
		return s.place.put(s.arena, s.q, slotMulti, tensor.U8, b.NumNodes(), s.model.Classes, b.Multi)
	}
	return s.place.ints(s.arena, s.q, slotClass, b.Class)
}

// lossNow fetches the loss. It waits for the device; a backend that runs asynchronously
// pays one round trip, which buys the weights from before a step that went wrong.
func (s *Stepper) lossNow() (float64, error) {
	s.q.Download(s.lossT, bytesOf(s.lossHost))
	err := s.q.Sync()
	return float64(s.lossHost[0]), errors.Join(err, s.arena.Err())
}

// finish waits for the update and checks what must hold after every step.
func (s *Stepper) finish(g nn.Graph, b *loader.Batch, index uint64) error {
	var norm []float32
	if adam, ok := s.opt.(*optim.Adam); ok {
		s.q.Download(adam.SumSquares(), bytesOf(s.lossHost))
		norm = s.lossHost
	}
	err := s.q.Sync()
	if err = errors.Join(err, s.arena.Err(), g.Err()); err != nil {
		return fmt.Errorf("step %d, batch %d: %w", index, b.Index, err)
	}
	if live := s.arena.Live(); live != 0 {
		return fmt.Errorf("step %d, batch %d: %d tensors were never released", index, b.Index, live)
	}
	if norm != nil && !finite(float64(norm[0])) {
		return s.notFinite("squared gradient norm", float64(norm[0]), b, index, nil)
	}
	return nil
}

// reset leaves nothing behind, also after an error.
func (s *Stepper) reset() {
	s.ctx.EndLayer()
	s.store.Reset()
	s.place.copies = s.place.copies[:0]
	s.arena.Reset()
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func sum(w []float32) float64 {
	t := 0.0
	for _, x := range w {
		t += float64(x)
	}
	return t
}

// LayerPanic is a panic of a layer, a bug in it, as the error of its step.
type LayerPanic struct {
	Step, Batch uint64
	Layer       string
	Value       any
	Stack       string
}

// Error says where and what, without the stack.
func (e *LayerPanic) Error() string {
	return fmt.Sprintf("step %d, batch %d: layer %s panicked: %v", e.Step, e.Batch, e.Layer, e.Value)
}
