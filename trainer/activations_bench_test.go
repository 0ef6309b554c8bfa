package trainer

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/optim"
)

// BenchmarkActivations measures weight updates under several ways of keeping activations, as
// stepsInTurn does, and reports the bytes kept as well. The first of each list is the plain one.
func BenchmarkActivations(b *testing.B) { benchKept(b, kept[:3]) }

// BenchmarkActivationsMore is BenchmarkActivations of further ways.
func BenchmarkActivationsMore(b *testing.B) {
	benchKept(b, append(slices.Clone(kept[:1]), kept[3:]...))
}

func benchKept(b *testing.B, ways []way) {
	for _, w := range workloads[:2] {
		b.Run(w.data, func(b *testing.B) { benchActivations(b, w.data, w.config, ways) })
	}
}

type way struct {
	name string
	actmem.Config
}

var kept = []way{
	{"keep", actmem.Config{}},
	{"int8", actmem.Config{Bits: 8}},
	{"int2", actmem.Config{Bits: 2, Group: 64}},
	{"int2-row", actmem.Config{Bits: 2}},
	{"int4", actmem.Config{Bits: 4}},
	{"int2-kept0.25", actmem.Config{Bits: 2, Group: 64, Kept: 0.25}},
}

func benchActivations(b *testing.B, data, config string, kept []way) {
	d, c := benchData(b, data), benchConfig(b, config)
	device := backend(b, 0)
	batches := benchBatches(b, d, c, 3)
	steppers := make([]*Stepper, len(kept))
	for i, k := range kept {
		model, err := NewModel(c, d.Features.Dim(), d.Labels.NumClasses, device, 1)
		if err != nil {
			b.Fatal(err)
		}
		defer model.Close()
		opt, err := optim.NewAdam(optim.DefaultAdam(), model.arena, newQueue(b, device), model.Seq.Params())
		if err != nil {
			b.Fatal(err)
		}
		if steppers[i], err = NewStepper(model, opt, newArena(b, device), d.Features.(formats.Resident), 1, WithActivations(k.Config)); err != nil {
			b.Fatal(err)
		}
		defer steppers[i].Close()
	}
	names := make([]string, len(kept))
	for i, k := range kept {
		names[i] = k.name
	}
	last := stepsInTurn(b, names, steppers, batches)
	for i, k := range kept {
		b.ReportMetric(float64(last[i].SavedBytes)/(1<<20), k.name+"-MiB")
	}
}
