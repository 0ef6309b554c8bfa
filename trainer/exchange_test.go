package trainer

import (
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
)

// Cuts are final at the end of their layer: they have no parameter of a layer before it. With the rest
// they are all gradients.
func TestCuts(t *testing.T) {
	d := generate(t, small)
	for network, want := range map[string]int{
		"dim: 16; arch: '1-1-1-1'; act: relu":             3,
		"dim: 16; arch: '1-1-0'; act: relu; norm: batch":  2,
		"dim: 16; arch: '1-0-1'; act: relu; jk: concat":   2,
		"layer: gcnii; dim: 16; arch: '0-1-1'; act: relu": 2,
		"layer: gatv2; attention: 2; dim: 8; arch: '1'":   0,
		"dim: 16; arch: '1-1'; act: relu; jk: max_pool":   2,
		"layer: with_table; dim: 24; arch: '1-1-1'":       2,
	} {
		m := newModel(t, parse(t, yaml(network, "lr: 0.01", stepPhase)), d.Features.Dim(), d.Labels.NumClasses, backend(t, 1))
		checkCuts(t, network, m, want)
	}
}

// withTable is a layer that keeps a matrix which is none of its parameters.
type withTable struct {
	nn.Layer
	table *nn.Param
}

func init() {
	nn.Register("with_table", func(b nn.Builder, s nn.Spec) (nn.Layer, error) {
		l, err := nn.New("sage", b, s)
		return withTable{l, b.Buffer(s.Name+".table", 1, 8, "ones")}, err
	})
}

func checkCuts(t *testing.T, network string, m *Model, want int) {
	t.Helper()
	if len(m.grads) != 1 {
		t.Fatalf("%s: gradients in %d tensors, want 1", network, len(m.grads))
	}
	g, cuts := m.grads[0], m.cuts()
	if len(cuts) != want {
		t.Errorf("%s: %d cuts, want %d", network, len(cuts), want)
	}
	end := g.Off + int64(g.Rows*g.Cols)
	for i, c := range cuts {
		if c.grads.Off+int64(c.grads.Rows*c.grads.Cols) != end || c.grads.Rows == 0 {
			t.Errorf("%s: cut %d is %v at %d, want that it ends at %d", network, i, c.grads, c.grads.Off, end)
		}
		end = c.grads.Off
		for k := range c.layer {
			wantBefore(t, network, m.Seq.Layer(k), end)
		}
	}
	rest := m.restOf(cuts)
	if len(rest) != 1 || rest[0].Off != g.Off || rest[0].Off+int64(rest[0].Rows*rest[0].Cols) != end {
		t.Errorf("%s: the rest is %v, want what ends at %d", network, rest, end)
	}
}

// wantBefore fails unless all gradients of a layer begin before an element.
func wantBefore(t *testing.T, network string, l nn.Layer, end int64) {
	t.Helper()
	for _, p := range l.Params() {
		if p.Trained() && p.Grad.Off >= end {
			t.Errorf("%s: the gradient of %s is in a cut of a later layer", network, p.Name)
		}
	}
}
