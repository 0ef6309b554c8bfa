package hostmem

import "fmt"

const align = 64 // a cache line, and the widest vector register

// span is a free range of a Space.
type span struct{ off, size int64 }

// Space hands out ranges of [0,limit): the lowest free range that is large enough, so that
// the pages in use stay few and the same calls give the same offsets. Offsets and sizes are
// multiples of 64 bytes. It keeps numbers only and works for the memory of any device. Once
// its list of free ranges has grown to a program's needs, it allocates nothing. Not safe for
// concurrent use.
type Space struct {
	limit int64
	free  []span // by offset, never adjacent
	bytes int64
	top   int64 // end of the highest range that was ever handed out
}

// NewSpace returns the empty space of limit bytes.
func NewSpace(limit int64) *Space {
	s := &Space{limit: limit / align * align}
	s.Reset()
	return s
}

// Round returns the bytes that a range of size bytes takes.
func Round(size int64) int64 { return (size + align - 1) / align * align }

// Alloc returns the offset of a free range of Round(size) bytes, or an error that says how
// much memory is in use and how much was asked for. A range of no bytes is always at 0.
func (s *Space) Alloc(size int64) (int64, error) {
	if size < 0 || size > s.limit {
		return 0, s.full(size)
	}
	size = Round(size)
	if size == 0 {
		return 0, nil
	}
	for i := range s.free {
		f := &s.free[i]
		if f.size < size {
			continue
		}
		off := f.off
		s.take(i, off, size)
		return off, nil
	}
	return 0, s.full(size)
}

// Range is the part [Lo,Hi) of a space.
type Range struct{ Lo, Hi int64 }

// AllocOutside is Alloc of the lowest place that has nothing of the ranges of away. If there is none,
// it has failed without an error that anybody needs: Alloc may still do.
func (s *Space) AllocOutside(size int64, away []Range) (off int64, ok bool) {
	size = Round(size)
	if size <= 0 || size > s.limit {
		return 0, false
	}
	for i, f := range s.free {
		off := f.off
		for again := true; again && off+size <= f.off+f.size; {
			again = false
			for _, r := range away {
				if r.Lo < off+size && off < r.Hi {
					off, again = Round(r.Hi), true
				}
			}
		}
		if end := f.off + f.size; off+size <= end {
			s.take(i, off, size)
			return off, true
		}
	}
	return 0, false
}

// take takes [off,off+size) out of free range i.
func (s *Space) take(i int, off, size int64) {
	f := s.free[i]
	before, after := span{f.off, off - f.off}, span{off + size, f.off + f.size - off - size}
	switch {
	case before.size == 0 && after.size == 0:
		s.free = append(s.free[:i], s.free[i+1:]...)
	case before.size == 0:
		s.free[i] = after
	default:
		s.free[i] = before
		if after.size > 0 {
			s.free = append(s.free, span{})
			copy(s.free[i+2:], s.free[i+1:])
			s.free[i+1] = after
		}
	}
	s.bytes += size
	s.top = max(s.top, off+size)
}

func (s *Space) full(size int64) error {
	return fmt.Errorf("out of memory: %d bytes asked for, %d of %d in use", size, s.bytes, s.limit)
}

// Free takes back the range that Alloc(size) placed at off.
func (s *Space) Free(off, size int64) {
	size = Round(size)
	if size == 0 {
		return
	}
	s.bytes -= size
	i, j := 0, len(s.free)
	for i < j {
		if h := int(uint(i+j) / 2); s.free[h].off < off {
			i = h + 1
		} else {
			j = h
		}
	}
	before := i > 0 && s.free[i-1].off+s.free[i-1].size == off
	after := i < len(s.free) && off+size == s.free[i].off
	switch {
	case before && after:
		s.free[i-1].size += size + s.free[i].size
		s.free = append(s.free[:i], s.free[i+1:]...)
	case before:
		s.free[i-1].size += size
	case after:
		s.free[i].off = off
		s.free[i].size += size
	default:
		s.free = append(s.free, span{})
		copy(s.free[i+1:], s.free[i:])
		s.free[i] = span{off, size}
	}
}

// Reset frees everything.
func (s *Space) Reset() {
	s.free = s.free[:0]
	if s.limit > 0 {
		s.free = append(s.free, span{0, s.limit})
	}
	s.bytes = 0
}

// Extent returns where the highest range that was ever handed out ends: a space of that limit would
// have done.
func (s *Space) Extent() int64 { return s.top }

// Bytes returns the bytes in use.
func (s *Space) Bytes() int64 { return s.bytes }
