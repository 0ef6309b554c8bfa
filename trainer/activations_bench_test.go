package trainer

import (
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/optim"
)

// BenchmarkActivations measures a weight update under the ways of keeping activations, with the
// bytes that they took.
func BenchmarkActivations(b *testing.B) {
	for _, w := range workloads[:2] {
		for _, c := range []struct {
			name   string
			config actmem.Config
		}{
			{"keep", actmem.Config{}},
			{"int8", actmem.Config{Bits: 8}},
			{"int4", actmem.Config{Bits: 4}},
			{"int2", actmem.Config{Bits: 2}},
			{"int1", actmem.Config{Bits: 1}},
			{"int2-group256", actmem.Config{Bits: 2, Group: 256}},
			{"int2-kept0.25", actmem.Config{Bits: 2, Kept: 0.25}},
		} {
			b.Run(w.data+"/"+c.name, func(b *testing.B) { benchActivations(b, w.data, w.config, c.config) })
		}
	}
}

func benchActivations(b *testing.B, data, config string, keep actmem.Config) {
	d, c := benchData(b, data), benchConfig(b, config)
	device := backend(b, 0)
	model, err := NewModel(c, d.Features.Dim(), d.Labels.NumClasses, device, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer model.Close()
	opt, err := optim.NewAdam(optim.DefaultAdam(), model.arena, newQueue(b, device), model.Seq.Params())
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewStepper(model, opt, newArena(b, device), d.Features.(formats.Resident), 1, WithActivations(keep))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	batches := benchBatches(b, d, c, 3)
	var last Step
	step := func(i int) {
		if last, err = s.Step(batches[i%len(batches)], uint64(i), nil); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 3 {
		step(i)
	}
	b.ReportAllocs()
	i := 3
	for b.Loop() {
		step(i)
		i++
	}
	b.ReportMetric(float64(last.SavedBytes)/(1<<20), "kept-MiB")
	b.ReportMetric(float64(last.PeakBytes)/(1<<20), "peak-MiB")
}
