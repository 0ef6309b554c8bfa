package cuda

import (
	"context"
	"testing"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// However many devices have subgraphs in flight, and however few workers draw them: the run holds no more
// batches than there are, so that there always comes another.
func TestBatchesOfManyDevices(t *testing.T) {
	t.Parallel()
	const devices = 5
	drv := fake.New(fake.Options{Workers: 1, Devices: devices, Collective: true})
	var bs []tensor.Backend
	for i := range devices {
		b, err := openOn(drv, i)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 16
		defer b.Close()
		bs = append(bs, b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	updates := 0
	_, err := trainer.Train(ctx, trainer.Options{
		Data: graph(t, false), Backend: bs[0], Others: bs[1:], EvalBackend: cpuBackend(t), Seed: 1, Workers: 1, EvalTrainEvery: 9,
		Config: parse(t, "dim: 4; arch: '0'; act: relu", "lr: 0.01; dropout: 0; accumulate: 15; sample_coverage: 2", "end: 1; sampler: rw; num_root: 1; depth: 1"),
		OnStep: func(trainer.StepReport) { updates++ },
	})
	if err != nil || updates < 2 {
		t.Errorf("%d updates, %v; want some more", updates, err)
	}
}
