package nntest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// rig is one layer on one backend with one graph and input.
type rig struct {
	t      *testing.T
	q      tensor.Queue
	params tensor.Arena // parameters, graph, input: what a step does not own
	step   tensor.Arena
	store  *audit
	layer  nn.Layer
	host   CSR
	graph  nn.Graph
	x      tensor.Tensor
	hostX  []float64
	train  bool

	initial, initialGrad tensor.Tensor // of an InitialReader
}

// audit is a store that counts what was put and not yet asked for.
type audit struct {
	*actmem.Keep
	open int
}

// Put implements nn.Store.
func (s *audit) Put(k nn.Key, t tensor.Tensor, kind nn.SaveKind) {
	s.open++
	s.Keep.Put(k, t, kind)
}

// PutActivated implements nn.Store.
func (s *audit) PutActivated(k nn.Key, t tensor.Tensor, a nn.Activated) {
	s.open++
	s.Keep.PutActivated(k, t, a)
}

// PutScored implements nn.Store.
func (s *audit) PutScored(k nn.Key, t tensor.Tensor, act tensor.Act, last int) {
	s.open++
	s.Keep.PutScored(k, t, act, last)
}

// Get implements nn.Store.
func (s *audit) Get(k nn.Key) tensor.Tensor {
	s.open--
	return s.Keep.Get(k)
}

const seed = 7

func newRig(t *testing.T, b tensor.Backend, layer string, spec nn.Spec, nodes, edges int) *rig {
	t.Helper()
	r := &rig{t: t, train: true}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r.params, err = b.NewArena()
	must()
	t.Cleanup(func() { r.params.Close() }) //nolint:errcheck // memory of a test
	r.step, err = b.NewArena()
	must()
	t.Cleanup(func() { r.step.Close() }) //nolint:errcheck // memory of a test
	r.q, err = b.NewQueue()
	must()
	t.Cleanup(func() { r.q.Close() }) //nolint:errcheck // memory of a test
	r.store = &audit{Keep: actmem.NewKeep(r.step)}

	builder, err := nn.NewBuilder(b, r.params, seed)
	must()
	if spec.Name == "" {
		spec.Name = "layers.0"
	}
	r.layer, err = nn.New(layer, builder, spec)
	must()
	err = builder.Close()
	must()
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, p := range r.layer.Params() {
		// Initial biases of 0 put isolated nodes exactly on the kink of ReLU.
		if !p.Trained() {
			continue
		}
		v := Values(r.q, p.Value)
		for i := range v {
			v[i] = float64(float32(v[i] + 0.3*rng.NormFloat64())) // the same in both precisions
		}
		SetValues(r.q, p.Value, v)
	}
	r.host = RandomGraph(rng, nodes, edges)
	r.graph = r.host.Batch(r.q, r.params)
	r.hostX = normal(rng, nodes*spec.In)
	r.x = r.params.Alloc(tensor.F32, nodes, spec.In)
	SetValues(r.q, r.x, r.hostX)
	if l, ok := r.layer.(nn.InitialReader); ok && l.ReadsInitial() {
		r.initial, r.initialGrad = r.params.Alloc(tensor.F32, nodes, spec.In), r.params.Alloc(tensor.F32, nodes, spec.In)
		SetValues(r.q, r.initial, normal(rng, nodes*spec.In))
	}
	return r
}

// normal returns numbers that float32 holds.
func normal(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64()))
	}
	return v
}

// context returns a fresh context; store says whether activations are kept.
func (r *rig) context(store bool) *nn.Context {
	c := &nn.Context{
		Q: r.q, A: r.step, Train: r.train, Seed: seed, Step: 3, Layer: 2,
		Initial: r.initial, InitialGrad: r.initialGrad,
	}
	if store {
		c.Store = r.store
	}
	return c
}

// forward returns the output for the current input and parameters.
func (r *rig) forward(g nn.Graph, store bool) []float64 {
	r.t.Helper()
	c := r.context(store)
	y := r.layer.Forward(c, g, r.x)
	c.EndLayer()
	if y.Rows != g.NumDst() || y.Cols != r.layer.OutDim() {
		r.t.Fatalf("Forward returned %s, want %dx%d", y, g.NumDst(), r.layer.OutDim())
	}
	out := Values(r.q, y)
	c.A.Release(y)
	r.store.Reset()
	r.store.open = 0
	r.empty("Forward")
	return out
}

// empty fails the test unless all tensors of the step are released.
func (r *rig) empty(after string) {
	r.t.Helper()
	if err := r.step.Err(); err != nil {
		r.t.Fatal(err)
	}
	if n := r.step.Live(); n != 0 {
		r.t.Fatalf("after %s: %d tensors live, want 0", after, n)
	}
	if n := r.store.Bytes(); n != 0 || r.store.open != 0 {
		r.t.Fatalf("after %s: store holds %d bytes in %d slots, want none", after, n, r.store.open)
	}
}

// gradients is what one step computed.
type gradients struct {
	y, dx  []float64
	params [][]float64 // of trained parameters, in order

	initial []float64 // of the initial representation
}

// gradStart is what gradients hold before a step: Backward must add to them.
const gradStart = 0.5

// run does one forward and backward pass with the given gradient of the output, nil for a
// random one, and checks that nothing leaks and no input changes.
func (r *rig) run(dy []float64, needDX bool) gradients {
	r.t.Helper()
	for _, p := range r.layer.Params() {
		if p.Trained() {
			r.q.Fill(gradStart, p.Grad)
		}
	}
	c := r.context(true)
	if r.initial.Present() {
		r.q.Fill(gradStart, r.initialGrad)
	}
	y := r.layer.Forward(c, r.graph, r.x)
	c.EndLayer()
	out := gradients{y: Values(r.q, y)}
	c.A.Release(y)
	d := r.step.Alloc(tensor.F32, y.Rows, y.Cols)
	SetValues(r.q, d, dy)
	dx := r.layer.Backward(c, r.graph, d, needDX)
	c.EndLayer()
	r.unchanged("Backward dy", Values(r.q, d), dy)
	r.unchanged("x", Values(r.q, r.x), r.hostX)
	if dx.Present() != needDX {
		r.t.Fatalf("Backward(needDX=%v) returned %s", needDX, dx)
	}
	out.dx = Values(r.q, dx)
	c.A.Release(d)
	c.A.Release(dx)
	r.empty("Backward")
	for _, p := range r.layer.Params() {
		if p.Trained() {
			g := Values(r.q, p.Grad)
			for i := range g {
				g[i] -= gradStart
			}
			out.params = append(out.params, g)
		}
	}
	if r.initial.Present() {
		out.initial = Values(r.q, r.initialGrad)
		for i := range out.initial {
			out.initial[i] -= gradStart
		}
	}
	return out
}

func (r *rig) unchanged(what string, got, want []float64) {
	r.t.Helper()
	if err := sameBits(got, want); err != nil {
		r.t.Errorf("%s was modified: %v", what, err)
	}
}

func sameBits(got, want []float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	for i := range got {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			return fmt.Errorf("element %d is %v, want %v", i, got[i], want[i])
		}
	}
	return nil
}

// closeTo compares with a tolerance relative to the largest element: results differ only in
// the order of sums of at most a few hundred terms.
func closeTo(got, want []float64, tol float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	scale := 1e-6
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= tol*scale) {
			return fmt.Errorf("element %d is %v, want %v within %g of the largest, %g", i, got[i], want[i], tol, scale)
		}
	}
	return nil
}
