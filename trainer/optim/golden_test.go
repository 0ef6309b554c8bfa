package optim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
)

// golden is a training of startA and startB with PyTorch; see make_golden.py.
type golden struct {
	Kind        string      `json:"kind"`
	LR          float64     `json:"lr"`
	WeightDecay float64     `json:"weight_decay"`
	Momentum    float64     `json:"momentum"`
	Nesterov    bool        `json:"nesterov"`
	Alpha       float64     `json:"alpha"`
	Clip        float64     `json:"clip"`
	ClipBy      string      `json:"clip_by"`
	Scale       float64     `json:"scale"`
	Steps       int         `json:"steps"`
	Values      [][]float64 `json:"values"`
}

func (g *golden) name() string {
	return fmt.Sprintf("%s decay %v momentum %v nesterov %v clip %s", g.Kind, g.WeightDecay, g.Momentum, g.Nesterov, g.ClipBy)
}

func (g *golden) optimizer(d device, params []*nn.Param) (optim.Optimizer, error) {
	common := optim.Common{LR: g.LR, WeightDecay: g.WeightDecay, Clip: g.Clip, ClipBy: g.ClipBy}
	switch g.Kind {
	case "sgd":
		return optim.NewSGD(optim.SGDConfig{Common: common, Momentum: g.Momentum, Nesterov: g.Nesterov}, d.a, d.q, params)
	case "rmsprop":
		return optim.NewRMSProp(optim.RMSPropConfig{Common: common, Alpha: g.Alpha, Eps: 1e-8, Momentum: g.Momentum}, d.a, d.q, params)
	default:
		cfg := optim.AdamConfig{Common: common, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decoupled: g.Kind == "adamw"}
		return optim.NewAdam(cfg, d.a, d.q, params)
	}
}

func goldens(t *testing.T) []golden {
	t.Helper()
	data, err := os.ReadFile("../testdata/training/optim.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// step sets the gradients of update number i, counted from 1, and does it.
func (g *golden) step(t *testing.T, d device, o optim.Optimizer, params []*nn.Param, i int) {
	t.Helper()
	if i == 11 {
		o.SetLR(g.LR / 2)
	}
	nntest.Set(d.q, params[0].Grad, gradOf(6, i, g.Scale))
	nntest.Set(d.q, params[2].Grad, gradOf(2, i+7, g.Scale))
	if err := o.Step(d.q, params); err != nil {
		t.Fatal(err)
	}
}

// TestGolden: the optimizers do what PyTorch's do, with clipping after weight decay.
func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name(), func(t *testing.T) {
			d := newDevice(t)
			params := d.params()
			o, err := g.optimizer(d, params)
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; i <= g.Steps; i++ {
				g.step(t, d, o, params, i)
			}
			for k, p := range []*nn.Param{params[0], params[2]} {
				grad := nntest.Download(d.q, p.Grad)
				for j, got := range nntest.Download(d.q, p.Value) {
					want := g.Values[k][j]
					if math.Abs(float64(got)-want) > 1e-4*math.Abs(want)+1e-6 || grad[j] != 0 {
						t.Errorf("%s element %d = %v with gradient %v, want %v with 0", p.Name, j, got, grad[j], want)
					}
				}
			}
		})
	}
}

// TestResume: an optimizer with the state and count of another continues bit for bit, and no
// update allocates.
func TestResume(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name(), func(t *testing.T) { g.resume(t) })
	}
}

func (g *golden) resume(t *testing.T) {
	d := newDevice(t)
	params, resumed := d.params(), d.params()
	first, err := g.optimizer(d, params)
	if err != nil {
		t.Fatal(err)
	}
	second, err := g.optimizer(d, resumed)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		g.step(t, d, first, params, i)
	}
	for i := range params {
		nntest.Set(d.q, resumed[i].Value, nntest.Download(d.q, params[i].Value))
	}
	state := second.State()
	for i, s := range first.State() {
		if s.Name != state[i].Name {
			t.Fatalf("state %d is %s and %s", i, s.Name, state[i].Name)
		}
		nntest.Set(d.q, state[i].Value, nntest.Download(d.q, s.Value))
	}
	second.SetCount(first.Count())
	for i := 6; i <= 12; i++ {
		g.step(t, d, first, params, i)
		g.step(t, d, second, resumed, i)
	}
	for i, p := range params {
		if got, want := nntest.Download(d.q, resumed[i].Value), nntest.Download(d.q, p.Value); !slices.Equal(got, want) {
			t.Errorf("%s = %v resumed, want %v", p.Name, got, want)
		}
	}
	var failed error
	if n := testing.AllocsPerRun(20, func() { failed = first.Step(d.q, params) }); n != 0 || failed != nil {
		t.Errorf("Step allocates %v times with error %v, want 0 and none", n, failed)
	}
}

func TestStateNames(t *testing.T) {
	for _, c := range []struct {
		g    golden
		want []string
	}{
		{golden{Kind: "adamw"}, []string{"adam.m.a", "adam.v.a", "adam.m.b", "adam.v.b"}},
		{golden{Kind: "sgd"}, nil},
		{golden{Kind: "sgd", Momentum: 0.9}, []string{"sgd.m.a", "sgd.m.b"}},
		{golden{Kind: "rmsprop"}, []string{"rmsprop.v.a", "rmsprop.v.b"}},
		{golden{Kind: "rmsprop", Momentum: 0.9}, []string{"rmsprop.v.a", "rmsprop.m.a", "rmsprop.v.b", "rmsprop.m.b"}},
	} {
		d := newDevice(t)
		o, err := c.g.optimizer(d, d.params())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range o.State() {
			got = append(got, s.Name)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("state of %s is %v, want %v", c.g.name(), got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		g    golden
		want string
	}{
		{golden{Kind: "sgd", Momentum: 1}, "sgd momentum 1: must be at least 0 and below 1"},
		{golden{Kind: "sgd", Nesterov: true}, "sgd nesterov: needs momentum"},
		{golden{Kind: "sgd", LR: -1}, "lr -1: must be a number of at least 0"},
		{golden{Kind: "rmsprop", Alpha: 1}, "rmsprop alpha 1: must be at least 0 and below 1"},
		{golden{Kind: "rmsprop", Momentum: math.NaN()}, "rmsprop momentum NaN: must be at least 0 and below 1"},
		{golden{Kind: "rmsprop", Clip: 1}, `grad_clip_type "": unknown, there is norm, value`},
	} {
		d := newDevice(t)
		if _, err := c.g.optimizer(d, d.params()); err == nil || err.Error() != c.want {
			t.Errorf("%+v: error %v, want %s", c.g, err, c.want)
		}
	}
}
