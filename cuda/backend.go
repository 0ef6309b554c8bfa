package cuda

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Name is the name of this backend.
const Name = "cuda"

// Backend is one GPU. Its queues may be used by different goroutines, one goroutine a queue.
type Backend struct {
	dev   driver.Device
	index int
	part  int64 // bytes that arenas take from the device at a time, at least
	held  atomic.Int64
	most  atomic.Int64 // of held
	dry   bool         // nothing is computed, memory is counted
	lib   library
	count counters

	profile *profiler // nil: nobody measures

	capturing sync.RWMutex // held while a queue is captured, and for reading by who waits for all queues

	code code
}

// kernel names an entry of a family of kernels.
type kernel struct{ family, name string }

// Open opens GPU number o.Device. Its error wraps tensor.ErrUnavailable.
func Open(o tensor.Options) (tensor.Backend, error) {
	drv, err := openDriver()
	if err != nil {
		return nil, unavailable(err)
	}
	b, err := openOn(drv, o.Device)
	if err != nil {
		return nil, err
	}
	b.useLibrary(o.Matmul)
	return b, nil
}

func openOn(drv driver.Driver, device int) (*Backend, error) {
	n, err := drv.Devices()
	switch {
	case err != nil:
		return nil, unavailable(err)
	case device < 0 || device >= n:
		return nil, unavailable(fmt.Errorf("there is no GPU %d, the driver shows %d", device, n))
	}
	dev, err := drv.Open(device)
	if err != nil {
		return nil, unavailable(err)
	}
	return &Backend{dev: dev, index: device, part: partBytes}, nil
}

// Name returns "cuda".
func (*Backend) Name() string { return Name }

// Device returns the GPU's number and name.
func (b *Backend) Device() string {
	p := b.dev.Properties()
	return fmt.Sprintf("cuda:%d (%s, compute capability %d.%d)", b.index, p.Name, p.Major, p.Minor)
}

// Caps reports asynchronous operations on memory of its own.
func (b *Backend) Caps() tensor.Caps {
	return tensor.Caps{Async: true, TotalBytes: b.dev.Properties().TotalBytes}
}

// NewArena returns an arena that takes memory from the device as it is needed.
func (b *Backend) NewArena() (tensor.Arena, error) { return newArena(b), nil }

// NewQueue returns a queue over a stream of its own.
func (b *Backend) NewQueue() (tensor.Queue, error) {
	q, err := newQueue(b)
	if err != nil {
		return nil, err
	}
	return q, nil
}

// errNotShared is what Import answers.
var errNotShared = errors.New("cuda: memory of the host cannot be imported, it has to be uploaded")

// Import returns an error: the memory is not shared.
func (*Backend) Import(*tensor.Tensor, tensor.DType, int, int, []byte) error { return errNotShared }

// Close unloads the kernels and releases the device. Queues and arenas must have been closed.
func (b *Backend) Close() error {
	return errors.Join(b.lib.close(), b.code.close(b.dev), b.dev.Close())
}

// name is how errors call the device.
func (b *Backend) name() string { return fmt.Sprintf("%s:%d", Name, b.index) }

// sync waits for all work of the device.
func (b *Backend) sync() error {
	b.capturing.RLock()
	defer b.capturing.RUnlock()
	return b.dev.Sync()
}

// take allocates memory of the device.
func (b *Backend) take(bytes int64) (driver.Ptr, error) {
	b.count.allocations.Add(1)
	p, err := b.dev.Alloc(bytes)
	switch {
	case err == nil:
		b.hold(bytes)
		return p, nil
	case !driver.IsOutOfMemory(err):
		return 0, b.explain(err)
	}
	few := &tensor.OutOfMemoryError{Device: b.name(), Asked: bytes, Held: b.held.Load(), Err: err}
	var infoErr error
	if few.Free, few.Total, infoErr = b.dev.MemInfo(); infoErr != nil {
		return 0, b.explain(errors.Join(err, infoErr))
	}
	return 0, few
}

// give returns what take returned; it stays the device's while an error says so.
func (b *Backend) give(p driver.Ptr, bytes int64) error {
	if err := b.dev.Free(p); err != nil {
		return b.explain(err)
	}
	b.held.Add(-bytes)
	return nil
}

// explain says what an error means after which the device answers nothing.
func (b *Backend) explain(err error) error {
	var known *tensor.LostError
	if !driver.Lost(err) || errors.As(err, &known) {
		return err
	}
	return &tensor.LostError{Device: b.name(), Err: err}
}

var ids atomic.Uint64

var (
	_ tensor.Backend = (*Backend)(nil)
	_ tensor.Arena   = (*Arena)(nil)
	_ tensor.Queue   = (*Queue)(nil)

	_ tensor.HostAllocator = (*Backend)(nil)
	_ tensor.Copier        = (*Backend)(nil)
	_ tensor.Planner       = (*Backend)(nil)
	_ tensor.Reserver      = (*Arena)(nil)
	_ tensor.Reserver      = (*Queue)(nil)
	_ tensor.Reserver      = (*Copies)(nil)
	_ tensor.HalfRows      = (*Backend)(nil)
	_ tensor.Counter       = (*Backend)(nil)
	_ tensor.Ahead         = (*Queue)(nil)
	_ tensor.Recorder      = (*Queue)(nil)

	_ tensor.LogLossOps = (*Queue)(nil)
	_ tensor.PairOps    = (*Queue)(nil)
	_ tensor.QuantOps   = (*Queue)(nil)
)
