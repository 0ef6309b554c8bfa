package trainer

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Size is what the memory of a step depends on.
type Size struct {
	Nodes, Features, Classes int
	Edges                    int64 // entries of the adjacency: an undirected edge is two
	Multi                    bool  // several labels a node
	Rows                     bool  // features come with the batch rather than being gathered from memory
	Directed                 bool  // the transpose of the adjacency has a structure of its own
}

// Memory says what a step takes, in bytes.
type Memory struct {
	Size        Size
	Parameters  int64 // and running statistics
	Gradients   int64
	Optimizer   int64 // moments, and what is left of the model's memory
	Activations int64 // held at the turn from the forward to the backward pass, each once
	Peak        int64 // most that the step's arena held
	Held        []HeldTensor
}

// Workspace returns what the step took beside the activations when it took the most.
func (m *Memory) Workspace() int64 { return m.Peak - m.Activations }

// HeldTensor is a tensor that was held at the turn.
type HeldTensor struct {
	Layer string // its name in the model
	actmem.Saved
}

// Plan returns the memory of a step of c's model on a batch of that size: that of the device
// b, which a step is run on. A device without data, "meta" or in double precision "meta64",
// gives what a run on the CPU takes, to the byte, as long as nothing in the model depends on data.
func Plan(c *trainconfig.Config, size Size, b tensor.Backend) (m *Memory, err error) {
	if c.Params.Inputs.UseLabels {
		if size.Rows {
			return nil, c.Params.Section.Errorf("use_labels", "use_labels needs features that lie in memory")
		}
		size.Features += size.Classes
	}
	model, err := NewModel(c, size.Features, size.Classes, b, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	q, err := b.NewQueue()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	opt, err := NewOptimizer(&c.Params, model.arena, q, model.Seq.Params())
	if err != nil {
		return nil, err
	}
	arena, err := b.NewArena()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, arena.Close()) }()
	s, err := NewStepper(model, opt, arena, nil, 1, WithActivations(ActivationStore(c.Params.Activations)), WithLabels(c.Params.Inputs))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if !size.Rows {
		s.feats = tensor.Tensor{Rows: size.Nodes, Cols: size.Features, Stride: size.Features, Type: tensor.F32}
	}
	return s.Measure(size.batch(), 0)
}

// batch returns a batch of that size. Its arrays are zeros that nobody has written, so that
// they take address space and no memory.
func (z Size) batch() *loader.Batch {
	b := loader.NewBatch(func(*loader.Batch) {})
	n, m := z.Nodes, int(z.Edges)
	b.Subgraph = formats.Subgraph{Nodes: make([]int32, n), Indptr: make([]int32, n+1), Indices: make([]int32, m), AdjNorm: make([]float32, m), LossNorm: make([]float32, n)}
	b.TransIndptr, b.TransIndices, b.TransNorm = b.Indptr, b.Indices, b.AdjNorm
	if z.Directed {
		b.TransIndptr, b.TransIndices = make([]int32, n+1), make([]int32, m)
	}
	if z.Multi {
		b.Multi = make([]uint8, n*z.Classes)
	} else {
		b.Class = make([]int32, n)
	}
	if z.Rows {
		b.Features = make([]float32, n*z.Features)
	}
	return b
}

// Measure does the step number index on b and says what memory it took.
func (s *Stepper) Measure(b *loader.Batch, index uint64) (*Memory, error) {
	if b.NumNodes() == 0 {
		return nil, errors.New("a batch without nodes takes no memory that says anything")
	}
	m := &Memory{Size: Size{
		Nodes: b.NumNodes(), Features: s.feats.Cols, Classes: s.model.Classes, Edges: int64(b.NumEdges()),
		Multi: b.Multi != nil, Rows: !s.feats.Present(),
	}}
	if m.Size.Rows {
		m.Size.Features = len(b.Features) / b.NumNodes()
	}
	masks := int64(0)
	st, err := s.Step(b, index, func(*loader.Batch, tensor.Tensor, tensor.Queue) error {
		m.Held = s.held()
		masks = s.maskBytes()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measuring a step: %w", err)
	}
	m.Activations, m.Peak = st.SavedBytes+masks, st.PeakBytes+masks
	if masks > 0 {
		m.Held = append(m.Held, HeldTensor{"dropout", actmem.Saved{Form: "masks, a bit a value", Bytes: masks}})
	}
	for _, p := range s.model.Seq.Params() {
		m.Parameters += p.Value.Bytes()
		if p.Trained() {
			m.Gradients += p.Grad.Bytes()
		}
	}
	kept := s.place.keep.bytes // of a batch that repeats: a plan has them in the step's arena
	m.Peak += kept
	m.Optimizer = s.model.arena.Bytes() - m.Parameters - m.Gradients - kept - s.featBytes - s.tables.bytes // which are data
	return m, nil
}

// maskBytes returns what the queue remembers of dropouts beside what the store holds.
func (s *Stepper) maskBytes() int64 {
	if k, ok := s.q.(tensor.MaskKeeper); ok {
		return k.MaskBytes()
	}
	return 0
}

// held lists what the store holds.
func (s *Stepper) held() []HeldTensor {
	l, ok := s.store.(interface {
		Held(list []actmem.Saved) []actmem.Saved
	})
	if !ok {
		return nil
	}
	var list []HeldTensor
	for _, v := range l.Held(nil) {
		list = append(list, HeldTensor{s.model.Seq.Name(v.Key.Layer), v})
	}
	return list
}
