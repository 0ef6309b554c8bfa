package cuda

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

// opener opens a backend on a driver of its own, whose blocks run o.Threads at a time.
func opener(o fake.Options) tensor.Opener {
	return func(t tensor.Options) (tensor.Backend, error) {
		o.Workers = t.Threads
		if o.Reverse && t.Threads > 0 {
			return nil, fmt.Errorf("%w: the bits for every number of workers are compared in the other order", tensor.ErrUnavailable)
		}
		b, err := openOn(fake.New(o), 0)
		if err != nil {
			return nil, err
		}
		b.part = 1 << 20
		return b, nil
	}
}

// The contract of backends, with kernels run by the interpreter: work is done as late as the order
// of streams allows, or at once and with blocks and warps in reverse.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted, which takes long under the race detector")
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		tensortest.RunSlow(t, opener(fake.Options{}))
	})
	t.Run("eager, reverse", func(t *testing.T) {
		t.Parallel()
		tensortest.RunSlow(t, opener(fake.Options{Eager: true, Reverse: true}))
	})
}
