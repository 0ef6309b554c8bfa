package trainer

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/metric"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Scores are those of one split.
type Scores struct {
	F1Micro  float64 `json:"f1_micro"`
	F1Macro  float64 `json:"f1_macro"`
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"` // mean over the split's nodes
	Nodes    int64   `json:"nodes"`

	// The ROC-AUC of the test nodes, where it was asked for and is defined.
	HasROCAUC bool    `json:"has_roc_auc,omitempty"`
	ROCAUC    float64 `json:"roc_auc,omitempty"`
}

// splitNames are those of the splits in the order of Scorer.splits.
var splitNames = [3]string{"training", "validation", "test"}

// Evaluation holds the scores of all splits and the counts behind them.
type Evaluation struct {
	Train, Val, Test Scores
	Counts           [3]*metric.Confusion // train, val, test
	LabelOffset      int64                // add to a class to get the label of the data's files
}

// Scorer evaluates models on a data set. It is not safe for concurrent use.
type Scorer struct {
	data  *formats.Dataset
	eval  *Evaluator
	loss  loss.Loss
	multi bool // a prediction is every class with a positive logit
	auc   bool

	splits [3][]int32
	next   [3]int // position in each split while tiles go by
	counts [3]*metric.Confusion
	losses [3]float64
	place  placer
	weight []float32
	host   []float32
	lossT  scalar
	parts  []scorePart
	behind *scoresBehind // of a device that the host need not wait for after each tile; else nil

	aucScores []float32
	aucTruth  []uint8
}

// NewScorer returns a scorer of models with that loss, of which it reports loss.Reported. With auc it also keeps the logits of
// the test nodes for the mean ROC-AUC.
func NewScorer(d *formats.Dataset, e *Evaluator, lossName string, auc bool) (*Scorer, error) {
	l, err := loss.New(lossName)
	if err != nil {
		return nil, err
	}
	s := &Scorer{
		data: d, eval: e, loss: loss.Reported(l), multi: l.AcceptsMulti(), auc: auc,
		splits: [3][]int32{d.TrainNodes, d.ValNodes, d.TestNodes}, place: placer{b: e.b},
	}
	for i := range s.counts {
		s.counts[i] = metric.NewConfusion(d.Labels.NumClasses)
	}
	if e.ahead != nil {
		s.behind = newScoresBehind(e)
	}
	return s, nil
}

// Evaluate scores m on all splits. A loss that is not finite is an error that wraps
// ErrNotFinite: the scores would say nothing. The Counts belong to the Scorer; the next call
// overwrites them.
func (s *Scorer) Evaluate(ctx context.Context, m *Model) (*Evaluation, error) {
	for i := range s.counts {
		s.counts[i].Reset()
		s.next[i], s.losses[i] = 0, 0
	}
	s.aucScores, s.aucTruth = s.aucScores[:0], s.aucTruth[:0]
	s.place.forget()
	if err := s.score(ctx, m); err != nil {
		return nil, err
	}
	var all [3]Scores
	for i, c := range s.counts {
		all[i] = Scores{F1Micro: c.F1Micro(), F1Macro: c.F1Macro(s.multi), Accuracy: c.Accuracy(), Nodes: c.Rows()}
		if n := len(s.splits[i]); n > 0 {
			all[i].Loss = s.losses[i] / float64(n)
		}
		if !finite(all[i].Loss) {
			return nil, fmt.Errorf("evaluation: the loss of the %s nodes is %v, %w; check their features", splitNames[i], all[i].Loss, ErrNotFinite)
		}
	}
	if s.auc {
		if a := metric.MeanROCAUC(s.aucScores, s.aucTruth, s.data.Labels.NumClasses); finite(a) {
			all[2].HasROCAUC, all[2].ROCAUC = true, a
		}
	}
	return &Evaluation{Train: all[0], Val: all[1], Test: all[2], Counts: s.counts, LabelOffset: s.data.Labels.Offset}, nil
}

// score counts what all tiles have.
func (s *Scorer) score(ctx context.Context, m *Model) error {
	if s.behind == nil {
		return s.eval.Logits(ctx, m, 0, s.tile)
	}
	s.behind.forget()
	if err := s.keepTables(); err != nil {
		return err
	}
	if err := s.eval.Logits(ctx, m, 0, s.tileBehind); err != nil {
		return err
	}
	s.countHeld()
	return nil
}

