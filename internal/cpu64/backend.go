package cpu64

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/workers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Name is the registered name of this backend.
const Name = "cpu64"

func init() {
	tensor.Register(Name, func(o tensor.Options) (tensor.Backend, error) { return Open(o), nil })
}

// Backend is the host's processors. Its queues share one group of threads; queues may be
// used by different goroutines, one goroutine a queue.
type Backend struct{ group *workers.Group }

// Open starts a backend of o.Threads threads, 0 meaning all that the process may use.
func Open(o tensor.Options) *Backend { return &Backend{group: workers.New(o.Threads)} }

// Name returns "cpu64".
func (*Backend) Name() string { return Name }

// Device returns the precision and the number of threads.
func (b *Backend) Device() string {
	s := "s"
	if b.group.Threads() == 1 {
		s = ""
	}
	return fmt.Sprintf("cpu (float64, %d thread%s)", b.group.Threads(), s)
}

// Caps reports memory of its own: float32 of the host cannot be used as it is.
func (*Backend) Caps() tensor.Caps {
	return tensor.Caps{TotalBytes: new(cpu.Backend).Caps().TotalBytes}
}

// NewArena returns an arena with all the address space it can get.
func (*Backend) NewArena() (tensor.Arena, error) {
	a, err := cpu.NewArena(0)
	if err != nil {
		return nil, err
	}
	return &Arena{a}, nil
}

// NewQueue returns a queue over the backend's threads.
func (b *Backend) NewQueue() (tensor.Queue, error) { return &Queue{group: b.group}, nil }

// Import fails: numbers of the host are converted by an upload.
func (*Backend) Import(*tensor.Tensor, tensor.DType, int, int, []byte) error {
	return errors.New("cpu64: memory is not shared; upload instead")
}

// Close ends the threads. Arenas stay valid.
func (b *Backend) Close() error {
	b.group.Close()
	return nil
}

// Arena is an arena of the CPU backend that holds F64 where F32 is asked for.
type Arena struct{ *cpu.Arena }

// Alloc returns a tensor with one reference and undefined contents, of F64 for F32.
func (a *Arena) Alloc(dt tensor.DType, rows, cols int) tensor.Tensor {
	if dt == tensor.F32 {
		dt = tensor.F64
	}
	return a.Arena.Alloc(dt, rows, cols)
}

var (
	_ tensor.Queue   = (*Queue)(nil)
	_ tensor.Arena   = (*Arena)(nil)
	_ tensor.Backend = (*Backend)(nil)
)
