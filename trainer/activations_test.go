package trainer

import (
	"math"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// gradients returns the gradients of a step that updates nothing.
func (s *bench) gradients(b *loader.Batch, index uint64) []float32 {
	s.t.Helper()
	s.ctx.Step = index
	s.store.Begin(s.ctx.Seed, index)
	x, graph := s.inputs(b)
	logits := s.model.Seq.Forward(&s.ctx, graph, x)
	s.arena.Release(x)
	d := s.arena.Alloc(tensor.F32, logits.Rows, logits.Cols)
	s.loss.Eval(s.q, logits, s.target(b), s.place.column(s.arena, s.q, slotWeight, b.LossNorm), s.lossT, d)
	s.arena.Release(logits)
	s.model.Seq.Backward(&s.ctx, graph, d, false)
	var all []float32
	for _, p := range s.model.Seq.Params() {
		if p.Trained() {
			all = append(all, nntest.Download(s.look, p.Grad)...)
			s.q.Fill(0, p.Grad)
		}
	}
	s.reset()
	return all
}

// The mean of the gradients over many steps is what they are without compression, to 5 standard
// errors, as long as nothing but products, sums and activations is in the model.
func TestGradientsAreUnbiased(t *testing.T) {
	draws := 10000
	if testing.Short() || invariants.Enabled {
		draws = 300
	}
	d := generate(t, small)
	resident := d.Features.(formats.Resident)
	const network = "dim: 8; arch: '1-0-1'; bias: bias; act: relu; head: linear"
	for _, setting := range []string{"n_bits: 8", "n_bits: 4", "n_bits: 2", "n_bits: 1; act_group: 64", "n_bits: 2; kept_frac: 0.5", "act_fp: true; kept_frac: 0.5"} {
		t.Run(setting, func(t *testing.T) {
			plain := parse(t, yaml(network, "lr: 0.01", stepPhase))
			cpu := backend(t, 1)
			batch := draw(t, plain, d, nil, 1)[0]
			want := newBench(t, plain, d, cpu, resident).gradients(batch, 0)
			s := newBench(t, parse(t, yaml(network, "lr: 0.01; "+setting, stepPhase)), d, cpu, resident)
			sum, squares, noisy := make([]float64, len(want)), make([]float64, len(want)), 0
			for k := range draws {
				for i, g := range s.gradients(batch, uint64(k)) {
					e := float64(g) - float64(want[i])
					sum[i] += e
					squares[i] += e * e
				}
			}
			worst := 0.0
			for i := range want {
				n := float64(draws)
				mean, se := sum[i]/n, math.Sqrt(squares[i])/n
				tol := 5*se + 1e-6*(1+math.Abs(float64(want[i])))
				worst = max(worst, math.Abs(mean)/tol)
				if math.Abs(mean) > tol {
					t.Errorf("the mean of gradient %d is off by %g from %g, more than 5 standard errors of %g", i, mean, want[i], se)
				}
				if se > 0 {
					noisy++
				}
			}
			if noisy < len(want)/2 {
				t.Errorf("%d of %d gradients have noise: is anything compressed?", noisy, len(want))
			}
			t.Logf("worst of %d gradients: %.2f of what is allowed", len(want), worst)
		})
	}
}

// Attention whose softmax is made again of decoded features still learns: its weights sum to 1, and
// what their scores get to 0.
func TestNoisyAttentionLearns(t *testing.T) {
	for _, layer := range []string{"gatv2", "gat_softmax", "gat_softmax; share_attention: true"} {
		t.Run(layer, func(t *testing.T) { testNoisyAttention(t, layer) })
	}
}

func testNoisyAttention(t *testing.T, layer string) {
	t.Helper()
	d := generate(t, small)
	resident := d.Features.(formats.Resident)
	last := func(more string) float64 {
		c := parse(t, yaml("layer: "+layer+"; attention: 2; dim: 32; arch: '1-1'; act: relu; norm: batch; head: none", "lr: 0.02"+more, "end: 1; sampler: full_batch"))
		batch := draw(t, c, d, nil, 1)[0]
		s := newBench(t, c, d, backend(t, 2), resident)
		loss := 0.0
		for i := range uint64(40) {
			st, err := s.Step(batch, i, nil)
			if err != nil {
				t.Fatal(err)
			}
			loss = st.Loss
		}
		return loss
	}
	plain, codes := last(""), last("; n_bits: 2")
	t.Logf("loss after 40 updates: %.3f, with 2 bits %.3f", plain, codes)
	if codes > plain+0.15 {
		t.Errorf("the loss with 2 bits is %.3f, want about %.3f", codes, plain)
	}
}
