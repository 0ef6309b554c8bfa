package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// jkRig is a model with jumping knowledge on a small graph.
type jkRig struct {
	*trainee
	seq   *nn.Sequential
	graph nn.Local
	x     tensor.Tensor
	dy    []float32
}

func newJK(t *testing.T, m nn.ModelSpec) *jkRig {
	t.Helper()
	r := &jkRig{trainee: newTrainee(t, 2)}
	builder, err := nn.NewBuilder(open(t, 2), r.params, 3)
	if err != nil {
		t.Fatal(err)
	}
	if r.seq, err = nn.Build(m, builder); err != nil {
		t.Fatal(err)
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(4, 4))
	for _, p := range r.seq.Params() { // biases of 0 put isolated nodes on the kink of an activation
		v := nntest.Download(r.q, p.Value)
		for i := range v {
			v[i] += float32(0.3 * rnd.NormFloat64())
		}
		nntest.Set(r.q, p.Value, v)
	}
	const n = 30
	r.graph = nn.Local{A: nntest.RandomGraph(rnd, n, 90).Upload(r.q, r.params)}
	host := make([]float32, n*m.In)
	for i := range host {
		host[i] = float32(rnd.NormFloat64())
	}
	r.x = nntest.Upload(r.q, r.params, tensor.F32, n, m.In, host)
	r.dy = make([]float32, n*m.Classes)
	for i := range r.dy {
		r.dy[i] = float32(rnd.NormFloat64())
	}
	return r
}

// loss is <dy, y> of a forward pass.
func (r *jkRig) loss() float64 {
	c := &nn.Context{Q: r.q, A: r.step, Train: true, Seed: 1, Step: 2}
	y := r.seq.Forward(c, r.graph, r.x)
	var sum float64
	for i, v := range nntest.Download(r.q, y) {
		sum += float64(v) * float64(r.dy[i])
	}
	r.step.Release(y)
	return sum
}

func jkSpec(orders []int, jk, layer string) nn.ModelSpec {
	return nn.ModelSpec{
		Layer: layer, Heads: 2, In: 5, Dim: 4, Classes: 3, Orders: orders, Act: tensor.LeakyReLU, Aggr: "mean", Bias: "bias", Dropout: 0.3, JK: jk,
	}
}

// The gradient of a model, dropout on, is that of its output: so masks agree between the pass
// forward and back although outputs have two readers.
func TestJKGradient(t *testing.T) {
	for _, m := range []nn.ModelSpec{
		jkSpec([]int{1, 0, 1, 0, 1, 0}, "concat", ""),
		jkSpec([]int{1, 0, 1, 0}, "max_pool", ""),
		jkSpec([]int{1, 1, 0}, "concat", ""),
		jkSpec([]int{1, 0, 1, 0}, "concat", "gat"),
	} {
		t.Run(fmt.Sprint(m.Orders, m.JK, m.Layer), func(t *testing.T) {
			r := newJK(t, m)
			store := actmem.NewKeep(r.step)
			c := &nn.Context{Q: r.q, A: r.step, Store: store, Train: true, Seed: 1, Step: 2}
			y := r.seq.Forward(c, r.graph, r.x)
			r.step.Release(y)
			dx := r.seq.Backward(c, r.graph, nntest.Upload(r.q, r.params, tensor.F32, 30, m.Classes, r.dy), true)
			got := nntest.Download(r.q, dx)
			r.step.Release(dx)
			if r.step.Live() != 0 || store.Bytes() != 0 {
				t.Fatalf("%d tensors live, %d bytes stored, want none", r.step.Live(), store.Bytes())
			}
			checkSlopes(t, r, "x", r.x, got)
			for _, p := range r.seq.Params() {
				checkSlopes(t, r, p.Name, p.Value, nntest.Download(r.q, p.Grad))
			}
		})
	}
}

