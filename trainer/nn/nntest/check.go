package nntest

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Check runs the contract on the layer registered as layer, built from spec. Everything
// runs on the first backend; the others must give the same bits, so pass backends of
// different thread counts. Use small widths: the gradient check runs the layer several times
// for every element of the input and the parameters.
//
// Where the program has the backend of double precision, gradients, row tiles and projections are
// checked on that too, and there gradients must agree with differences to eight digits; those of
// single precision have to agree with them. Import internal/cpu64, or trainer/devices, for that.
func Check(t *testing.T, layer string, spec nn.Spec, backends ...tensor.Backend) {
	t.Helper()
	b, double := backends[0], openDouble(t)
	var exact *gradients
	if double != nil {
		t.Run("double precision", func(t *testing.T) { exact = checkNumbers(t, double, layer, spec, nil) })
	}
	checkNumbers(t, b, layer, spec, exact)
	t.Run("without dx", func(t *testing.T) { checkWithoutDX(t, b, layer, spec) })
	t.Run("threads", func(t *testing.T) { checkThreads(t, layer, spec, backends) })
	for _, c := range []struct {
		name         string
		nodes, edges int
	}{{"one node", 1, 0}, {"one node with a self loop", 1, 2}, {"no edges", 6, 0}, {"no nodes", 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, b, layer, spec, c.nodes, c.edges)
			finite(t, r.run(r.randomDY(), true))
			r.train = false
			r.forward(r.graph, false)
		})
	}
}

// openDouble opens the backend of double precision, nil if the program has none.
func openDouble(t *testing.T) tensor.Backend {
	t.Helper()
	b, err := tensor.Open("cpu64", tensor.Options{Threads: 2})
	if errors.Is(err, tensor.ErrUnavailable) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() }) //nolint:errcheck // it ends threads
	return b
}

// checkNumbers is the part of the contract that precision sharpens. It returns the gradients;
// exact are those of double precision, nil if they are not known.
func checkNumbers(t *testing.T, b tensor.Backend, layer string, spec nn.Spec, exact *gradients) *gradients {
	t.Helper()
	var grads gradients
	t.Run("gradients", func(t *testing.T) { grads = checkGradients(t, b, layer, spec, exact) })
	t.Run("evaluation", func(t *testing.T) { checkEvaluation(t, b, layer, spec) })
	t.Run("row tiles", func(t *testing.T) { checkTiles(t, b, layer, spec) })
	t.Run("projection", func(t *testing.T) { checkProjection(t, b, layer, spec) })
	return &grads
}

// randomDY returns a gradient of the output.
func (r *rig) randomDY() []float64 {
	return normal(rand.New(rand.NewPCG(seed, 2)), r.graph.NumDst()*r.layer.OutDim())
}

func finite(t *testing.T, g gradients) {
	t.Helper()
	all := append([][]float64{g.y, g.dx}, g.params...)
	for i, v := range all {
		for j, x := range v {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("result %d (y, dx, gradients): element %d is %v", i, j, x)
			}
		}
	}
}

// Constants of the gradient check in single precision. A smaller step drowns in rounding, a
// larger one in curvature.
const (
	diffStep = 2e-3
	diffRel  = 2e-2 // of the gradient's element
	diffAbs  = 4e-3 // of the gradient's root mean square over all elements
)

// diffExact is how far a gradient of single precision may be from that of double precision,
// relative to the gradient's root mean square, before differences decide. Layers that divide
// by the deviation of a few numbers amplify rounding.
const diffExact = 1e-4

// diffDouble is the tolerance of the gradient check in double precision, relative to the
// element or, if that is larger, to the gradient's root mean square.
const diffDouble = 1e-8

// doubleSteps are tried one after the other: a ReLU that switches within a step spoils it.
var doubleSteps = [...]float64{3e-4, 3e-5, 3e-6}

