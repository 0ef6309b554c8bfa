package trainer

import (
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/optim"
)

// BenchmarkActivations measures weight updates under several ways of keeping activations, in
// turn, so that whatever else the machine does hits all of them. It reports the least time of
// each, the median of its ratio to the plain one of the same round, and the bytes kept.
func BenchmarkActivations(b *testing.B) {
	for _, w := range workloads[:2] {
		b.Run(w.data, func(b *testing.B) { benchActivations(b, w.data, w.config) })
	}
}

// kept are the ways that are compared; the first is the plain one.
var kept = []struct {
	name string
	actmem.Config
}{
	{"keep", actmem.Config{}},
	{"int8", actmem.Config{Bits: 8}},
	{"int2", actmem.Config{Bits: 2, Group: 64}},
	{"int2-row", actmem.Config{Bits: 2}},
	{"int2-kept0.25", actmem.Config{Bits: 2, Group: 64, Kept: 0.25}},
}

func benchActivations(b *testing.B, data, config string) {
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
