package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/hostmem"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// poison fills released memory under invariants: as a float32 it is -1.07e8, far from any
// activation, as an index it is negative.
const poison = 0xCC

// slot is one tensor of an arena; refs 0 marks a free slot.
type slot struct {
	id        uint64
	off, size int64
	refs      int
}

// Arena is a tensor.Arena outside the Go heap, over one reservation whose pages become real
// as they are used: a step and an evaluation that take turns on one arena need the memory of
// the larger. It allocates nothing on the Go heap once it has seen a step. Not safe for
// concurrent use.
type Arena struct {
	region   *hostmem.Region
	space    *hostmem.Space
	mem      *memory
	slots    []slot // 0 is never used
	unused   []int  // free slots
	live     int
	err      error
	released map[uint64]bool // since the last Reset, under invariants
}

// NewArena returns an arena of at most limit bytes; 0 means as many as the process can
// reserve, at most 1 TiB.
func NewArena(limit int64) (*Arena, error) {
	r, err := hostmem.Reserve(limit)
	if err != nil {
		return nil, err
	}
	size := int64(len(r.Bytes()))
	r.HugePages(0, size)
	if limit > 0 {
		size = hostmem.Round(limit)
	}
	a := &Arena{region: r, space: hostmem.NewSpace(size), mem: &memory{b: r.Bytes()}, slots: make([]slot, 1)}
	if invariants.Enabled {
		a.released = map[uint64]bool{}
	}
	return a, nil
}

// Alloc returns a tensor with one reference and undefined contents, 64-byte aligned. When
// memory runs out, Err reports it, and operations on the tensor fail on their queue.
func (a *Arena) Alloc(dt tensor.DType, rows, cols int) tensor.Tensor {
	if rows < 0 || cols < 0 {
		panic(&tensor.ShapeError{Op: "Alloc", Got: fmt.Sprintf("%dx%d", rows, cols), Want: "no negative size"})
	}
	t := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: dt}
	size := t.Bytes()
	if cols > 0 && size/int64(cols)/dt.Size() != int64(rows) {
		size = -1 // the product overflows: more than any arena has
	}
	off, err := a.space.Alloc(size)
	i := 0
	if err == nil {
		i, err = a.slot()
	}
	if err != nil {
		if a.err == nil {
			a.err = fmt.Errorf("cpu: allocate %s: %w", t, err)
		}
		t.Mem, t.ID = noMemory, newID(0)
		return t
	}
	t.Mem, t.ID, t.Off = a.mem, newID(i), off/dt.Size()
	a.slots[i] = slot{id: t.ID, off: off, size: size, refs: 1}
	a.live++
	return t
}

// slot returns a free slot.
func (a *Arena) slot() (int, error) {
	if n := len(a.unused); n > 0 {
		i := a.unused[n-1]
		a.unused = a.unused[:n-1]
		return i, nil
	}
	if len(a.slots) == 1<<slotBits {
		return 0, fmt.Errorf("%d tensors are live", a.live)
	}
	a.slots = append(a.slots, slot{})
	return len(a.slots) - 1, nil
}

// find returns the slot of a live tensor of this arena, nil for any other.
func (a *Arena) find(t tensor.Tensor) *slot {
	i := int(t.ID & (1<<slotBits - 1))
	if i == 0 || i >= len(a.slots) || a.slots[i].id != t.ID || a.slots[i].refs == 0 {
		return nil
	}
	return &a.slots[i]
}

// Owns reports whether t, or what it is a view of, is a live tensor of this arena.
func (a *Arena) Owns(t tensor.Tensor) bool { return a.find(t) != nil }

// Retain adds a reference.
func (a *Arena) Retain(t tensor.Tensor) {
	if s := a.find(t); s != nil {
		s.refs++
	}
}

// Release drops a reference; with the last one the memory is free for other tensors.
func (a *Arena) Release(t tensor.Tensor) {
	s := a.find(t)
	if s == nil {
		if invariants.Enabled && a.released[t.ID] {
			panic(fmt.Sprintf("cpu: tensor %d (%s) released once too often", t.ID, t))
		}
		return
	}
	if s.refs--; s.refs > 0 {
		return
	}
	if invariants.Enabled {
		a.released[s.id] = true
		a.poison(s)
	}
	a.space.Free(s.off, s.size)
	a.unused = append(a.unused, int(s.id&(1<<slotBits-1)))
	a.live--
}

func (a *Arena) poison(s *slot) {
	b := a.mem.b[s.off : s.off+s.size]
	for i := range b {
		b[i] = poison
	}
}

// Reset releases everything and forgets the error.
func (a *Arena) Reset() {
	for i := range a.slots {
		if s := &a.slots[i]; s.refs > 0 {
			if invariants.Enabled {
				a.poison(s)
			}
			s.refs = 0
		}
	}
	a.space.Reset()
	a.unused = a.unused[:0]
	a.slots = a.slots[:1]
	a.live = 0
	a.err = nil
	if invariants.Enabled {
		clear(a.released)
	}
}

// Live returns the number of tensors not yet released.
func (a *Arena) Live() int { return a.live }

// Bytes returns the bytes in use.
func (a *Arena) Bytes() int64 { return a.space.Bytes() }

// Peak returns the most bytes in use since ResetPeak.
func (a *Arena) Peak() int64 { return a.space.Peak() }

// ResetPeak makes the bytes in use now the peak.
func (a *Arena) ResetPeak() { a.space.ResetPeak() }

// Trim gives the pages that hold no tensor back to the system, for example after a phase
// that needed much more memory than the next one will.
func (a *Arena) Trim() { a.space.Trim(a.region.Release) }

// Err returns the first failure since Reset.
func (a *Arena) Err() error { return a.err }

// Close returns the memory to the system. Touching a tensor of the arena afterwards crashes.
func (a *Arena) Close() error {
	a.Reset()
	a.mem.b = nil
	return a.region.Close()
}