// checkGradients compares the gradient of f = <dy, y> with differences. In single precision an
// element passes if it lies between the slopes to its left and right, give or take the
// tolerance: where a ReLU switches within the step the two differ, and the gradient is one of
// them. So it does if it is near that of double precision, where it must be the slope of a formula
// of fourth order.
func checkGradients(t *testing.T, b tensor.Backend, layer string, spec nn.Spec, exact *gradients) gradients {
	t.Helper()
	r := newRig(t, b, layer, spec, 12, 40)
	dy := r.randomDY()
	grads := r.run(dy, true)
	finite(t, grads)
	f := func() float64 {
		var sum float64
		for i, y := range r.forward(r.graph, true) {
			sum += y * dy[i]
		}
		return sum
	}
	if exact == nil || len(exact.params) != len(grads.params) {
		exact = &gradients{params: make([][]float64, len(grads.params))}
	}
	r.compare("dx", r.x, grads.dx, exact.dx, f)
	if r.initial.Present() {
		r.compare("the initial representation", r.initial, grads.initial, exact.initial, f)
	}
	i := 0
	for _, p := range r.layer.Params() {
		if p.Trained() {
			r.compare(p.Name, p.Value, grads.params[i], exact.params[i], f)
			i++
		}
	}
	return grads
}

// compare checks the gradient of a tensor; exact is that of double precision, if it is known.
func (r *rig) compare(name string, value tensor.Tensor, grad, exact []float64, f func() float64) {
	r.t.Helper()
	var square float64
	for _, g := range grad {
		square += g * g
	}
	rms := math.Sqrt(square / float64(len(grad)))
	v := Values(r.q, value)
	middle := math.NaN()
	at := func(i int, x float64) float64 {
		old := v[i]
		v[i] = x
		SetValues(r.q, value, v)
		v[i] = old
		return f()
	}
	for i, g := range grad {
		if value.Type == tensor.F64 {
			if want, ok := SlopeIs(g, diffDouble*max(math.Abs(g), rms, 1), func(d float64) float64 { return at(i, v[i]+d) }); !ok {
				r.t.Errorf("gradient of %s element %d = %v, want %v", name, i, g, want)
			}
			continue
		}
		if i < len(exact) && math.Abs(g-exact[i]) <= diffExact*rms {
			continue
		}
		if math.IsNaN(middle) {
			middle = f()
		}
		up, down := float64(float32(v[i]+diffStep)), float64(float32(v[i]-diffStep))
		right := (at(i, up) - middle) / (up - v[i])
		left := (middle - at(i, down)) / (v[i] - down)
		tol := diffRel*math.Abs(g) + diffAbs*max(rms, 1)
		if g < min(left, right)-tol || g > max(left, right)+tol {
			r.t.Errorf("gradient of %s element %d = %v, want between the slopes %.5g and %.5g (tolerance %.2g)", name, i, g, left, right, tol)
		}
	}
	SetValues(r.q, value, v)
}

// SlopeIs reports whether g is within tol of the slope of f at 0, by differences of fourth order
// in double precision, and returns the slopes by one step after the other: an activation that
// switches within a step spoils it.
func SlopeIs(g, tol float64, f func(d float64) float64) (slopes []float64, ok bool) {
	for _, h := range doubleSteps {
		s := (8*(f(h)-f(-h)) - (f(2*h) - f(-2*h))) / (12 * h)
		slopes = append(slopes, s)
		if math.Abs(g-s) <= tol {
			return slopes, true
		}
	}
	return slopes, false
}

// checkWithoutDX compares the parameters' gradients with those of a run that wants dx too.
func checkWithoutDX(t *testing.T, b tensor.Backend, layer string, spec nn.Spec) {
	r := newRig(t, b, layer, spec, 12, 40)
	dy := r.randomDY()
	want := r.run(dy, true)
	got := r.run(dy, false)
	for i := range want.params {
		if err := sameBits(got.params[i], want.params[i]); err != nil {
			t.Errorf("gradient %d without dx: %v", i, err)
		}
	}
}

// Tolerances of results that differ in the order of short sums.
const (
	sumOrder       = 1e-5
	sumOrderDouble = 1e-13
)

