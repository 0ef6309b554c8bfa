package main

import (
	"context"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// keys stands in for the configuration that gives a layer its own keys.
type keys struct{ share float64 }

func (k keys) Decode(into any) error {
	into.(*contrastKeys).Share = k.share
	return nil
}

// TestContrast: the contract of layers, with the gradients checked by differences.
func TestContrast(t *testing.T) {
	var backends []tensor.Backend
	for _, threads := range []int{1, 4} {
		b, err := tensor.Open("cpu", tensor.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		backends = append(backends, b)
	}
	for _, c := range []struct {
		name  string
		share float64
		order int
	}{
		{"smooths", 0.7, 1},
		{"contrasts", -0.5, 1},
		{"dense", 0.7, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := nn.Spec{In: 3, Dim: 4, Order: c.order, Act: tensor.LeakyReLU, Extra: keys{c.share}}
			nntest.Check(t, "contrast", spec, backends...)
		})
	}
}

func TestContrastErrors(t *testing.T) {
	for _, c := range []struct {
		spec nn.Spec
		want string
	}{
		{nn.Spec{In: 0, Dim: 4}, "widths 0 and 4: must be at least 1"},
		{nn.Spec{In: 2, Dim: 4, Extra: keys{3}}, "share is 3, want -1 to 1"},
	} {
		if _, err := nn.New("contrast", &nn.ShapeBuilder{}, c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(contrast, %+v) = %v, want %q", c.spec, err, c.want)
		}
	}
}

// TestRun: the whole program trains with it, and learns from the neighbours.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "val F1"); n != 15 || !strings.Contains(out.String(), "test F1 0.") {
		t.Errorf("run printed\n%s\nwant 15 epochs and a score", out.String())
	}
}
