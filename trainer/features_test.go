package trainer

import (
	"context"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// withHalves is a device with memory of its own that takes rows of half precision.
type withHalves struct{ discrete }

func (withHalves) HalfRows() bool { return true }

// Training on features in half precision is training on the numbers that they were rounded to, to
// the bit, wherever they lie and whoever works.
func TestTrainingOnHalfFeatures(t *testing.T) {
	tiny, err := synth.Lookup("tiny")
	if err != nil {
		t.Fatal(err)
	}
	single := generate(t, tiny)
	half, rounding, err := formats.Halve(single.Features)
	if err != nil {
		t.Fatal(err)
	}
	if rounding.Most == 0 {
		t.Fatal("nothing was rounded")
	}
	ids, wide := make([]int32, half.Rows()), make([]float32, half.Rows()*half.Dim())
	for i := range ids {
		ids[i] = int32(i)
	}
	if err := half.Gather(wide, ids); err != nil {
		t.Fatal(err)
	}
	onTheWay, err := formats.Halved(rows{FeatureStore: single.Features})
	if err != nil {
		t.Fatal(err)
	}
	b, b1 := backend(t, 3), backend(t, 1)
	asked := false
	for _, network := range []string{"dim: 16; arch: '1-1-0'; act: relu", "dim: 80; arch: '1-0-1-0'; act: relu", "dim: 16; arch: '2-0'; bias: bias"} {
		train := func(x formats.FeatureStore, b tensor.Backend, workers int, place Placement) *Result {
			t.Helper()
			d := *single
			d.Features = x
			c := parse(t, yaml(network, "lr: 0.01; dropout: 0.1; sample_coverage: 20", "end: 4; sampler: rw; num_root: 150; depth: 2"))
			c.System.Half = asked
			res, err := Train(context.Background(), Options{Data: &d, Config: c, Backend: b, Seed: 1, Workers: workers, Features: place})
			if err != nil {
				t.Fatal(err)
			}
			res.Times = Times{}
			return res
		}
		want := train(formats.NewMatrix(wide, half.Dim()), b, 2, PlaceAuto)
		for name, got := range map[string]*Result{
			"as they lie":                    train(half, b, 2, PlaceAuto),
			"one worker":                     train(half, b, 1, PlaceAuto),
			"one thread":                     train(half, b1, 3, PlaceAuto),
			"not in memory":                  train(onTheWay, b, 2, PlaceAuto),
			"a device without halves":        train(half, discrete{b}, 2, PlaceDevice),
			"a device with halves":           train(half, withHalves{discrete{b}}, 2, PlaceDevice),
			"a device, features on the host": train(half, withHalves{discrete{b}}, 2, PlaceHost),
		} {
			if *got != *want {
				t.Errorf("%s, %s: %+v, want %+v", network, name, got, want)
			}
		}
		asked = true
		for name, x := range map[string]formats.FeatureStore{"float32": single.Features, "not in memory": rows{FeatureStore: single.Features}, "half": half} {
			if got := train(x, b, 2, PlaceAuto); *got != *want {
				t.Errorf("%s, feature_dtype f16 on features that are %s: %+v, want %+v", network, name, got, want)
			}
		}
		asked = false
		plain := train(single.Features, b, 2, PlaceAuto)
		if d := plain.Test.F1Micro - want.Test.F1Micro; d > 0.02 || d < -0.02 {
			t.Errorf("%s: test F1 %.4f, with float32 %.4f", network, want.Test.F1Micro, plain.Test.F1Micro)
		}
	}
}
