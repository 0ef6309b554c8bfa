package cuda

import (
	"errors"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/internal/hostmem"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// partBytes is the least that is taken from the device at a time, where it has as much.
const partBytes = 64 << 20

// memory is this backend's tensor.Mem: an allocation of the device.
type memory struct{ base driver.Ptr }

// noMemory is the memory of tensors that could not be allocated.
var noMemory = &memory{}

// part is memory that tensors are placed in.
type part struct {
	mem   *memory
	size  int64
	space *hostmem.Space

	counts bool // it is no memory
}

type slot struct {
	off, size int64
	part      *part
	refs      int
}

// Arena is a tensor.Arena on a device. It takes memory as it is needed and keeps it until it is
// closed, so that once it has seen a step it asks the device for nothing. A released tensor's
// memory may be given to the next while work that uses it is still queued: tensors of one arena
// belong to one queue, whose order makes that right. Not safe for concurrent use.
type Arena struct {
	b           *Backend
	least       int64 // bytes of a part
	parts       []*part
	bytes, peak int64
	slots       map[uint64]*slot
	unused      []*slot
	err         error
	released    map[uint64]bool // since the last Reset, under invariants
}

func newArena(b *Backend) *Arena {
	a := &Arena{b: b, least: b.part, slots: map[uint64]*slot{}}
	if invariants.Enabled {
		a.released = map[uint64]bool{}
	}
	return a
}

// Alloc returns a tensor with one reference and undefined contents, 64-byte aligned. When memory
// runs out, Err reports it, and operations on the tensor fail on their queue.
func (a *Arena) Alloc(dt tensor.DType, rows, cols int) tensor.Tensor {
	if rows < 0 || cols < 0 {
		panic(&tensor.ShapeError{Op: "Alloc", Got: fmt.Sprintf("%dx%d", rows, cols), Want: "no negative size"})
	}
	t := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: dt, ID: ids.Add(1)}
	size := t.Bytes()
	if cols > 0 && size/int64(cols)/dt.Size() != int64(rows) {
		size = math.MaxInt64 // the product overflows
	}
	p, off, err := a.place(size)
	if err != nil {
		if a.err == nil {
			a.err = fmt.Errorf("cuda: allocate %s: %w", t, err)
		}
		t.Mem = noMemory
		return t
	}
	t.Mem, t.Off = p.mem, off/dt.Size()
	s := a.slot()
	*s = slot{off: off, size: size, part: p, refs: 1}
	a.slots[t.ID] = s
	a.bytes += hostmem.Round(size)
	a.peak = max(a.peak, a.bytes)
	return t
}

func (a *Arena) slot() *slot {
	if n := len(a.unused); n > 0 {
		s := a.unused[n-1]
		a.unused = a.unused[:n-1]
		return s
	}
	return &slot{}
}

// place finds room for size bytes.
func (a *Arena) place(size int64) (*part, int64, error) {
	for _, p := range a.parts {
		if off, err := p.space.Alloc(size); err == nil {
			return p, off, nil
		}
	}
	if size > math.MaxInt64/2 {
		return nil, 0, errors.New("more bytes than any device has")
	}
	if a.b.dry {
		p := &part{mem: &memory{}, size: dryBytes, space: hostmem.NewSpace(dryBytes), counts: true}
		a.parts = append(a.parts, p)
		off, err := p.space.Alloc(size)
		return p, off, err
	}
	need := max(hostmem.Round(size), a.least)
	base, err := a.b.take(need)
	if driver.IsOutOfMemory(err) && size < a.least {
		need = max(hostmem.Round(size), 64)
		base, err = a.b.take(need)
	}
	if err != nil {
		return nil, 0, err
	}
	p := &part{mem: &memory{base}, size: need, space: hostmem.NewSpace(need)}
	a.parts = append(a.parts, p)
	off, err := p.space.Alloc(size)
	return p, off, err
}

// Owns reports whether t, or what it is a view of, is a live tensor of this arena.
func (a *Arena) Owns(t tensor.Tensor) bool { return a.slots[t.ID] != nil }

// Retain adds a reference.
func (a *Arena) Retain(t tensor.Tensor) {
	if s := a.slots[t.ID]; s != nil {
		s.refs++
	}
}

// Release drops a reference; with the last one the memory is free for other tensors.
func (a *Arena) Release(t tensor.Tensor) {
	s := a.slots[t.ID]
	if s == nil {
		if invariants.Enabled && a.released[t.ID] {
			panic(fmt.Sprintf("cuda: tensor %d (%s) released once too often", t.ID, t))
		}
		return
	}
	if s.refs--; s.refs > 0 {
		return
	}
	if invariants.Enabled {
		a.released[t.ID] = true
	}
	s.part.space.Free(s.off, s.size)
	a.bytes -= hostmem.Round(s.size)
	delete(a.slots, t.ID)
	a.unused = append(a.unused, s)
}

// Reset releases everything and forgets the error.
func (a *Arena) Reset() {
	for id, s := range a.slots {
		a.unused = append(a.unused, s)
		delete(a.slots, id)
	}
	for _, p := range a.parts {
		p.space.Reset()
	}
	a.bytes, a.err = 0, nil
	if invariants.Enabled {
		clear(a.released)
	}
}

// Live returns the number of tensors not yet released.
func (a *Arena) Live() int { return len(a.slots) }

// Bytes returns the bytes in use.
func (a *Arena) Bytes() int64 { return a.bytes }

// Peak returns the most bytes in use since ResetPeak.
func (a *Arena) Peak() int64 { return a.peak }

// ResetPeak makes the bytes in use now the peak.
func (a *Arena) ResetPeak() { a.peak = a.bytes }

// Err returns the first failure since Reset.
func (a *Arena) Err() error { return a.err }

// Close waits for the device and gives the memory back.
func (a *Arena) Close() error {
	a.Reset()
	var errs []error
	if len(a.parts) > 0 {
		errs = append(errs, a.b.sync())
	}
	for _, p := range a.parts {
		if !p.counts {
			errs = append(errs, a.b.give(p.mem.base, p.size))
		}
	}
	a.parts = nil
	return errors.Join(errs...)
}
