package cuda

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// TestHardwareGraphs trains every kind of network with steps as graphs and without, to the same bits.
func TestHardwareGraphs(t *testing.T) {
	t.Run("own", func(t *testing.T) { graphAll(t, hardware(t, tensor.Options{})) })
	t.Run("cublas", func(t *testing.T) { graphAll(t, withLibrary(t, tensor.Options{}, tensor.MatmulFP32)) })
}

func graphAll(t *testing.T, b *Backend) {
	defer b.Close()
	before := b.Counters()
	for _, c := range trainings {
		t.Run(c.name, func(t *testing.T) {
			d, phases := graph(t, c.multi), "end: 15; sampler: rw; num_root: 8; depth: 2 | end: 20; sampler: full_batch"
			if small() {
				phases = "end: 1; sampler: rw; num_root: 20; depth: 1"
			}
			config := parse(t, c.network, c.params, phases)
			want := train(t, b, d, config)
			config.System.Graphs = "on"
			if got := train(t, b, d, config); !reflect.DeepEqual(got.losses, want.losses) || got.result.Val != want.result.Val {
				t.Errorf("as graphs: losses %v, %+v, want %v, %+v", got.losses, got.result.Val, want.losses, want.result.Val)
			}
		})
	}
	n := b.Counters().Sub(before)
	if n.Graphs == 0 {
		t.Error("no graph was launched: see the warnings of 'saint train --graphs on'")
	}
	text, _ := b.Matmul()
	fmt.Printf("NOTE Graphs (%s): %d were launched, %d had to be instantiated.\n", text, n.Graphs, n.Executables)
}
