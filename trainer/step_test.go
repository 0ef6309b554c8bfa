package trainer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// draw returns the first n batches of a configuration; feats nil leaves the rows out.
func draw(t testing.TB, c *trainconfig.Config, d *formats.Dataset, feats formats.FeatureStore, n int) []*loader.Batch {
	t.Helper()
	env := samplers.Env{Graph: d.Train, Train: d.TrainNodes}
	s, err := NewSampler(&c.Phases[0], env)
	if err != nil {
		t.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(context.Background(), s, env, samplers.EstimateOptions{Coverage: 5, Workers: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	src, err := loader.Open(context.Background(), loader.Config{
		Env: env, Sampler: s, Norm: norm, Labels: &d.Labels, Features: feats, Symmetric: true, Workers: 1, Prefetch: n, Seed: 1, To: uint64(n),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	out := make([]*loader.Batch, n)
	for i := range out {
		if out[i], err = src.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(out[i].Release)
	}
	return out
}

// bench is a stepper with what it works on.
type bench struct {
	*Stepper
	t    testing.TB
	look tensor.Queue // works after a failure of the stepper's own
}

func newBench(t testing.TB, c *trainconfig.Config, d *formats.Dataset, b tensor.Backend, feats formats.Resident) *bench {
	t.Helper()
	m, err := NewModel(c, d.Features.Dim(), d.Labels.NumClasses, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	q := newQueue(t, b)
	cfg := optim.DefaultAdam()
	cfg.LR, cfg.WeightDecay, cfg.Clip = c.Params.LR, c.Params.WeightDecay, c.Params.GradClip
	opt, err := optim.NewAdam(cfg, m.arena, q, m.Seq.Params())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStepper(m, opt, newArena(t, b), feats, 1, WithActivations(ActivationStore(c.Params.Activations)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &bench{s, t, newQueue(t, b)}
}

// params returns a copy of all parameters.
func (s *bench) params() []float32 {
	var all []float32
	for _, p := range s.model.Seq.Params() {
		all = append(all, nntest.Download(s.look, p.Value)...)
	}
	return all
}

// empty fails the test if a step has left something behind.
func (s *bench) empty(after string) {
	s.t.Helper()
	if s.arena.Live() != 0 || s.arena.Bytes() != 0 || s.store.Bytes() != 0 || len(s.place.copies) != 0 {
		s.t.Errorf("%s leaves %d tensors, %d bytes, %d bytes in the store", after, s.arena.Live(), s.arena.Bytes(), s.store.Bytes())
	}
}

const stepPhase = "end: 9; sampler: rw; num_root: 40; depth: 2"

func TestStep(t *testing.T) {
	d := generate(t, small)
	resident := d.Features.(formats.Resident)
	for _, network := range []string{
		"dim: 16; arch: '1-1-0'; act: relu",
		"dim: 16; arch: '1-0-1-0'; aggr: mean; bias: norm-nn; act: leaky_relu",
		"dim: 8; arch: '2-1'; bias: bias; loss: sigmoid",
	} {
		c := parse(t, yaml(network, "lr: 0.01; dropout: 0.1; weight_decay: 0.001", stepPhase))
		cpu := backend(t, 2)
		batches := draw(t, c, d, nil, 4)
		withRows := draw(t, c, d, rows{FeatureStore: d.Features}, 4)
		s := newBench(t, c, d, cpu, resident)
		others := map[string]*bench{
			"rows of the pipeline":             newBench(t, c, d, cpu, nil),
			"memory not shared":                newBench(t, c, d, discrete{cpu}, resident),
			"memory not shared, rows in batch": newBench(t, c, d, discrete{cpu}, nil),
			"one thread":                       newBench(t, c, d, backend(t, 1), resident),
		}
		for i, b := range batches {
			s.checkStep(uint64(i), b)
			for what, o := range others {
				if !o.feats.Present() {
					b = withRows[i]
				} else {
					b = batches[i]
				}
				if _, err := o.Step(b, uint64(i), nil); err != nil {
					t.Fatal(err)
				}
				if !sameBits(o.params(), s.params()) {
					t.Errorf("%s: %s: step %d gives other bits", network, what, i)
				}
				o.empty(what)
			}
		}
		if s.opt.Count() != 4 {
			t.Errorf("%s: %d updates, want 4", network, s.opt.Count())
		}
	}
}

// checkStep does step i and checks what it reports.
func (s *bench) checkStep(i uint64, b *loader.Batch) {
	s.t.Helper()
	before := s.params()
	st, err := s.Step(b, i, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	weights := 0.0
	for _, w := range b.LossNorm {
		weights += float64(w)
	}
	if !(st.Loss > 0) || st.WeightSum != weights || st.Nodes != b.NumNodes() || st.Edges != b.NumEdges() || st.SavedBytes <= 0 || st.PeakBytes < st.SavedBytes {
		s.t.Errorf("Step = %+v for a batch of %d nodes, weights %v", st, b.NumNodes(), weights)
	}
	if slices.Equal(before, s.params()) {
		s.t.Errorf("step %d changed no parameter", i)
	}
	s.empty("a step")
}

// TestStepLoss: the reported loss is the weighted cross entropy of the logits that score sees.
func TestStepLoss(t *testing.T) {
	d := generate(t, small)
	c := parse(t, yaml("dim: 16; arch: '1-1-0'; act: relu", "lr: 0.01", stepPhase))
	s := newBench(t, c, d, backend(t, 1), d.Features.(formats.Resident))
	b := draw(t, c, d, nil, 1)[0]
	want := 0.0
	st, err := s.Step(b, 0, func(b *loader.Batch, logits tensor.Tensor, q tensor.Queue) error {
		z := nntest.Download(q, logits)
		for i := range b.Nodes {
			total := 0.0
			for _, x := range z[i*3 : i*3+3] {
				total += math.Exp(float64(x))
			}
			want += float64(b.LossNorm[i]) * (math.Log(total) - float64(z[i*3+int(b.Class[i])]))
		}
		return nil
	})
	if err != nil || math.Abs(st.Loss-want) > 1e-5*want {
		t.Errorf("Step = loss %v, %v, want %v", st.Loss, err, want)
	}
	boom := errors.New("boom")
	if _, err := s.Step(b, 1, func(*loader.Batch, tensor.Tensor, tensor.Queue) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Step with a failing score = %v, want boom", err)
	}
	s.empty("a failing score")
}

// TestStepAllocatesNothing in the steady state, scored or not.
func TestStepAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("invariants keep books")
	}
	d := generate(t, small)
	for _, network := range []string{"dim: 16; arch: '1-1-0'; act: relu", "dim: 16; arch: '2-1-0'; aggr: mean; bias: norm-nn; loss: sigmoid"} {
		c := parse(t, yaml(network, "lr: 0.01; dropout: 0.1", stepPhase))
		for what, feats := range map[string]formats.FeatureStore{"resident": nil, "rows of the batch": rows{FeatureStore: d.Features}} {
			batches := draw(t, c, d, feats, 4)
			var resident formats.Resident
			if feats == nil {
				resident = d.Features.(formats.Resident)
			}
			b := backend(t, 2)
			s := newBench(t, c, d, b, resident)
			r := &run{Options: Options{Data: d}, stepper: s.Stepper, scorer: &Scorer{multi: c.Network.Loss == "sigmoid"}}
			score := r.scoreOf(&member{stepper: s.Stepper})
			i := uint64(0)
			step := func() {
				if _, err := s.Step(batches[i%4], i, score); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for range 8 {
				step()
			}
			if n := testing.AllocsPerRun(20, step); n != 0 {
				t.Errorf("%s, %s: a step allocates %v times, want 0", network, what, n)
			}
		}
	}
}

func TestStepOfNothing(t *testing.T) {
	d := generate(t, small)
	c := parse(t, yaml("dim: 16; arch: '1-0'", "lr: 0.01; weight_decay: 0.1", stepPhase))
	s := newBench(t, c, d, backend(t, 1), d.Features.(formats.Resident))
	before := s.params()
	empty := loader.NewBatch(func(*loader.Batch) {})
	empty.Indptr = []int32{0}
	st, err := s.Step(empty, 0, func(*loader.Batch, tensor.Tensor, tensor.Queue) error {
		t.Error("score was called")
		return nil
	})
	if err != nil || st != (Step{}) || s.opt.Count() != 0 || !slices.Equal(before, s.params()) {
		t.Errorf("Step of an empty batch = %+v, %v with %d updates, want none", st, err, s.opt.Count())
	}
	lone := loader.NewBatch(func(*loader.Batch) {})
	lone.Nodes, lone.Indptr, lone.TransIndptr = d.TrainNodes[:1], []int32{0, 0}, []int32{0, 0}
	lone.LossNorm, lone.Class = []float32{1}, []int32{d.Labels.Class[d.TrainNodes[0]]}
	if st, err := s.Step(lone, 1, nil); err != nil || st.Nodes != 1 || st.Edges != 0 || s.opt.Count() != 1 {
		t.Errorf("Step of one node without edges = %+v, %v", st, err)
	}
}

// TestStepDropout: the masks are those of the update, whatever the batch.
func TestStepDropout(t *testing.T) {
	d := generate(t, small)
	c := parse(t, yaml("dim: 16; arch: '1-0'", "lr: 0.01; dropout: 0.3", stepPhase))
	batch := draw(t, c, d, nil, 1)[0]
	var losses []float64
	for _, index := range []uint64{0, 1, 0} {
		st, err := newBench(t, c, d, backend(t, 1), d.Features.(formats.Resident)).Step(batch, index, nil)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, st.Loss)
	}
	if losses[0] != losses[2] || losses[0] == losses[1] {
		t.Errorf("losses of one batch as update 0, 1 and 0: %v, want the middle one to differ", losses)
	}
}

// clone copies what a test damages.
func clone(b *loader.Batch) *loader.Batch {
	c := *b
	c.LossNorm, c.AdjNorm = slices.Clone(b.LossNorm), slices.Clone(b.AdjNorm)
	c.Features, c.Class = slices.Clone(b.Features), slices.Clone(b.Class)
	return &c
}

// bad is a dense layer whose output has a NaN in the last row, or whose backward pass fails.
type bad struct {
	nn.Layer
	dim       int
	nan, back bool
}

func (bad) Params() []*nn.Param { return nil }
func (l bad) OutDim() int       { return l.dim }
func (bad) Hops() int           { return 0 }
func (l bad) Forward(c *nn.Context, _ nn.Graph, x tensor.Tensor) tensor.Tensor {
	y := c.New(x.Rows, x.Cols)
	c.Temp(tensor.F32, 3, 3)
	c.Q.Axpby(1, x, 0, y)
	if l.nan {
		c.Q.Fill(float32(math.NaN()), y.RowRange(y.Rows-1, y.Rows))
	}
	return y
}

func (l bad) Backward(c *nn.Context, _ nn.Graph, dy tensor.Tensor, _ bool) tensor.Tensor {
	if l.back {
		c.New(2, 2)
		panic("no way back")
	}
	dx := c.New(dy.Rows, dy.Cols)
	c.Q.Axpby(float32(math.Inf(1)), dy, 0, dx)
	return dx
}

func TestStepErrors(t *testing.T) {
	d := generate(t, small)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name, params string
		damage       func(b *loader.Batch, m *Model)
		finite       bool // the error is of another kind
		says         []string
	}{
		{"NaN feature", "lr: 0.01", func(b *loader.Batch, _ *Model) { b.Features[5*12] = nan }, false, []string{"step 7, batch 0 (phase 0): the loss is NaN, not finite", "the features of node"}},
		{"NaN weight", "lr: 0.01", func(b *loader.Batch, _ *Model) { b.LossNorm[2] = nan }, false, []string{"the loss weight of node", "NaN"}},
		{"infinite edge", "lr: 0.01", func(b *loader.Batch, _ *Model) { b.AdjNorm[3] = float32(math.Inf(1)) }, false, []string{"the weight of edge 3 of the batch is +Inf"}},
		{"layer makes NaN", "lr: 0.01", func(_ *loader.Batch, m *Model) { m.Seq.Add("mine", bad{dim: 3, nan: true}) }, false, []string{"the output of layer mine is the first", "at node"}},
		{"gradient explodes", "lr: 0.01", func(_ *loader.Batch, m *Model) { m.Seq.Add("mine", bad{dim: 3}) }, false, []string{"the squared gradient norm is", "not finite", "the gradient of classifier.hops.0.weight in layer classifier is the first"}},
		{"gradient explodes unclipped", "lr: 0.01; grad_clip: 0", func(_ *loader.Batch, m *Model) { m.Seq.Add("mine", bad{dim: 3}) }, false, []string{"the squared gradient norm is"}},
		{"class out of range", "lr: 0.01", func(b *loader.Batch, _ *Model) { b.Class[0] = 3 }, true, []string{"step 7, batch 0", "class 3 of row 0 is outside 3 columns"}},
		{"layer panics", "lr: 0.01", func(_ *loader.Batch, m *Model) { m.Seq.Add("mine", breaking{}) }, true, []string{"step 7, batch 0: layer mine panicked: a bug"}},
		{"backward panics", "lr: 0.01", func(_ *loader.Batch, m *Model) { m.Seq.Add("mine", bad{dim: 3, back: true}) }, true, []string{"step 7, batch 0: layer mine panicked: no way back"}},
		{"wrong labels", "lr: 0.01", func(b *loader.Batch, _ *Model) { b.Class = b.Class[:4] }, true, []string{"what follows the last layer panicked", "SoftmaxXent"}},
		{"wrong features", "lr: 0.01", func(b *loader.Batch, _ *Model) { b.Features = b.Features[:13] }, true, []string{"the input panicked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := parse(t, yaml("dim: 16; arch: '1-1-0'; act: relu", c.params, stepPhase))
			s := newBench(t, conf, d, backend(t, 2), nil)
			b := clone(draw(t, conf, d, rows{FeatureStore: d.Features}, 1)[0])
			c.damage(b, s.model)
			before := s.params()
			_, err := s.Step(b, 7, nil)
			wantError(t, "Step", err, c.says...)
			if errors.Is(err, ErrNotFinite) == c.finite {
				t.Errorf("Step = %v, which wraps ErrNotFinite: %v, want %v", err, c.finite, !c.finite)
			}
			var p *LayerPanic
			if errors.As(err, &p) != strings.Contains(err.Error(), "panicked") || p != nil && p.Stack == "" {
				t.Errorf("Step = %T, want a LayerPanic with its stack where a layer panicked", err)
			}
			s.empty("an error")
			if !sameBits(before, s.params()) {
				t.Error("the failed step changed the weights")
			}
		})
	}
}

// TestStepSumSquares: the norm the optimizer keeps is that of the gradient, which the step
// checks; clipping does not hide it.
func TestStepSumSquares(t *testing.T) {
	d := generate(t, small)
	for _, params := range []string{"lr: 0.01", "lr: 0.01; grad_clip: 0.001", "lr: 0.01; grad_clip: 0"} {
		c := parse(t, yaml("dim: 16; arch: '1-1-0'; act: relu", params, stepPhase))
		s := newBench(t, c, d, backend(t, 1), d.Features.(formats.Resident))
		b := draw(t, c, d, nil, 1)[0]
		if _, err := s.Step(b, 0, nil); err != nil {
			t.Fatal(err)
		}
		got := nntest.Download(s.q, s.opt.(*optim.Adam).SumSquares())[0]
		// The first moment after one update is a tenth of the clipped gradient.
		norm := 0.0
		for _, n := range s.opt.State() {
			if strings.HasPrefix(n.Name, "adam.m.") {
				for _, m := range nntest.Download(s.q, n.Value) {
					norm += 100 * float64(m) * float64(m)
				}
			}
		}
		want := norm
		if clip := c.Params.GradClip; clip > 0 && float64(got) > clip*clip {
			if math.Abs(norm-clip*clip) > 1e-4*clip*clip {
				t.Errorf("%s: squared norm of the clipped gradient %v, want %v", params, norm, clip*clip)
			}
			continue
		}
		if math.Abs(float64(got)-want) > 1e-4*want {
			t.Errorf("%s: SumSquares() = %v, want %v", params, got, want)
		}
	}
}
