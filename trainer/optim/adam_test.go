package optim_test

import (
	"math"
	"strings"
	"testing"

	_ "github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

type device struct {
	q tensor.Queue
	a tensor.Arena
}

func newDevice(t *testing.T) device {
	t.Helper()
	b, err := tensor.Open("cpu", tensor.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	var d device
	if d.a, err = b.NewArena(); err != nil {
		t.Fatal(err)
	}
	if d.q, err = b.NewQueue(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.q.Close()
		d.a.Close()
		b.Close()
	})
	return d
}

var (
	startA = []float32{1, -2, 0.5, 3, -1, 0.25}
	startB = []float32{0.1, -0.1}
)

// params returns two trained parameters and a buffer between them.
func (d device) params() []*nn.Param {
	p := []*nn.Param{
		{Name: "a", Value: nntest.Upload(d.q, d.a, tensor.F32, 2, 3, startA), Grad: d.a.Alloc(tensor.F32, 2, 3)},
		{Name: "running", Value: nntest.Upload(d.q, d.a, tensor.F32, 1, 2, startB)},
		{Name: "b", Value: nntest.Upload(d.q, d.a, tensor.F32, 1, 2, startB), Grad: d.a.Alloc(tensor.F32, 1, 2)},
	}
	nntest.ZeroGrads(d.q, p)
	return p
}

// gradOf returns the gradient of step t: it changes sign and size over elements and steps.
func gradOf(n, step int, scale float64) []float32 {
	g := make([]float32, n)
	for i := range g {
		g[i] = float32(scale * math.Sin(float64(3*i+2*step+1)))
	}
	return g
}

// reference is Adam in float64, written from the paper.
type reference struct {
	value, m, v [][]float64
	cfg         optim.AdamConfig
}

func newReference(cfg optim.AdamConfig) *reference {
	r := &reference{cfg: cfg}
	for _, start := range [][]float32{startA, startB} {
		value := make([]float64, len(start))
		for i, x := range start {
			value[i] = float64(x)
		}
		r.value = append(r.value, value)
		r.m = append(r.m, make([]float64, len(start)))
		r.v = append(r.v, make([]float64, len(start)))
	}
	return r
}

func (r *reference) step(t int, grads [][]float32) (norm float64) {
	g := make([][]float64, len(grads))
	for p := range grads {
		for i, x := range grads[p] {
			d := float64(x) + r.cfg.WeightDecay*r.value[p][i]
			g[p] = append(g[p], d)
			norm += d * d
		}
	}
	norm = math.Sqrt(norm)
	for p := range g {
		for i, d := range g[p] {
			switch {
			case r.cfg.Clip > 0 && r.cfg.ClipBy == optim.ClipNorm:
				d *= min(1, r.cfg.Clip/(norm+1e-6))
			case r.cfg.Clip > 0:
				d = max(-r.cfg.Clip, min(r.cfg.Clip, d))
			}
			m, v := &r.m[p][i], &r.v[p][i]
			*m = r.cfg.Beta1**m + (1-r.cfg.Beta1)*d
			*v = r.cfg.Beta2**v + (1-r.cfg.Beta2)*d*d
			mh := *m / (1 - math.Pow(r.cfg.Beta1, float64(t)))
			vh := *v / (1 - math.Pow(r.cfg.Beta2, float64(t)))
			r.value[p][i] -= r.cfg.LR * mh / (math.Sqrt(vh) + r.cfg.Eps)
		}
	}
	return norm
}

func TestAdam(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*optim.AdamConfig)
		scale  float64
	}{
		{"small gradients", func(*optim.AdamConfig) {}, 1},
		{"clipped by norm", func(*optim.AdamConfig) {}, 100},
		{"clipped by value", func(c *optim.AdamConfig) { c.ClipBy = optim.ClipValue }, 8},
		{"not clipped", func(c *optim.AdamConfig) { c.Clip, c.ClipBy = 0, "" }, 100},
		{"weight decay", func(c *optim.AdamConfig) { c.WeightDecay = 0.1 }, 0.2},
		{"weight decay and clipping", func(c *optim.AdamConfig) { c.WeightDecay, c.Clip = 1, 1 }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := optim.DefaultAdam()
			c.change(&cfg)
			checkAdam(t, cfg, c.scale)
		})
	}
}

