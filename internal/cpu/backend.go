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

// Caps reports shared memory.
func (*Backend) Caps() tensor.Caps { return tensor.Caps{SharedMemory: true, TotalBytes: memoryTotal()} }

// HalfRows reports that features may be stored in half precision.
func (*Backend) HalfRows() bool { return true }

// NewArena returns an arena with all the address space it can get; see NewArena.
func (*Backend) NewArena() (tensor.Arena, error) { return NewArena(0) }

// NewQueue returns a queue over the backend's threads.
func (b *Backend) NewQueue() (tensor.Queue, error) { return &Queue{group: b.group}, nil }

// Import makes *t a view of src, which must hold exactly rows*cols elements aligned to their
// size; nothing is copied.
func (*Backend) Import(t *tensor.Tensor, dt tensor.DType, rows, cols int, src []byte) error {
	view := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: dt, ID: newID(0)}
	switch {
	case rows < 0 || cols < 0:
		return fmt.Errorf("cpu: import %dx%d elements", rows, cols)
	case int64(len(src)) != view.Bytes():
		return fmt.Errorf("cpu: import %s from %d bytes, want %d", view, len(src), view.Bytes())
	case uintptr(unsafe.Pointer(unsafe.SliceData(src)))%uintptr(dt.Size()) != 0 && len(src) > 0:
		return fmt.Errorf("cpu: import %s from memory that is not aligned to its elements", view)
	}
	mem, ok := t.Mem.(*memory)
	if !ok || mem == noMemory || t.ID&(1<<slotBits-1) != 0 { // not made by Import: an arena's
		mem = &memory{}
	}
	mem.b = src
	view.Mem = mem
	*t = view
	return nil
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
