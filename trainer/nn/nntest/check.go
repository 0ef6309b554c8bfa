package nntest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Check runs the contract on the layer registered as layer, built from spec. Everything
// runs on the first backend; the others must give the same bits, so pass backends of
// different thread counts. Use small widths: the gradient check runs the layer twice for
// every element of the input and the parameters.
func Check(t *testing.T, layer string, spec nn.Spec, backends ...tensor.Backend) {
	t.Helper()
	b := backends[0]
	t.Run("gradients", func(t *testing.T) { checkGradients(t, b, layer, spec) })
	t.Run("without dx", func(t *testing.T) { checkWithoutDX(t, b, layer, spec) })
	t.Run("evaluation", func(t *testing.T) { checkEvaluation(t, b, layer, spec) })
	t.Run("row tiles", func(t *testing.T) { checkTiles(t, b, layer, spec) })
	t.Run("projection", func(t *testing.T) { checkProjection(t, b, layer, spec) })
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

// randomDY returns a gradient of the output.
func (r *rig) randomDY() []float32 {
	return normal(rand.New(rand.NewPCG(seed, 2)), r.graph.NumDst()*r.layer.OutDim())
}

func finite(t *testing.T, g gradients) {
	t.Helper()
	all := append([][]float32{g.y, g.dx}, g.params...)
	for i, v := range all {
		for j, x := range v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Fatalf("result %d (y, dx, gradients): element %d is %v", i, j, x)
			}
		}
	}
}

// Constants of the gradient check. In float32 a smaller step drowns in rounding, a larger
// one in curvature.
const (
	diffStep = 2e-3
	diffRel  = 2e-2 // of the gradient's element
	diffAbs  = 4e-3 // of the gradient's root mean square over all elements
)

// checkGradients compares the gradient of f = <dy, y> with central differences. An element
// passes if it lies between the slopes to its left and right, give or take the tolerance:
// where a ReLU switches within the step the two differ, and the gradient is one of them.
func checkGradients(t *testing.T, b tensor.Backend, layer string, spec nn.Spec) {
	r := newRig(t, b, layer, spec, 12, 40)
	dy := r.randomDY()
	grads := r.run(dy, true)
	finite(t, grads)
	f := func() float64 {
		var sum float64
		for i, y := range r.forward(r.graph, true) {
			sum += float64(y) * float64(dy[i])
		}
		return sum
	}
	r.compare("dx", r.x, grads.dx, f)
	i := 0
	for _, p := range r.layer.Params() {
		if p.Trained() {
			r.compare(p.Name, p.Value, grads.params[i], f)
			i++
		}
	}
}

func (r *rig) compare(name string, value tensor.Tensor, grad []float32, f func() float64) {
	r.t.Helper()
	var square float64
	for _, g := range grad {
		square += float64(g) * float64(g)
	}
	rms := math.Sqrt(square / float64(len(grad)))
	v := Download(r.q, value)
	middle := f()
	at := func(i int, x float32) float64 {
		old := v[i]
		v[i] = x
		Set(r.q, value, v)
		v[i] = old
		return f()
	}
	for i, g := range grad {
		up, down := v[i]+diffStep, v[i]-diffStep
		right := (at(i, up) - middle) / float64(up-v[i])
		left := (middle - at(i, down)) / float64(v[i]-down)
		tol := diffRel*math.Abs(float64(g)) + diffAbs*max(rms, 1)
		if float64(g) < min(left, right)-tol || float64(g) > max(left, right)+tol {
			r.t.Errorf("gradient of %s element %d = %v, want between the slopes %.5g and %.5g (tolerance %.2g)", name, i, g, left, right, tol)
		}
	}
	Set(r.q, value, v)
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

// sumOrder is the tolerance of results that differ in the order of short float32 sums.
const sumOrder = 1e-5

// checkEvaluation compares a forward pass that saves nothing with one that does.
func checkEvaluation(t *testing.T, b tensor.Backend, layer string, spec nn.Spec) {
	r := newRig(t, b, layer, spec, 33, 120)
	r.train = false
	want := r.forward(r.graph, true)
	if err := closeTo(r.forward(r.graph, false), want, sumOrder); err != nil {
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
		g := &nn.RowTile{A: r.host.RowRange(lo, hi).Upload(r.q, r.params), Lo: lo, Hi: hi, Src: r.host.Cols}
		if err := closeTo(r.forward(g, false), want[lo*width:hi*width], sumOrder); err != nil {
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
		g := &nn.RowTile{A: r.host.RowRange(lo, hi).Upload(r.q, r.params), Lo: lo, Hi: hi, Src: r.host.Cols}
		y := l.ForwardProjected(c, g, r.x.RowRange(lo, hi), p)
		c.EndLayer()
		if err := closeTo(Download(r.q, y), want[lo*width:hi*width], sumOrder); err != nil {
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
		for j := range want.params {
			compareBits(t, b.Device(), "gradient", got.params[j], want.params[j])
		}
	}
}

func compareBits(t *testing.T, device, what string, got, want []float32) {
	t.Helper()
	if err := sameBits(got, want); err != nil {
		t.Errorf("%s: %s: %v", device, what, err)
	}
}