// checkAdam compares twenty steps with the reference.
func checkAdam(t *testing.T, cfg optim.AdamConfig, scale float64) {
	d := newDevice(t)
	params := d.params()
	o, err := optim.NewAdam(cfg, d.a, d.q, params)
	if err != nil {
		t.Fatal(err)
	}
	ref := newReference(cfg)
	for step := 1; step <= 20; step++ {
		ga, gb := gradOf(6, step, scale), gradOf(2, step+7, scale)
		nntest.Set(d.q, params[0].Grad, ga)
		nntest.Set(d.q, params[2].Grad, gb)
		if err := o.Step(d.q, params); err != nil {
			t.Fatal(err)
		}
		want := ref.step(step, [][]float32{ga, gb})
		got := math.Sqrt(float64(nntest.Download(d.q, o.SumSquares())[0]))
		if math.Abs(got-want) > 1e-5*want {
			t.Fatalf("step %d: gradient norm %v, want %v", step, got, want)
		}
	}
	for i, p := range []*nn.Param{params[0], params[2]} {
		grad := nntest.Download(d.q, p.Grad)
		for j, got := range nntest.Download(d.q, p.Value) {
			// 20 steps of size 0.01 in float32.
			if want := ref.value[i][j]; math.Abs(float64(got)-want) > 2e-6 || grad[j] != 0 {
				t.Errorf("%s element %d = %v with gradient %v after the step, want %v with 0", p.Name, j, got, grad[j], want)
			}
		}
	}
	if got := nntest.Download(d.q, params[1].Value); got[0] != startB[0] || got[1] != startB[1] {
		t.Errorf("buffer became %v, want %v", got, startB)
	}
}

// TestAdamState: an optimizer with the state and count of another continues bit for bit.
func TestAdamState(t *testing.T) {
	d := newDevice(t)
	params := d.params()
	steps := func(o *optim.Adam, params []*nn.Param, from, to int) {
		t.Helper()
		for step := from; step < to; step++ {
			nntest.Set(d.q, params[0].Grad, gradOf(6, step, 1))
			nntest.Set(d.q, params[2].Grad, gradOf(2, step, 1))
			if err := o.Step(d.q, params); err != nil {
				t.Fatal(err)
			}
		}
	}
	first, err := optim.NewAdam(optim.DefaultAdam(), d.a, d.q, params)
	if err != nil {
		t.Fatal(err)
	}
	steps(first, params, 0, 5)

	resumed := d.params()
	for i := range params {
		nntest.Set(d.q, resumed[i].Value, nntest.Download(d.q, params[i].Value))
	}
	second, err := optim.NewAdam(optim.DefaultAdam(), d.a, d.q, resumed)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	state := second.State()
	for i, s := range first.State() {
		names = append(names, s.Name)
		nntest.Set(d.q, state[i].Value, nntest.Download(d.q, s.Value))
	}
	if got, want := strings.Join(names, " "), "adam.m.a adam.v.a adam.m.b adam.v.b"; got != want {
		t.Errorf("State() has %s, want %s", got, want)
	}
	second.SetCount(first.Count())
	steps(first, params, 5, 9)
	steps(second, resumed, 5, 9)
	if first.Count() != 9 || second.Count() != 9 {
		t.Errorf("Count() = %d and %d, want 9", first.Count(), second.Count())
	}
	for i := range params {
		a, b := nntest.Download(d.q, params[i].Value), nntest.Download(d.q, resumed[i].Value)
		for j := range a {
			if math.Float32bits(a[j]) != math.Float32bits(b[j]) {
				t.Errorf("%s element %d = %v resumed, want %v", params[i].Name, j, b[j], a[j])
			}
		}
	}
}

func TestAdamErrors(t *testing.T) {
	d := newDevice(t)
	params := d.params()
	for _, c := range []struct {
		want   string
		change func(*optim.AdamConfig)
	}{
		{"lr NaN: must be a number of at least 0", func(c *optim.AdamConfig) { c.LR = math.NaN() }},
		{"adam betas 1, 0.999: must be at least 0 and below 1", func(c *optim.AdamConfig) { c.Beta1 = 1 }},
		{"adam eps 0: must be above 0", func(c *optim.AdamConfig) { c.Eps = 0 }},
		{"adam eps 1e-46: must be above 0", func(c *optim.AdamConfig) { c.Eps = 1e-46 }}, // which is 0 for the device
		{"weight_decay -1: must be a number of at least 0", func(c *optim.AdamConfig) { c.WeightDecay = -1 }},
		{"grad_clip +Inf: must be a number of at least 0", func(c *optim.AdamConfig) { c.Clip = math.Inf(1) }},
		{`grad_clip_type "": unknown, there is norm, value`, func(c *optim.AdamConfig) { c.ClipBy = "" }},
	} {
		cfg := optim.DefaultAdam()
		c.change(&cfg)
		if _, err := optim.NewAdam(cfg, d.a, d.q, params); err == nil || err.Error() != c.want {
			t.Errorf("NewAdam = %v, want %s", err, c.want)
		}
	}
	o, err := optim.NewAdam(optim.DefaultAdam(), d.a, d.q, params)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range [][]*nn.Param{params[:1], {params[2], params[0]}, append(d.params(), params...)} {
		if err := o.Step(d.q, other); err == nil {
			t.Errorf("Step with %d other parameters succeeded, want an error", len(other))
		}
	}
}
