package trainer

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/metric"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// byHand trains as the configuration says, written down anew: one loop over phases, epochs
// and batches. It returns the parameters and, of every epoch, mean loss and F1 of training.
func byHand(t *testing.T, d *formats.Dataset, c *trainconfig.Config, b tensor.Backend, scoreEvery int) (params []float32, loss, f1 []float64) {
	t.Helper()
	s := newBench(t, c, d, b, d.Features.(formats.Resident))
	p := c.Params
	opt, err := optim.NewAdam(optim.AdamConfig{
		Common: optim.Common{LR: p.LR, WeightDecay: p.WeightDecay, Clip: p.GradClip, ClipBy: p.GradClipType},
		Beta1:  0.9, Beta2: 0.999, Eps: 1e-8,
	}, s.model.arena, s.look, s.model.Seq.Params())
	if err != nil {
		t.Fatal(err)
	}
	s.opt = opt
	h := &hand{bench: s, every: scoreEvery, data: d}
	first := 0
	for i := range c.Phases {
		src, steps := h.open(c, i)
		for ; first < c.Phases[i].End; first++ {
			l, f := h.epoch(src, steps)
			loss, f1 = append(loss, l), append(f1, f)
		}
		src.Close()
	}
	return s.params(), loss, f1
}

// hand is training by hand.
type hand struct {
	*bench
	data  *formats.Dataset
	every int
	step  uint64
}

// open returns the batches of a phase and how many make an epoch.
func (h *hand) open(c *trainconfig.Config, i int) (loader.Source, int) {
	d, p := h.data, c.Params
	env := samplers.Env{Graph: d.Train, Train: d.TrainNodes}
	sampler, err := NewSampler(&c.Phases[i], env)
	if err != nil {
		h.t.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(context.Background(), sampler, env, samplers.EstimateOptions{
		Coverage: p.SampleCoverage, Seed: 1, Phase: i, DisableNormLoss: !p.NormLoss, DisableNormAggr: !p.NormAggr, Compat: p.Compat,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	src, err := loader.Open(context.Background(), loader.Config{Env: env, Sampler: sampler, Norm: norm, Labels: &d.Labels, Seed: 1, Phase: i})
	if err != nil {
		h.t.Fatal(err)
	}
	return src, int(math.Ceil(float64(len(d.TrainNodes)) / float64(sampler.Budget())))
}

// epoch returns the weighted mean of the losses and the mean F1 of the scored batches.
func (h *hand) epoch(src loader.Source, steps int) (loss, f1 float64) {
	weight, scored := 0.0, 0.0
	for k := range steps {
		b, err := src.Next(context.Background())
		if err != nil {
			h.t.Fatal(err)
		}
		st, err := h.Step(b, h.step, func(b *loader.Batch, logits tensor.Tensor, q tensor.Queue) error {
			if k%h.every == 0 {
				f1 += f1Of(b, nntest.Download(q, logits), h.data.Labels.NumClasses)
				scored++
			}
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
		b.Release()
		loss, weight = loss+st.Loss, weight+st.WeightSum
		h.step++
	}
	return loss / weight, f1 / scored
}

func f1Of(b *loader.Batch, logits []float32, k int) float64 {
	counts := metric.NewConfusion(k)
	for i, c := range b.Class {
		counts.AddLogits(logits[i*k:(i+1)*k], c)
	}
	return counts.F1Micro()
}

// TestTrainByHand: a run does what its configuration says, no more and no less.
func TestTrainByHand(t *testing.T) {
	l := newLab(t)
	for _, params := range []string{
		"lr: 0.02; dropout: 0.1; weight_decay: 0.01; sample_coverage: 3",
		"lr: 0.02; sample_coverage: 30; grad_clip: 0.01; norm_loss: false",
		"lr: 0.02; sample_coverage: 3; grad_clip: 0.001; grad_clip_type: value; norm_aggr: false",
		"lr: 0.02; grad_clip: 0; compat: reference; sample_coverage: 0",
	} {
		l.conf = yaml(runNetwork, params, runPhases)
		want, loss, f1 := byHand(t, l.data, parse(t, l.conf), l.b, 2)
		dir := newDir(t)
		o := l.options(dir)
		o.OnEpoch = func(e Epoch) error {
			if e.TrainLoss != loss[e.Epoch] || e.TrainF1 != f1[e.Epoch] {
				t.Errorf("%s: epoch %d has training loss and F1 %v, %v, want %v, %v", params, e.Epoch, e.TrainLoss, e.TrainF1, loss[e.Epoch], f1[e.Epoch])
			}
			return nil
		}
		l.train(o)
		m := newModel(t, parse(t, l.conf), 12, 3, l.b)
		if err := LoadParams(dir.LastPath(), m); err != nil {
			t.Fatal(err)
		}
		var got []float32
		q := newQueue(t, l.b)
		for _, p := range m.Seq.Params() {
			got = append(got, nntest.Download(q, p.Value)...)
		}
		if !sameBits(got, want) {
			t.Errorf("%s: the trained parameters differ by %v from those of the loop by hand", params, fmt.Sprint(apart(got, want)))
		}
	}
}
