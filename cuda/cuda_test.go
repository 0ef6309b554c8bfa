package cuda

import (
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

// opener opens a backend on a driver of its own, whose blocks run o.Threads at a time.
func opener(o fake.Options) tensor.Opener {
	return func(t tensor.Options) (tensor.Backend, error) {
		o.Workers = t.Threads
		b, err := openOn(fake.New(o), 0)
		if err != nil {
			return nil, err
		}
		b.part = 1 << 20
		return b, nil
	}
}

// The contract of backends, with kernels run by the interpreter: work is done as late as the order of
// streams allows, and the blocks and warps of every other kernel in reverse. Operations are called with many
// shapes, and again to compare bits, so that each kernel runs both ways.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted, which takes long under the race detector")
	}
	t.Parallel()
	tensortest.RunSlow(t, opener(fake.Options{Alternate: true}))
}
