package trainer

import (
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/loader"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// TrainingGraph returns the graph that c's samplers draw from: the edges between training nodes,
// or all where training is transductive.
func TrainingGraph(c *trainconfig.Config, d *formats.Dataset) *formats.Graph {
	if c.Params.Inputs.Transductive {
		return d.Full
	}
	return d.Train
}

// Features returns what c's models read of every node: the features of d and, where labels are
// used, one column for each class, with a 1 for the class of a training node. That is what
// evaluation sees; a step hides the labels that it learns from. Where c wants features in half
// precision, they are rounded now unless they are already.
func Features(c *trainconfig.Config, d *formats.Dataset) (formats.FeatureStore, error) {
	if c.System.Half {
		return halfFeatures(c, d)
	}
	if _, done := d.Features.(*labelled); done || !c.Params.Inputs.UseLabels {
		return d.Features, nil
	}
	const key = "use_labels"
	r, ok := d.Features.(formats.Resident)
	switch {
	case d.Labels.IsMulti():
		return nil, c.Params.Section.Errorf(key, "use_labels needs one label a node, but the data has lists of labels")
	case !ok:
		return nil, c.Params.Section.Errorf(key, "use_labels needs features in single precision that lie in memory, but there is not enough for them")
	}
	l := &labelled{rows: r.Rows(), dim: r.Dim() + d.Labels.NumClasses}
	l.values = make([]float32, l.rows*l.dim)
	for v := range l.rows {
		copy(l.values[v*l.dim:], r.Matrix()[v*r.Dim():(v+1)*r.Dim()])
	}
	for _, v := range d.TrainNodes {
		l.values[int(v)*l.dim+r.Dim()+int(d.Labels.Class[v])] = 1
	}
	return l, nil
}

// labelled is a matrix of features and labels in memory.
type labelled struct {
	rows, dim int
	values    []float32
}

func (l *labelled) Rows() int         { return l.rows }
func (l *labelled) Dim() int          { return l.dim }
func (l *labelled) Matrix() []float32 { return l.values }

// Gather copies rows.
func (l *labelled) Gather(dst []float32, ids []int32) error {
	for i, v := range ids {
		copy(dst[i*l.dim:(i+1)*l.dim], l.values[int(v)*l.dim:(int(v)+1)*l.dim])
	}
	return nil
}

// labelInputs divides a step's training nodes into those whose labels are features and those that
// have a loss.
type labelInputs struct {
	share float32
	rows  tensor.Tensor // (C+1)×C: a row for each class and one of zeros

	given  []int32 // row of each node of the batch
	weight []float32
}

// layerOfLabels stands for no layer in the key of the division.
const layerOfLabels = layerOfEdges - 1

// WithLabels makes the last columns of the features labels, as Features appends them. Every step
// sees those of a random share of its training nodes, and learns from the others, whose weights
// grow so that their sum remains.
func WithLabels(in trainconfig.Inputs) StepperOption {
	return func(s *Stepper) error {
		if !in.UseLabels {
			return nil
		}
		n := s.model.Classes
		host := make([]float32, (n+1)*n)
		for c := range n {
			host[c*n+c] = 1
		}
		l := &labelInputs{share: float32(in.MaskRate), rows: s.model.arena.Alloc(tensor.F32, n+1, n)}
		if err := s.model.arena.Err(); err != nil {
			return err
		}
		s.q.Upload(bytesOf(host), l.rows)
		s.labels = l
		return s.q.Sync()
	}
}

// divide draws which training nodes of b show their labels.
func (l *labelInputs) divide(c *nn.Context, b *loader.Batch, classes int) {
	key, threshold := philox.Key(c.Seed, c.Step, layerOfLabels, 0), philox.Threshold(l.share)
	l.given, l.weight = grow(l.given, b.NumNodes()), grow(l.weight, b.NumNodes())
	all, left := 0.0, 0.0
	for i, w := range b.LossNorm {
		l.given[i], l.weight[i] = int32(classes), w
		if w == 0 {
			continue
		}
		all += float64(w)
		if !stays(key, threshold, b.Nodes[i], b.Nodes[i]) {
			l.given[i], l.weight[i] = b.Class[i], 0
			continue
		}
		left += float64(w)
	}
	for i, w := range l.weight {
		if w != 0 {
			l.weight[i] = float32(float64(w) * all / left)
		}
	}
}

// write overwrites the columns of labels in x, the input of a step. drop is the input's dropout.
func (l *labelInputs) write(q tensor.Queue, given tensor.Tensor, drop tensor.Drop, x tensor.Tensor) {
	first := x.Cols - l.rows.Cols
	if drop.P > 0 {
		drop = drop.At(first)
	}
	q.GatherRows(l.rows, given, drop, x.ColRange(first, x.Cols))
}

// lossWeights returns what the nodes of b weigh in the loss of the running step.
func (s *Stepper) lossWeights(b *loader.Batch) []float32 {
	if s.labels != nil {
		return s.labels.weight
	}
	return b.LossNorm
}

// withInputs returns d with the graph and the features that c trains on.
func withInputs(c *trainconfig.Config, d *formats.Dataset) (*formats.Dataset, error) {
	feats, err := Features(c, d)
	if err != nil {
		return nil, err
	}
	to := *d
	to.Train, to.Features = TrainingGraph(c, d), feats
	return &to, nil
}