// tile adds the nodes [lo,hi) to the scores.
func (s *Scorer) tile(c *nn.Context, lo, hi int, logits tensor.Tensor) error {
	k := logits.Cols
	s.host = grow(s.host, logits.Rows*k)
	c.Q.Download(logits, bytesOf(s.host))
	if err := c.Q.Sync(); err != nil {
		return err
	}
	out := c.Temp(tensor.F32, 1, 1)
	target := s.target(c, lo, hi)
	for i, nodes := range s.splits {
		first := s.next[i]
		s.weight = grow(s.weight, hi-lo)
		clear(s.weight)
		for ; s.next[i] < len(nodes) && int(nodes[s.next[i]]) < hi; s.next[i]++ {
			s.weight[int(nodes[s.next[i]])-lo] = 1
		}
		if s.next[i] == first {
			continue
		}
		s.countAll(i, nodes[first:s.next[i]], lo, k)
		s.loss.Eval(c.Q, logits, target, s.place.column(c.A, c.Q, slotWeight, s.weight), out, tensor.Tensor{})
		total, err := s.lossT.fetch(c.Q, out)
		if err != nil {
			return err
		}
		s.losses[i] += total
	}
	s.place.done(c.A)
	c.EndLayer()
	return nil
}

func (s *Scorer) target(c *nn.Context, lo, hi int) tensor.Tensor {
	l := &s.data.Labels
	if l.IsMulti() {
		return s.place.put(c.A, c.Q, slotMulti, tensor.U8, hi-lo, l.NumClasses, l.Multi[lo*l.NumClasses:hi*l.NumClasses])
	}
	return s.place.ints(c.A, c.Q, slotClass, l.Class[lo:hi])
}

// scorePart is what one goroutine counts.
type scorePart struct {
	counts *metric.Confusion
	onehot []uint8
}

// manyScores is how many logits are worth a goroutine.
const manyScores = 1 << 15

// countAll counts nodes of a split, whose rows of k logits begin with that of node lo. Counts are
// integers, so it does not matter who counts what.
func (s *Scorer) countAll(split int, nodes []int32, lo, k int) {
	parts := min(runtime.GOMAXPROCS(0), 1+len(nodes)*k/manyScores)
	for len(s.parts) < parts {
		s.parts = append(s.parts, scorePart{metric.NewConfusion(s.data.Labels.NumClasses), make([]uint8, s.data.Labels.NumClasses)})
	}
	var all sync.WaitGroup
	for i := range parts {
		mine := nodes[len(nodes)*i/parts : len(nodes)*(i+1)/parts]
		if i == parts-1 {
			s.count(&s.parts[i], mine, lo, k)
			break
		}
		all.Go(func() { s.count(&s.parts[i], mine, lo, k) })
	}
	all.Wait()
	for i := range parts {
		s.counts[split].Add(s.parts[i].counts)
	}
	if s.auc && split == 2 && s.multi {
		for _, v := range nodes {
			s.aucScores = append(s.aucScores, s.host[(int(v)-lo)*k:(int(v)-lo+1)*k]...)
			s.aucTruth = append(s.aucTruth, truthRow(&s.data.Labels, v, s.parts[0].onehot)...)
		}
	}
}

// count makes the counts of p those of the nodes.
func (s *Scorer) count(p *scorePart, nodes []int32, lo, k int) {
	p.counts.Reset()
	l := &s.data.Labels
	for _, v := range nodes {
		logits := s.host[(int(v)-lo)*k : (int(v)-lo+1)*k]
		if s.multi {
			p.counts.AddMultiLogits(logits, truthRow(l, v, p.onehot))
		} else {
			p.counts.AddLogits(logits, l.Class[v])
		}
	}
}

// truthRow returns the 0/1 row of node v, made in buf for integer labels.
func truthRow(l *formats.Labels, v int32, buf []uint8) []uint8 {
	if l.IsMulti() {
		return l.Row(v)
	}
	clear(buf)
	if k := l.Class[v]; k >= 0 {
		buf[k] = 1
	}
	return buf
}
