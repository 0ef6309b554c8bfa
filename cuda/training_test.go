package cuda

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	_ "github.com/saint-gnn/saint/internal/cpu"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// graph is a generated graph small enough for interpreted kernels.
func graph(t testing.TB, multi bool) *formats.Dataset {
	t.Helper()
	p := synth.Preset{
		Name: "small", Nodes: 60, Edges: 240, Features: 9, Classes: 3, Multi: multi, Train: 60, Val: 20,
		Communities: 3, Within: 0.8, Tail: 30, Cut: 1e-2, MinEdges: 1,
		LabelNoise: 0.05, Signal: 0.6, ClassShare: 0.5, NoiseColumns: 2,
	}
	return generate(t, p)
}

func generate(t testing.TB, p synth.Preset) *formats.Dataset {
	t.Helper()
	raw, err := p.Generate(context.Background(), 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := raw.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parse(t testing.TB, network, params, phases string) *trainconfig.Config {
	t.Helper()
	text := "network:\n  - " + strings.ReplaceAll(network, "; ", "\n    ") +
		"\nparams:\n  - " + strings.ReplaceAll(params, "; ", "\n    ") +
		"\nphase:\n  - " + strings.ReplaceAll(strings.ReplaceAll(phases, "; ", "\n    "), " | ", "\n  - ") + "\n"
	c, err := trainconfig.Parse("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// history is what training told on the way.
type history struct {
	losses []float64 // of steps
	epochs []trainer.Epoch
	result *trainer.Result
}

func train(t testing.TB, b tensor.Backend, d *formats.Dataset, c *trainconfig.Config) history {
	t.Helper()
	var h history
	var err error
	h.result, err = trainer.Train(context.Background(), trainer.Options{
		Data: d, Config: c, Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 1,
		OnStep:  func(s trainer.StepReport) { h.losses = append(h.losses, s.Loss) },
		OnEpoch: func(e trainer.Epoch) error { h.epochs = append(h.epochs, e); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func cpuBackend(t testing.TB) tensor.Backend {
	t.Helper()
	b, err := tensor.Open("cpu", tensor.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func fakeBackend(t testing.TB, o fake.Options) *Backend {
	t.Helper()
	b, err := openOn(fake.New(o), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 20
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// compare fails unless the runs tell the same up to rounding.
func (h history) compare(t testing.TB, want history) {
	t.Helper()
	const most = 1e-4
	if len(h.losses) != len(want.losses) || len(h.epochs) != len(want.epochs) {
		t.Fatalf("%d steps and %d epochs, the CPU has %d and %d", len(h.losses), len(h.epochs), len(want.losses), len(want.epochs))
	}
	for i, l := range h.losses {
		if w := want.losses[i]; !(math.Abs(l-w) <= most*max(1, math.Abs(w))) {
			t.Errorf("loss of step %d = %.7g, the CPU's is %.7g", i, l, w)
		}
	}
	for i, e := range h.epochs {
		for _, s := range [][2]trainer.Scores{{e.Val, want.epochs[i].Val}, {e.Test, want.epochs[i].Test}} {
			if math.Abs(s[0].Loss-s[1].Loss) > most*max(1, s[1].Loss) || math.Abs(s[0].F1Micro-s[1].F1Micro) > 0.05 {
				t.Errorf("epoch %d: loss %.7g and F1 %.3f, the CPU's are %.7g and %.3f", i, s[0].Loss, s[0].F1Micro, s[1].Loss, s[1].F1Micro)
			}
		}
	}
}

// trainings has a network of every kind of layer, loss, optimizer and way of keeping activations. Those
// with scores of both ends have no norm: it multiplies the gradients of a head without neighbours, a row
// of zeros, by 1/sqrt(1e-9), which drives any two precisions apart.
var trainings = []struct {
	name, network, params string
	multi                 bool
}{
	{"sage concat", "dim: 8; arch: '1-1-0'; act: relu; bias: norm; loss: softmax", "lr: 0.01; dropout: 0.2", false},
	{"high order, multi", "dim: 8; arch: '2-0'; act: leaky_relu; aggr: mean; loss: sigmoid", "lr: 0.01; dropout: 0.1; weight_decay: 0.01", true},
	{"batch norm, jk, sgd", "dim: 8; arch: '1-0-1'; act: relu; norm: batch; jk: concat", "lr: 0.05; dropout: 0; optimizer: sgd; momentum: 0.9", false},
	{"layer norm, max pool, rmsprop", "dim: 8; arch: '1-1'; act: relu; jk: max_pool; bias: norm", "lr: 0.01; dropout: 0.1; optimizer: rmsprop", false},
	{"gat", "attention: 2; dim: 8; arch: '1-0'; act: relu; bias: bias", "lr: 0.01; dropout: 0.1", false},
	{"gat_tf", "attention: 2; attention_variant: tf; dim: 8; arch: '1-1'; act: relu; bias: bias", "lr: 0.01; dropout: 0.1", false},
	{"gaan", "attention: 2; gated_attention: true; dim: 8; arch: '1-0'; act: relu; bias: bias", "lr: 0.01; dropout: 0.1", false},
	{"gat_softmax", "layer: gat_softmax; attention: 2; dim: 8; arch: '1-1'; act: relu; residual: identity", "lr: 0.01; dropout: 0.1; attention_dropout: 0.3", false},
	{"gatv2", "layer: gatv2; attention: 2; dim: 8; arch: '1-1'; act: relu", "lr: 0.01; dropout: 0.1; attention_dropout: 0.3", false},
	{"gcn", "layer: gcn; dim: 8; arch: '1-1-0'; act: relu", "lr: 0.01; dropout: 0.1; edge_dropout: 0.2", false},
	{"sage", "layer: sage; dim: 8; arch: '1-1'; act: relu; normalize: true", "lr: 0.01; dropout: 0.1; label_smoothing: 0.1; class_weights: balanced", false},
	{"gin", "layer: gin; dim: 8; arch: '1-1'; act: relu; loss: softmax_log; mlp_norm: batch; train_eps: true", "lr: 0.01; dropout: 0.1", false},
	{"gcnii", "layer: gcnii; dim: 8; arch: '0-1-1'; act: relu", "lr: 0.01; dropout: 0.1", false},
	{"codes", "dim: 8; arch: '1-1-0'; act: relu; bias: norm", "lr: 0.01; dropout: 0.2; n_bits: 2", false},
	{"codes of heads with norms", "attention: 2; dim: 16; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0; n_bits: 8", false},
	{"codes, projected", "layer: gcn; dim: 8; arch: '1-1'; act: relu", "lr: 0.01; dropout: 0.1; n_bits: 4; kept_frac: 0.5", false},
}

// Training of every kind of network on this backend is the CPU's up to rounding: losses of steps,
// scores of evaluations.
func TestTraining(t *testing.T) {
	seen := map[string]bool{"high_order": true, "jk_max_pool": true, "l2norm": true} // these have no name of their own
	for _, c := range trainings {
		for _, kind := range nn.Names() {
			seen[kind] = seen[kind] || strings.HasPrefix(c.name, kind)
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.name != "gatv2" {
				t.Skip("kernels are interpreted")
			}
			d, phases := graph(t, c.multi), "end: 1; sampler: rw; num_root: 8; depth: 2 | end: 2; sampler: full_batch"
			if testing.Short() {
				phases = "end: 1; sampler: full_batch"
			}
			want := train(t, cpuBackend(t), d, parse(t, c.network, c.params, phases))
			b := fakeBackend(t, fake.Options{Workers: 1})
			train(t, b, d, parse(t, c.network, c.params, phases)).compare(t, want)
		})
	}
	for _, kind := range nn.Names() {
		if !seen[kind] {
			t.Errorf("layer %s is trained by no test", kind)
		}
	}
}

// A data set of the size that demonstrations have.
func TestTrainingTiny(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	t.Parallel()
	p, err := synth.Lookup("tiny")
	if err != nil {
		t.Fatal(err)
	}
	d := generate(t, p)
	network, params, phases := "dim: 16; arch: '1-1-0'; act: relu; bias: norm", "lr: 0.01; dropout: 0.1; sample_coverage: 5", "end: 1; sampler: rw; num_root: 150; depth: 2"
	want := train(t, cpuBackend(t), d, parse(t, network, params, phases))
	train(t, fakeBackend(t, fake.Options{}), d, parse(t, network, params, phases)).compare(t, want)
}