// checkSlopes compares some elements of a gradient with central differences.
func checkSlopes(t *testing.T, r *jkRig, name string, value tensor.Tensor, grad []float32) {
	t.Helper()
	const step = 2e-3
	v := nntest.Download(r.q, value)
	var square float64
	for _, g := range grad {
		square += float64(g) * float64(g)
	}
	rms := math.Sqrt(square / float64(len(grad)))
	middle := r.loss()
	for i := 0; i < len(v); i += 1 + len(v)/7 {
		old := v[i]
		at := func(d float32) float64 {
			v[i] = old + d
			nntest.Set(r.q, value, v)
			return r.loss()
		}
		right, left := (at(step)-middle)/step, (middle-at(-step))/step
		v[i] = old
		nntest.Set(r.q, value, v)
		tol := 3e-2*math.Abs(float64(grad[i])) + 1e-2*max(rms, 1)
		if g := float64(grad[i]); g < min(left, right)-tol || g > max(left, right)+tol {
			t.Errorf("gradient of %s element %d = %v, want between the slopes %v and %v", name, i, g, left, right)
		}
	}
}

// Without the fusions of dropout the layers give the same.
func TestJKDropoutHandOver(t *testing.T) {
	for _, m := range []nn.ModelSpec{jkSpec([]int{1, 0, 1, 0, 1, 0}, "concat", ""), jkSpec([]int{1, 1, 0}, "max_pool", "gat")} {
		m.Aggr, m.Bias = "concat", "norm"
		r := newJK(t, m)
		c := &nn.Context{Q: r.q, A: r.step, Train: true, Seed: 1, Step: 2}
		fused := r.seq.Forward(c, r.graph, r.x)
		want := nntest.Download(r.q, fused)
		r.step.Release(fused)
		h := r.x
		for i := range r.seq.Len() {
			c.Layer = i
			y := r.seq.Layer(i).Forward(c, r.graph, h)
			c.EndLayer()
			r.step.Release(h)
			h = y
		}
		within(t, "logits", nntest.Download(r.q, h), want, 1e-5)
		r.step.Release(h)
	}
}

// A head reads the outputs that GraphSAINT reads.
func TestJKReads(t *testing.T) {
	for _, c := range []struct {
		orders []int
		jk     string
		rows   int // inputs of the dense layer
		layers int
	}{
		{[]int{1, 0, 1, 0, 1, 0, 1, 0}, "concat", 16, 8},
		{[]int{1, 0, 1, 0, 1, 0, 1, 0}, "max_pool", 4, 8},
		{[]int{1, 1, 0}, "concat", 16, 2},
		{[]int{2, 0, 1, 0, 0}, "concat", 8, 5},
		{[]int{0, 1}, "concat", 8, 2},
	} {
		var b nn.ShapeBuilder
		m := jkSpec(c.orders, c.jk, "")
		m.Aggr = "concat"
		s, err := nn.Build(m, &b)
		if err != nil {
			t.Fatal(err)
		}
		layers, rows := 0, 0
		for i := range s.Len() {
			if strings.HasPrefix(s.Name(i), "layers.") {
				layers++
			}
		}
		for _, p := range s.Params() {
			if p.Name == "jk.hops.0.weight" {
				rows = p.Value.Rows
			}
		}
		if layers != c.layers || rows != c.rows {
			t.Errorf("%v %s: %d layers, the head reads %d columns, want %d and %d", c.orders, c.jk, layers, rows, c.layers, c.rows)
		}
	}
	for want, m := range map[string]nn.ModelSpec{
		"no layer has order 1":     jkSpec([]int{0}, "concat", ""),
		"unknown, there is concat": jkSpec([]int{1}, "sum", ""),
		"outputs of the same width": func() nn.ModelSpec {
			m := jkSpec([]int{1, 0, 1, 1, 0, 1, 0}, "max_pool", "")
			m.Aggr = "concat"
			return m
		}(),
	} {
		if _, err := nn.Build(m, &nn.ShapeBuilder{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build = %v, want an error with %q", err, want)
		}
	}
}
