package cpu

import (
	"errors"
	"fmt"
	"math"

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
	part      *part
	refs      int
}

// part is memory that tensors are placed in.
type part struct {
	region *hostmem.Region
	space  *hostmem.Space
	mem    *memory
}

// Arena is a tensor.Arena outside the Go heap, over one reservation whose pages become real
// as they are used: a step and an evaluation that take turns on one arena need the memory of
// the larger. It allocates nothing on the Go heap once it has seen a step. Not safe for
// concurrent use.
type Arena struct {
	parts       []*part // one, except where address space is memory
	limit       int64
	grow        int64 // bytes of a further part, 0 if there is none
	bytes, peak int64
	slots       []slot // 0 is never used
	unused      []int  // free slots
	away        []hostmem.Range
	live        int
	err         error
	released    map[uint64]bool // since the last Reset, under invariants
}

// partBytes is the size of a part where address space is memory.
const partBytes = 256 << 20

// NewArena returns an arena of at most limit bytes; 0 means as many as the process can
// reserve, at most 1 TiB.
func NewArena(limit int64) (*Arena, error) {
	if hostmem.Grows {
		return newArena(limit, partBytes)
	}
	return newArena(limit, 0)
}

// newArena returns an arena that reserves everything at once, or with grow > 0 parts of that
// size as they are needed.
func newArena(limit, grow int64) (*Arena, error) {
	a := &Arena{limit: limit, grow: grow, slots: make([]slot, 1)}
	if limit < 0 {
		return nil, fmt.Errorf("cpu: arena of %d bytes", limit)
	}
	if invariants.Enabled {
		a.released = map[uint64]bool{}
	}
	if limit == 0 {
		a.limit = math.MaxInt64
	}
	if grow == 0 {
		return a, a.add(limit)
	}
	return a, nil
}

// add reserves a part of size bytes, 0 meaning as many as can be.
func (a *Arena) add(size int64) error {
	r, err := hostmem.Reserve(size)
	if err != nil {
		return err
	}
	n := int64(len(r.Bytes()))
	r.HugePages(0, n)
	if size > 0 {
		n = hostmem.Round(size)
	}
	a.parts = append(a.parts, &part{region: r, space: hostmem.NewSpace(n), mem: &memory{b: r.Bytes()}})
	return nil
}

// place finds room for size bytes.
func (a *Arena) place(size int64) (p *part, off int64, err error) {
	if size == math.MaxInt64 || size > a.limit || a.bytes > a.limit-size {
		return nil, 0, fmt.Errorf("out of memory: %d bytes asked for, %d of %d in use", size, a.bytes, a.limit)
	}
	for _, p = range a.parts {
		if off, err = p.space.Alloc(size); err == nil {
			return p, off, nil
		}
	}
	if a.grow == 0 {
		if err == nil {
			err = errors.New("the arena is closed")
		}
		return nil, 0, err
	}
	if err := a.add(max(a.grow, hostmem.Round(size))); err != nil {
		return nil, 0, err
	}
	p = a.parts[len(a.parts)-1]
	off, err = p.space.Alloc(size)
	return p, off, err
}

// mostMoved bounds what is placed elsewhere for the sake of speed: on large graphs it is memory that counts.
const mostMoved = 64 << 20

// elsewhere returns a better place for t, which has been given size bytes at off: one where it is in
// nobody's way. Where a product is put off, and t would lie in memory of other rows of what is read
// or written with it, what makes t could not follow the product.
func (a *Arena) elsewhere(p *part, off, size int64, t tensor.Tensor) int64 {
	w := p.mem.waiting
	if w == nil || w.kind == noProduct || size > mostMoved || size == 0 {
		return off
	}
	t.Mem, t.Off = p.mem, off/t.Type.Size()
	if !w.disturbedBy(extentOf(t)) {
		return off
	}
	a.away = w.memory(p.mem, a.away[:0])
	if better, ok := p.space.AllocOutside(size, a.away); ok {
		p.space.Free(off, size)
		return better
	}
	return off
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
		size = math.MaxInt64 // the product overflows
	}
	p, off, err := a.place(size)
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
	off = a.elsewhere(p, off, size, t)
	t.Mem, t.ID, t.Off = p.mem, newID(i), off/dt.Size()
	a.slots[i] = slot{id: t.ID, off: off, size: size, part: p, refs: 1}
	a.live++
	a.bytes += hostmem.Round(size)
	a.peak = max(a.peak, a.bytes)
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
	s.part.space.Free(s.off, s.size)
	a.bytes -= hostmem.Round(s.size)
	a.unused = append(a.unused, int(s.id&(1<<slotBits-1)))
	a.live--
}

func (a *Arena) poison(s *slot) {
	b := s.part.mem.b[s.off : s.off+s.size]
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
	for _, p := range a.parts {
		p.space.Reset()
	}
	a.bytes = 0
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
func (a *Arena) Bytes() int64 { return a.bytes }

// Peak returns the most bytes in use since ResetPeak.
func (a *Arena) Peak() int64 { return a.peak }

// ResetPeak makes the bytes in use now the peak.
func (a *Arena) ResetPeak() { a.peak = a.bytes }

// Err returns the first failure since Reset.
func (a *Arena) Err() error { return a.err }

// Close returns the memory to the system. Touching a tensor of the arena afterwards crashes.
func (a *Arena) Close() error {
	a.Reset()
	var errs []error
	for _, p := range a.parts {
		p.mem.b = nil
		errs = append(errs, p.region.Close())
	}
	a.parts, a.grow = nil, 0
	return errors.Join(errs...)
}
