// Package meta is a device without data: its arena counts, its operations do nothing. A step on
// it takes the memory that the same step takes elsewhere, byte for byte, which is how memory is
// planned without data or a device.
package meta

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/saint-gnn/saint/internal/hostmem"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Registered names: NameDouble counts as the CPU's backend of double precision does.
const (
	Name       = "meta"
	NameDouble = "meta64"
)

func init() {
	tensor.Register(Name, func(tensor.Options) (tensor.Backend, error) { return &Backend{}, nil })
	tensor.Register(NameDouble, func(tensor.Options) (tensor.Backend, error) { return &Backend{double: true}, nil })
}

// Backend counts as the CPU does: memory of the host is shared, tensors are rounded up to its
// alignment. That of double precision has memory of its own, and F64 where F32 is asked for.
type Backend struct{ double bool }

// Name returns "meta", or "meta64" for double precision.
func (b *Backend) Name() string {
	if b.double {
		return NameDouble
	}
	return Name
}

// Device says that there is none.
func (*Backend) Device() string { return "meta (no data)" }

// Caps reports shared memory in single precision.
func (b *Backend) Caps() tensor.Caps { return tensor.Caps{SharedMemory: !b.double} }

// NewArena returns an arena without memory.
func (b *Backend) NewArena() (tensor.Arena, error) {
	return &Arena{double: b.double, slots: map[uint64]*slot{}}, nil
}

// NewQueue returns a queue that does nothing. In double precision no masks are remembered.
func (b *Backend) NewQueue() (tensor.Queue, error) {
	q := &Queue{}
	if b.double {
		q.ForgetMasks(0)
	}
	return q, nil
}

// Import makes *t a tensor of that shape; src only has to have its size.
func (b *Backend) Import(t *tensor.Tensor, dt tensor.DType, rows, cols int, src []byte) error {
	if b.double {
		return errors.New("meta64: memory is not shared; upload instead")
	}
	view := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: dt, ID: ids.Add(1)}
	if rows < 0 || cols < 0 || int64(len(src)) != view.Bytes() {
		return fmt.Errorf("meta: import %s from %d bytes, want %d", view, len(src), view.Bytes())
	}
	*t = view
	return nil
}

// Close does nothing.
func (*Backend) Close() error { return nil }

var ids atomic.Uint64

type slot struct {
	size int64
	refs int
}

// Arena is a tensor.Arena that counts bytes.
type Arena struct {
	double      bool
	slots       map[uint64]*slot
	bytes, peak int64
}

// Alloc returns a tensor without memory.
func (a *Arena) Alloc(dt tensor.DType, rows, cols int) tensor.Tensor {
	if rows < 0 || cols < 0 {
		panic(&tensor.ShapeError{Op: "Alloc", Got: fmt.Sprintf("%dx%d", rows, cols), Want: "no negative size"})
	}
	if a.double && dt == tensor.F32 {
		dt = tensor.F64
	}
	t := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: dt, ID: ids.Add(1)}
	size := hostmem.Round(t.Bytes())
	a.slots[t.ID] = &slot{size: size, refs: 1}
	a.bytes += size
	a.peak = max(a.peak, a.bytes)
	return t
}

// Owns reports whether t, or what it is a view of, is live in this arena.
func (a *Arena) Owns(t tensor.Tensor) bool { return a.slots[t.ID] != nil }

// Retain adds a reference.
func (a *Arena) Retain(t tensor.Tensor) {
	if s := a.slots[t.ID]; s != nil {
		s.refs++
	}
}

// Release drops a reference.
func (a *Arena) Release(t tensor.Tensor) {
	s := a.slots[t.ID]
	if s == nil {
		return
	}
	if s.refs--; s.refs == 0 {
		a.bytes -= s.size
		delete(a.slots, t.ID)
	}
}

// Reset releases everything.
func (a *Arena) Reset() {
	clear(a.slots)
	a.bytes = 0
}

// Live returns the number of tensors not yet released.
func (a *Arena) Live() int { return len(a.slots) }

// Bytes returns the bytes that live tensors would take.
func (a *Arena) Bytes() int64 { return a.bytes }

// Peak returns the most bytes since ResetPeak.
func (a *Arena) Peak() int64 { return a.peak }

// ResetPeak makes the bytes in use now the peak.
func (a *Arena) ResetPeak() { a.peak = a.bytes }

// Err returns nil: nothing can run out.
func (*Arena) Err() error { return nil }

// Close releases everything.
func (a *Arena) Close() error {
	a.Reset()
	return nil
}
