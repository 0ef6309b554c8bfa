package cpu

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Name is the registered name of this backend.
const Name = "cpu"

func init() {
	tensor.Register(Name, func(o tensor.Options) (tensor.Backend, error) { return Open(o), nil })
}

// Backend is the host's processors. Its queues share one group of threads; queues may be
// used by different goroutines, one goroutine a queue.
type Backend struct {
	group *workers.Group
}

// Open starts a backend of o.Threads threads, 0 meaning all that the process may use.
func Open(o tensor.Options) *Backend { return &Backend{group: workers.New(o.Threads)} }

// Name returns "cpu".
func (*Backend) Name() string { return Name }

// Device returns the instruction set in use and the number of threads.
func (b *Backend) Device() string {
	s := "s"
	if b.group.Threads() == 1 {
		s = ""
	}
	return fmt.Sprintf("cpu (%v, %d thread%s)", cpufeat.Chosen(), b.group.Threads(), s)
}

// Threads returns the number of threads.
func (b *Backend) Threads() int { return b.group.Threads() }

// Caps reports shared memory.
func (*Backend) Caps() tensor.Caps { return tensor.Caps{SharedMemory: true, TotalBytes: memoryTotal()} }

// NewArena returns an arena with all the address space it can get; see NewArena.
func (*Backend) NewArena() (tensor.Arena, error) { return NewArena(0) }

// NewQueue returns a queue over the backend's threads.
func (b *Backend) NewQueue() (tensor.Queue, error) { return &Queue{group: b.group}, nil }

// Import makes src, which must hold exactly rows*cols elements aligned to their size, a
// tensor without copying it.
func (*Backend) Import(dt tensor.DType, rows, cols int, src []byte) (tensor.Tensor, error) {
	t := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: dt, ID: newID(0)}
	switch {
	case rows < 0 || cols < 0:
		return tensor.Tensor{}, fmt.Errorf("cpu: import %dx%d elements", rows, cols)
	case int64(len(src)) != t.Bytes():
		return tensor.Tensor{}, fmt.Errorf("cpu: import %s from %d bytes, want %d", t, len(src), t.Bytes())
	case uintptr(unsafe.Pointer(unsafe.SliceData(src)))%uintptr(dt.Size()) != 0 && len(src) > 0:
		return tensor.Tensor{}, fmt.Errorf("cpu: import %s from memory that is not aligned to its elements", t)
	}
	t.Mem = &memory{b: src}
	return t, nil
}

// Close ends the threads. Arenas and imported tensors stay valid.
func (b *Backend) Close() error {
	b.group.Close()
	return nil
}

// slotBits is the part of an ID that names an arena's slot, so that an arena finds its own
// tensors without a map. Slot 0 belongs to no arena.
const slotBits = 20

var ids atomic.Uint64

// newID returns an ID never used before, with the slot in its low bits.
func newID(slot int) uint64 { return ids.Add(1)<<slotBits | uint64(slot) }
