package nn_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// golden is one file of testdata/model: a training run computed by PyTorch in float64.
type golden struct {
	file *safetensors.File
	meta map[string]string
}

func readGolden(t *testing.T, path string) *golden {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &golden{file: f, meta: f.Metadata()}
}

func (g *golden) tensor(t *testing.T, name string) safetensors.Tensor {
	t.Helper()
	v, err := g.file.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *golden) words(t *testing.T, name string) []int32 {
	t.Helper()
	v := g.tensor(t, name)
	w, err := v.Int32s()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (g *golden) floats(t *testing.T, name string) []float32 {
	t.Helper()
	v := g.tensor(t, name)
	w, err := v.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (g *golden) number(t *testing.T, key string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(g.meta[key], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *golden) spec(t *testing.T) nn.ModelSpec {
	t.Helper()
	act, err := nn.ParseAct(g.meta["act"])
	if err != nil {
		t.Fatal(err)
	}
	m := nn.ModelSpec{
		In: g.tensor(t, "x").Shape[1], Dim: int(g.number(t, "dim")), Classes: g.tensor(t, "logits").Shape[1],
		Act: act, Aggr: g.meta["aggr"], Bias: g.meta["bias"], Layer: g.meta["layer"], JK: g.meta["jk"],
		Norm: g.meta["norm"], Residual: g.meta["residual"], Head: g.meta["head"],
	}
	if keys := g.meta["keys"]; keys != "" {
		m.Extra = yamlKeys(keys)
	}
	for _, order := range strings.Split(g.meta["arch"], "-") {
		k, err := strconv.Atoi(order)
		if err != nil {
			t.Fatal(err)
		}
		m.Orders = append(m.Orders, k)
	}
	return m
}

// trainee is a model with everything a step needs.
type trainee struct {
	q              tensor.Queue
	params, step   tensor.Arena
	store          *actmem.Keep
	model          *nn.Sequential
	loss           loss.Loss
	adam           *optim.Adam
	graph          nn.Graph
	x, target, w   tensor.Tensor
	lossValue      tensor.Tensor
	ctx            nn.Context
	logits         tensor.Tensor
	keepLogits     bool
	beforeOptimize func()
}

func newTrainee(tb testing.TB, threads int) *trainee {
	tb.Helper()
	b := open(tb, threads)
	r := &trainee{}
	var err error
	if r.q, err = b.NewQueue(); err != nil {
		tb.Fatal(err)
	}
	if r.params, err = b.NewArena(); err != nil {
		tb.Fatal(err)
	}
	if r.step, err = b.NewArena(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		r.q.Close()
		r.params.Close()
		r.step.Close()
	})
	r.store = actmem.NewKeep(r.step)
	r.lossValue = r.params.Alloc(tensor.F32, 1, 1)
	r.ctx = nn.Context{Q: r.q, A: r.step, Store: r.store, Train: true}
	return r
}

func (r *trainee) build(tb testing.TB, b tensor.Backend, m nn.ModelSpec, lossName string, cfg optim.AdamConfig) {
	tb.Helper()
	builder, err := nn.NewBuilder(b, r.params, 1)
	if err != nil {
		tb.Fatal(err)
	}
	if r.model, err = nn.Build(m, builder); err != nil {
		tb.Fatal(err)
	}
	if err = builder.Close(); err != nil {
		tb.Fatal(err)
	}
	if r.loss, err = loss.New(lossName); err != nil {
		tb.Fatal(err)
	}
	if r.adam, err = optim.NewAdam(cfg, r.params, r.q, r.model.Params()); err != nil {
		tb.Fatal(err)
	}
}

// run does one step: the whole path of training.
func (r *trainee) run() error {
	c := &r.ctx
	y := r.model.Forward(c, r.graph, r.x)
	d := r.step.Alloc(tensor.F32, y.Rows, y.Cols)
	r.loss.Eval(r.q, y, r.target, r.w, r.lossValue, d)
	if r.keepLogits {
		r.logits = y
	} else {
		r.step.Release(y)
	}
	r.model.Backward(c, r.graph, d, false)
	r.step.Release(d)
	if r.beforeOptimize != nil {
		r.beforeOptimize()
	}
	if err := r.adam.Step(r.q, r.model.Params()); err != nil {
		return err
	}
	c.Step++
	return r.q.Sync()
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("../../testdata/model/*.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".safetensors"), func(t *testing.T) { checkGolden(t, readGolden(t, f)) })
	}
}

func checkGolden(t *testing.T, g *golden) {
	r := newTrainee(t, 2)
	n, in := g.tensor(t, "x").Shape[0], g.tensor(t, "x").Shape[1]
	cfg := optim.DefaultAdam()
	cfg.LR, cfg.Clip, cfg.WeightDecay = g.number(t, "lr"), g.number(t, "clip"), g.number(t, "weight_decay")
	r.build(t, open(t, 2), g.spec(t), g.meta["loss"], cfg)
	for _, p := range r.model.Params() {
		if s := g.tensor(t, "param."+p.Name).Shape; len(s) != 2 || s[0] != p.Value.Rows || s[1] != p.Value.Cols {
			t.Fatalf("parameter %s has shape %s, want %v", p.Name, p.Value, s)
		}
		nntest.Set(r.q, p.Value, g.floats(t, "param."+p.Name))
	}
	host := nntest.CSR{Rows: n, Cols: n, Indptr: g.words(t, "indptr"), Indices: g.words(t, "indices"), Values: g.floats(t, "values")}
	r.graph = host.Batch(r.q, r.params)
	r.x = nntest.Upload(r.q, r.params, tensor.F32, n, in, g.floats(t, "x"))
	r.w = nntest.Upload(r.q, r.params, tensor.F32, n, 1, g.floats(t, "weight"))
	if target := g.tensor(t, "target"); target.DType == safetensors.I32 {
		r.target = nntest.Upload(r.q, r.params, tensor.I32, n, 1, g.words(t, "target"))
	} else {
		r.target = nntest.Upload(r.q, r.params, tensor.U8, n, target.Shape[1], target.Data)
	}

	// The first step: 1e-4 of the tensor's largest element. Float32 against float64 through
	// up to six layers leaves some 1e-6; a wrong formula leaves 1e-2.
	r.keepLogits = true
	r.beforeOptimize = func() {
		within(t, "logits", nntest.Download(r.q, r.logits), g.floats(t, "logits"), 1e-4)
		r.step.Release(r.logits)
		for _, p := range r.model.Params() {
			if p.Trained() {
				within(t, "gradient of "+p.Name, nntest.Download(r.q, p.Grad), g.floats(t, "grad."+p.Name), 1e-4)
			}
		}
		r.keepLogits, r.beforeOptimize = false, nil
	}
	losses, norms := g.floats(t, "losses"), g.floats(t, "norms")
	for i := range losses {
		if err := r.run(); err != nil {
			t.Fatal(err)
		}
		tol := 1e-4
		if i > 0 {
			tol = 1e-3
		}
		within(t, fmt.Sprintf("loss of step %d", i), nntest.Download(r.q, r.lossValue), losses[i:i+1], tol)
		square := nntest.Download(r.q, r.adam.SumSquares())[0]
		within(t, fmt.Sprintf("gradient norm of step %d", i), []float32{float32(math.Sqrt(float64(square)))}, norms[i:i+1], tol)
		if r.step.Live() != 0 || r.store.Bytes() != 0 {
			t.Fatalf("after step %d: %d tensors live, %d bytes stored, want none", i, r.step.Live(), r.store.Bytes())
		}
	}
	// After ten steps: 1e-3 of the tensor's largest element. Adam divides by the gradient's
	// own size, which lifts the rounding of small gradients to that of a step, 0.01.
	for _, p := range r.model.Params() {
		within(t, "trained "+p.Name, nntest.Download(r.q, p.Value), g.floats(t, "trained."+p.Name), 1e-3)
	}
	r.ctx.Train, r.ctx.Store = false, nil
	y := r.model.Forward(&r.ctx, r.graph, r.x)
	within(t, "logits in evaluation", nntest.Download(r.q, y), g.floats(t, "eval_logits"), 1e-3)
	r.step.Release(y)
}

// within compares relative to the largest element of want.
func within(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	var scale, worst float64
	at := 0
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= worst) {
			worst, at = d, i
		}
	}
	if testing.Verbose() {
		t.Logf("%s: %.2g", what, worst/scale)
	}
	if !(worst <= tol*scale) {
		t.Errorf("%s: element %d = %v, want %v within %g of the largest element, %g", what, at, got[at], want[at], tol, scale)
	}
}
