package optim_test

import (
	"errors"
	"math"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// counted counts operations of an update.
type counted struct {
	tensor.Queue
	ops int
}

func (c *counted) Fill(v float32, t tensor.Tensor) { c.ops++; c.Queue.Fill(v, t) }

func (c *counted) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	c.ops++
	c.Queue.Axpby(alpha, x, beta, y)
}

func (c *counted) Scale(f float32, t tensor.Tensor) { c.ops++; c.Queue.Scale(f, t) }

func (c *counted) SumSquares(x, out tensor.Tensor) { c.ops++; c.Queue.SumSquares(x, out) }

func (c *counted) Adam(h tensor.AdamStep, sumsq, grad, m, v, value tensor.Tensor) {
	c.ops++
	c.Queue.Adam(h, sumsq, grad, m, v, value)
}

func (c *counted) SGD(h tensor.SGDStep, sumsq, grad, m, value tensor.Tensor) {
	c.ops++
	c.Queue.SGD(h, sumsq, grad, m, value)
}

func (c *counted) RMSProp(h tensor.RMSPropStep, sumsq, grad, v, m, value tensor.Tensor) {
	c.ops++
	c.Queue.RMSProp(h, sumsq, grad, v, m, value)
}

// built returns parameters of a builder with the values of params.
func (d device) built(t *testing.T) []*nn.Param {
	t.Helper()
	b, err := tensor.Open("cpu", tensor.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	builder, err := nn.NewBuilder(b, d.a, 1)
	if err != nil {
		t.Fatal(err)
	}
	var list []*nn.Param
	for _, p := range d.params() {
		if p.Trained() {
			list = append(list, builder.Param(p.Name, p.Value.Rows, p.Value.Cols, "zeros"))
		} else {
			list = append(list, builder.Buffer(p.Name, p.Value.Rows, p.Value.Cols, "zeros"))
		}
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	for i, p := range d.params() {
		nntest.SetValues(d.q, list[i].Value, nntest.Values(d.q, p.Value))
	}
	return list
}

// Parameters that lie one behind the other are updated by one operation each for norm, decay and values,
// as each of them would be alone.
func TestUpdateOfAll(t *testing.T) {
	common := optim.Common{LR: 0.1, WeightDecay: 0.01, Clip: 1, ClipBy: optim.ClipNorm}
	for name, c := range map[string]struct {
		make func(d device, params []*nn.Param) (optim.Optimizer, error)
		ops  int
	}{
		"adam": {func(d device, params []*nn.Param) (optim.Optimizer, error) {
			return optim.NewAdam(optim.AdamConfig{Common: common, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}, d.a, d.q, params)
		}, 4},
		"adamw": {func(d device, params []*nn.Param) (optim.Optimizer, error) {
			return optim.NewAdam(optim.AdamConfig{Common: common, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decoupled: true}, d.a, d.q, params)
		}, 4},
		"sgd": {func(d device, params []*nn.Param) (optim.Optimizer, error) {
			return optim.NewSGD(optim.SGDConfig{Common: common, Momentum: 0.9}, d.a, d.q, params)
		}, 4},
		"rmsprop": {func(d device, params []*nn.Param) (optim.Optimizer, error) {
			return optim.NewRMSProp(optim.RMSPropConfig{Common: common, Alpha: 0.9, Eps: 1e-8}, d.a, d.q, params)
		}, 4},
	} {
		d := newDevice(t)
		lists := [][]*nn.Param{d.built(t), d.params()}
		var opts []optim.Optimizer
		for i, params := range lists {
			o, err := c.make(d, params)
			if err != nil {
				t.Fatal(err)
			}
			opts = append(opts, o)
			if ops := d.threeSteps(t, o, params); i == 0 && ops != 3*c.ops {
				t.Errorf("%s: %d operations in 3 steps, want %d each", name, ops, c.ops)
			}
		}
		for k := range lists[0] {
			near(t, name+" "+lists[0][k].Name, nntest.Download(d.q, lists[0][k].Value), nntest.Download(d.q, lists[1][k].Value))
		}
		for k, s := range opts[0].State() {
			want := opts[1].State()[k]
			if s.Name != want.Name {
				t.Errorf("%s: state %d is %s, want %s", name, k, s.Name, want.Name)
			}
			near(t, name+" "+s.Name, nntest.Download(d.q, s.Value), nntest.Download(d.q, want.Value))
		}
	}
}

// threeSteps does three steps and returns how many operations they are.
func (d device) threeSteps(t *testing.T, o optim.Optimizer, params []*nn.Param) int {
	t.Helper()
	q := &counted{Queue: d.q}
	for step := range 3 {
		for k, p := range params {
			if p.Trained() {
				nntest.SetValues(d.q, p.Grad, wide(gradOf(p.Value.Rows*p.Value.Cols, step+k, 1)))
			}
		}
		if err := o.Step(q, params); err != nil {
			t.Fatal(err)
		}
	}
	return q.ops
}

func wide(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i]-want[i])) <= 1e-6*max(1, math.Abs(float64(want[i])))) {
			t.Errorf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

// A check that refuses an update leaves values, moments and count as they were.
func TestCheckRefuses(t *testing.T) {
	d := newDevice(t)
	params := d.built(t)
	o, err := optim.NewAdam(optim.DefaultAdam(), d.a, d.q, params)
	if err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	o.SetCheck(func(tensor.Queue, tensor.Tensor) error { return no })
	if err := o.Step(d.q, params); !errors.Is(err, no) || o.Count() != 0 {
		t.Errorf("Step = %v with count %d, want the check's error and 0", err, o.Count())
	}
	near(t, "value", nntest.Download(d.q, params[0].Value), startA)
	o.SetCheck(nil)
	if err := o.Step(d.q, params); err != nil || o.Count() != 1 {
		t.Errorf("Step = %v with count %d, want 1", err, o.Count())
	}
}
