package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu64"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func TestMaxPool(t *testing.T) {
	nntest.Check(t, "jk_max_pool", nn.Spec{In: 12, Dim: 4}, open(t, 1), open(t, 4))
}

// doubleRig is a model with its loss in double precision on a small graph.
type doubleRig struct {
	t                    *testing.T
	q                    tensor.Queue
	step                 tensor.Arena
	store                *actmem.Keep
	seq                  *nn.Sequential
	loss                 loss.Loss
	graph                nn.Local
	x, class, weight, at tensor.Tensor
}

func newDouble(t *testing.T, m nn.ModelSpec, sigmoid bool, smooth float64) *doubleRig {
	t.Helper()
	const n = 20
	b := cpu64.Open(tensor.Options{Threads: 2})
	t.Cleanup(func() { b.Close() })
	r := &doubleRig{t: t}
	params, err := b.NewArena()
	must(t, err)
	t.Cleanup(func() { params.Close() })
	r.step, err = b.NewArena()
	must(t, err)
	t.Cleanup(func() { r.step.Close() })
	r.q, err = b.NewQueue()
	must(t, err)
	r.store = actmem.NewKeep(r.step)
	builder, err := nn.NewBuilder(b, params, 3)
	must(t, err)
	r.seq, err = nn.Build(m, builder)
	must(t, err)
	must(t, builder.Close())
	rnd := rand.New(rand.NewPCG(4, 4))
	normal := func(n int, scale float64, offset []float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = scale * rnd.NormFloat64()
			if offset != nil {
				v[i] += offset[i]
			}
		}
		return v
	}
	for _, p := range r.seq.Params() { // biases of 0 put isolated nodes on the kink of an activation
		if p.Trained() {
			v := nntest.Values(r.q, p.Value)
			nntest.SetValues(r.q, p.Value, normal(len(v), 0.3, v))
		}
	}
	r.graph = nn.Local{A: nntest.RandomGraph(rnd, n, 60).Upload(r.q, params)}
	r.x, r.weight, r.at = params.Alloc(tensor.F32, n, m.In), params.Alloc(tensor.F32, n, 1), params.Alloc(tensor.F32, 1, 1)
	nntest.SetValues(r.q, r.x, normal(n*m.In, 1, nil))
	weights, classes := make([]float64, n), make([]int32, n)
	for i := range weights {
		weights[i], classes[i] = float64(i%4), int32(rnd.IntN(m.Classes))
	}
	nntest.SetValues(r.q, r.weight, weights)
	r.class = nntest.Upload(r.q, params, tensor.I32, n, 1, classes)
	r.loss = loss.Softmax{}
	if sigmoid {
		r.loss = loss.Sigmoid{}
	}
	if smooth > 0 {
		share := params.Alloc(tensor.F32, 1, m.Classes)
		values := []float64{0.5, 1, 2}
		nntest.SetValues(r.q, share, values)
		r.loss, err = loss.Smooth(r.loss, smooth, values, share)
		must(t, err)
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *doubleRig) context() *nn.Context {
	return &nn.Context{Q: r.q, A: r.step, Store: r.store, Train: true, Seed: 1, Step: 2}
}

// run returns the loss and, with back, adds gradients to those of the parameters.
func (r *doubleRig) run(back bool) float64 {
	r.t.Helper()
	c := r.context()
	y := r.seq.Forward(c, r.graph, r.x)
	d := r.step.Alloc(tensor.F32, y.Rows, y.Cols)
	r.loss.Eval(r.q, y, r.class, r.weight, r.at, d)
	r.step.Release(y)
	if back {
		r.seq.Backward(c, r.graph, d, false)
	}
	r.step.Release(d)
	if back && (r.step.Live() != 0 || r.store.Bytes() != 0) {
		r.t.Fatalf("%d tensors live, %d bytes stored, want none", r.step.Live(), r.store.Bytes())
	}
	r.store.Reset()
	r.step.Reset()
	return nntest.Values(r.q, r.at)[0]
}

// The gradient of a whole model, dropout on, from its loss down to the first layer, to eight
// digits.
func TestModelGradients(t *testing.T) {
	model := func(layer, jk, bias, aggr string, orders ...int) nn.ModelSpec {
		return nn.ModelSpec{
			Layer: layer, Heads: 2, In: 5, Dim: 4, Classes: 3, Orders: orders, Act: tensor.LeakyReLU, Aggr: aggr, Bias: bias, Dropout: 0.3, JK: jk,
		}
	}
	for i, m := range []nn.ModelSpec{
		model("", "", "norm", "concat", 1, 1, 0),
		model("", "", "norm-nn", "mean", 1, 0, 1, 0),
		model("", "", "norm", "concat", 2, 0, 2, 0),
		model("", "concat", "norm", "mean", 1, 0, 1, 0, 1, 0),
		model("", "max_pool", "bias", "mean", 1, 0, 1, 0),
		model("gat", "", "norm", "concat", 1, 0, 1, 0),
		model("gat", "concat", "bias", "mean", 2, 1, 0),
		model("gat_tf", "", "norm", "concat", 1, 1, 0),
		model("gat_softmax", "max_pool", "norm", "mean", 1, 0, 1, 0),
		model("gaan", "", "norm", "concat", 1, 1, 0),
	} {
		t.Run(fmt.Sprint(m.Layer, m.JK, m.Bias, m.Orders), func(t *testing.T) {
			r := newDouble(t, m, i%2 == 1, float64(i%3)/10)
			r.run(true)
			for _, p := range r.seq.Params() {
				if p.Trained() {
					r.check(p)
				}
			}
		})
	}
}

// check compares some elements of a gradient with differences.
func (r *doubleRig) check(p *nn.Param) {
	v, grad := nntest.Values(r.q, p.Value), nntest.Values(r.q, p.Grad)
	for i := 0; i < len(v); i += 1 + len(v)/7 {
		old := v[i]
		want, ok := nntest.SlopeIs(grad[i], 1e-8*max(1, math.Abs(grad[i])), func(d float64) float64 {
			v[i] = old + d
			nntest.SetValues(r.q, p.Value, v)
			v[i] = old
			return r.run(false)
		})
		if !ok {
			r.t.Errorf("gradient of %s element %d = %v, want %v", p.Name, i, grad[i], want)
		}
	}
	nntest.SetValues(r.q, p.Value, v)
}