// sumOrder returns the tolerance of the backend's precision.
func (r *rig) sumOrder() float64 {
	if r.x.Type == tensor.F64 {
		return sumOrderDouble
	}
	return sumOrder
}

// checkEvaluation compares a forward pass that saves nothing with one that does.
func checkEvaluation(t *testing.T, b tensor.Backend, layer string, spec nn.Spec) {
	r := newRig(t, b, layer, spec, 33, 120)
	r.train = false
	want := r.forward(r.graph, true)
	if err := closeTo(r.forward(r.graph, false), want, r.sumOrder()); err != nil {
		t.Errorf("Forward without a store: %v", err)
	}
}

// checkTiles compares row tiles with the whole graph.
func checkTiles(t *testing.T, b tensor.Backend, layer string, spec nn.Spec) {
	r := newRig(t, b, layer, spec, 33, 120)
	if r.layer.Hops() > 1 {
		t.Skip("the layer aggregates more than once")
	}
	r.train = false
	want := r.forward(r.graph, false)
	width := r.layer.OutDim()
	for _, tile := range [][2]int{{0, 7}, {7, 8}, {8, 33}, {5, 5}, {0, 33}} {
		lo, hi := tile[0], tile[1]
		g := r.host.Tile(r.q, r.params, nn.WeightingOf(r.layer), lo, hi)
		if err := closeTo(r.forward(g, false), want[lo*width:hi*width], r.sumOrder()); err != nil {
			t.Errorf("rows %d to %d: %v", lo, hi, err)
		}
	}
}

// checkProjection compares ForwardProjected with Forward.
func checkProjection(t *testing.T, b tensor.Backend, layer string, spec nn.Spec) {
	r := newRig(t, b, layer, spec, 33, 120)
	l, ok := r.layer.(nn.Projector)
	if !ok || l.ProjDim() == 0 {
		t.Skip("the layer does not project")
	}
	r.train = false
	want := r.forward(r.graph, false)
	width := l.OutDim()
	c := r.context(false)
	p := r.params.Alloc(tensor.F32, r.x.Rows, l.ProjDim())
	for _, tile := range [][2]int{{0, 20}, {20, 33}} {
		rows := r.x.RowRange(tile[0], tile[1])
		l.Project(c, rows, p.RowRange(tile[0], tile[1]))
		c.EndLayer()
	}
	for _, tile := range [][2]int{{0, 7}, {7, 8}, {8, 33}, {0, 33}} {
		lo, hi := tile[0], tile[1]
		g := r.host.Tile(r.q, r.params, nn.WeightingOf(r.layer), lo, hi)
		y := l.ForwardProjected(c, g, r.x.RowRange(lo, hi), p)
		c.EndLayer()
		if err := closeTo(Values(r.q, y), want[lo*width:hi*width], r.sumOrder()); err != nil {
			t.Errorf("rows %d to %d: %v", lo, hi, err)
		}
		c.A.Release(y)
	}
	r.empty("ForwardProjected")
}

// checkThreads compares the bits of all backends and of a second run on the first, on a
// graph large enough to be split.
func checkThreads(t *testing.T, layer string, spec nn.Spec, backends []tensor.Backend) {
	var want gradients
	for i, b := range append(backends[:1:1], backends...) {
		r := newRig(t, b, layer, spec, 500, 3000)
		got := r.run(r.randomDY(), true)
		if i == 0 {
			want = got
			continue
		}
		compareBits(t, b.Device(), "y", got.y, want.y)
		compareBits(t, b.Device(), "dx", got.dx, want.dx)
		compareBits(t, b.Device(), "gradient of the initial representation", got.initial, want.initial)
		for j := range want.params {
			compareBits(t, b.Device(), "gradient", got.params[j], want.params[j])
		}
	}
}

func compareBits(t *testing.T, device, what string, got, want []float64) {
	t.Helper()
	if err := sameBits(got, want); err != nil {
		t.Errorf("%s: %s: %v", device, what, err)
	}
}
