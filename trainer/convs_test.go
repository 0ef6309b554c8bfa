package trainer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// convNetworks are networks of every kind of layer without batch norm.
var convNetworks = []string{
	"layer: gcn; dim: 8; arch: '1-1-0'; act: relu",
	"layer: gcn; dim: 8; arch: '0-1-1'; act: leaky_relu; bias: bias; jk: concat",
	"layer: sage; dim: 8; arch: '1-1'; act: relu; normalize: true",
	"layer: sage; dim: 16; arch: '1-0-1'; act: relu; bias: bias",
	"layer: gin; dim: 8; arch: '1-1'; act: relu; eps: 0.1; train_eps: true",
	"layer: gcnii; dim: 8; arch: '0-1-1-1'; act: relu",
	"layer: gcnii; dim: 8; arch: '0-1-1-0-1'; act: relu; shared_weights: false; theta: 1",
	"layer: gcnii; dim: 8; arch: '0-1-1'; act: relu; residual: identity; head: linear",
	"layer: gcn; dim: 8; arch: '1-1-1'; act: relu; residual: project; head: none",
	"dim: 8; arch: '1-0-1'; act: leaky_relu; residual: identity; aggr: mean; head: linear",
	"attention: 2; dim: 8; arch: '1-1'; act: relu; residual: project",
	"layer: gat_softmax; attention: 2; dim: 8; arch: '1-1'; act: relu; residual: identity; jk: max_pool",
	"layer: gatv2; attention: 2; dim: 8; arch: '1-1-0'; act: relu",
	"layer: gatv2; attention: 4; dim: 8; arch: '1-1-1'; act: leaky_relu; heads: mean; residual: project; head: none",
	"layer: gat_softmax; attention: 2; dim: 8; arch: '1-1'; act: relu; head: none",
}

// TestFullBatchIsEvaluated: what layers see of a full batch in training is what the evaluator
// shows them in tiles.
func TestFullBatchIsEvaluated(t *testing.T) {
	d := generate(t, small)
	all := make([]int32, d.Full.NumNodes())
	for v := range all {
		all[v] = int32(v)
	}
	shared := backend(t, 2)
	for _, network := range convNetworks {
		for name, b := range map[string]tensor.Backend{"shared": shared, "apart": discrete{shared}} {
			t.Run(name+" "+network, func(t *testing.T) { checkFullBatch(t, b, network, d, all) })
		}
	}
}

func checkFullBatch(t *testing.T, b tensor.Backend, network string, d *formats.Dataset, all []int32) {
	const steps = 3
	conf := parse(t, yaml(network, "lr: 0.01; dropout: 0", "end: 1; sampler: full_batch"))
	m := newModel(t, conf, 12, d.Labels.NumClasses, b)
	if err := conf.CheckUsed(); err != nil {
		t.Fatal(err)
	}
	env := samplers.Env{Graph: d.Full, Train: all}
	sampler, err := NewSampler(&conf.Phases[0], env)
	if err != nil {
		t.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(context.Background(), sampler, env, samplers.EstimateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	src, err := openSource(context.Background(), loader.Config{Env: env, Sampler: sampler, Norm: norm, Labels: &d.Labels, To: steps})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	opt, err := optim.NewAdam(optim.DefaultAdam(), m.arena, newQueue(t, b), m.Seq.Params())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStepper(m, opt, newArena(t, b), d.Features.(formats.Resident), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var first *loader.Batch
	for i := range uint64(steps) {
		want := evaluate(t, m, d.Full, d.Features, 7*int(i))
		batch, err := src.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = batch
		}
		if batch != first || !batch.Repeats || batch.Index != i {
			t.Errorf("batch %d is number %d, repeats: %v, the first one: %v; want the first one again", i, batch.Index, batch.Repeats, batch == first)
		}
		var got []float32
		_, err = s.Step(batch, i, func(_ *loader.Batch, logits tensor.Tensor, q tensor.Queue) error {
			got = nntest.Download(q, logits)
			return nil
		})
		batch.Release()
		if err != nil {
			t.Fatal(err)
		}
		if e := apart(got, want); e > 1e-5 {
			t.Errorf("step %d: training and evaluation differ by %.2g of the largest logit", i, e)
		}
	}
}

// TestBlocksResume: a run with running statistics, dropped edges and attention, an initial
// representation or a full batch, interrupted again and again, is to the bit the one that is not.
func TestBlocksResume(t *testing.T) {
	for _, c := range [][2]string{
		{"layer: gcnii; dim: 8; arch: '0-1-1'; act: relu; norm: batch; residual: identity; head: linear", "end: 3; sampler: full_batch"},
		{"layer: gatv2; attention: 2; dim: 8; arch: '1-1'; act: relu; norm: batch; head: none", "end: 2; sampler: full_batch | end: 3; sampler: rw; num_root: 20; depth: 2"},
		{"layer: gin; dim: 8; arch: '1-1'; act: relu; mlp_norm: batch; train_eps: true", "end: 2; sampler: rw; num_root: 20; depth: 2 | end: 4; sampler: full_batch"},
		{"layer: gat_softmax; attention: 2; dim: 8; arch: '1-1'; act: relu; norm: batch; head: none; loss: softmax_log", "end: 2; sampler: full_batch | end: 3; sampler: rw; num_root: 20; depth: 2"},
	} {
		l := newLab(t)
		l.conf = yaml(c[0], "lr: 0.02; dropout: 0.2; input_dropout: 0.1; edge_dropout: 0.3; sample_coverage: 1"+attention(c[0]), c[1])
		want, wantRes := l.first()
		dir := newDir(t)
		var res *Result
		parts := 0
		for ; res == nil && parts < 300; parts++ {
			o := l.options(dir)
			o.Resume = parts > 0
			var err error
			if res, err = Train(endAfter(t, 4+3*parts), o); err != nil && !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
		}
		if res == nil || parts < 2 {
			t.Fatalf("%s: %d parts, want several and an end", c[0], parts)
		}
		l.same(c[0], dir, want, res, wantRes)
	}
}

func attention(network string) string {
	if strings.Contains(network, "gatv2") {
		return "; attention_dropout: 0.2"
	}
	if strings.Contains(network, "softmax_log") {
		return "; use_labels: true; mask_rate: 0.4; transductive: true; optimizer: rmsprop; n_bits: 4"
	}
	return ""
}
