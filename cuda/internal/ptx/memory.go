package ptx

import (
	"fmt"
	"sync"
	"unsafe"
)

// Addresses are given out in lines, with at least one unused line between allocations.
const (
	lineBits = 8
	lineSize = 1 << lineBits
)

// Unwritten is what fresh memory is filled with: NaN as a float, -1 as an integer.
const Unwritten = 0xFF

// Memory is device memory: allocations at addresses of its own, so that an access outside all of
// them is found. Allocating and freeing are safe for concurrent use.
type Memory struct {
	mu     sync.RWMutex
	lines  []*allocation // by address / lineSize; nil: nothing there
	byAddr map[uint64]*allocation
	limit  int64
	used   int64
	peak   int64
}

type allocation struct {
	addr  uint64
	words []uint64 // what bytes lie in, for their alignment
	bytes []byte
}

// NewMemory returns memory of that many bytes.
func NewMemory(limit int64) *Memory {
	return &Memory{lines: make([]*allocation, 1), byAddr: map[uint64]*allocation{}, limit: limit}
}

// Alloc returns the address of n > 0 bytes, aligned to 256. It reports false if there is no room.
func (m *Memory) Alloc(n int64) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n <= 0 || n > m.limit-m.used {
		return 0, false
	}
	a := &allocation{addr: uint64(len(m.lines)) << lineBits, words: make([]uint64, (n+7)/8)}
	a.bytes = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a.words))), n)
	for i := range a.words {
		a.words[i] = ^uint64(0)
	}
	for range (n + lineSize - 1) / lineSize {
		m.lines = append(m.lines, a)
	}
	m.lines = append(m.lines, nil)
	m.byAddr[a.addr] = a
	m.used += n
	m.peak = max(m.peak, m.used)
	return a.addr, true
}

// Free ends an allocation. It reports false if none begins at addr, for example after the first
// Free. Addresses are not used again.
func (m *Memory) Free(addr uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.byAddr[addr]
	if a == nil {
		return false
	}
	delete(m.byAddr, addr)
	for i := addr >> lineBits; i < uint64(len(m.lines)) && m.lines[i] == a; i++ {
		m.lines[i] = nil
	}
	m.used -= int64(len(a.bytes))
	return true
}

// Used returns the bytes allocated now.
func (m *Memory) Used() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.used
}

// Peak returns the most bytes that were allocated at a time.
func (m *Memory) Peak() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.peak
}

// Limit returns the size of the memory.
func (m *Memory) Limit() int64 { return m.limit }

// Live returns the number of allocations.
func (m *Memory) Live() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.byAddr)
}

// Bytes returns n bytes from addr on, which must lie in one allocation.
func (m *Memory) Bytes(addr uint64, n int64) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.at(addr, n)
}

// at is Bytes without the lock, for kernels: nothing allocates while one runs.
func (m *Memory) at(addr uint64, n int64) ([]byte, error) {
	line := addr >> lineBits
	if line >= uint64(len(m.lines)) || m.lines[line] == nil {
		return nil, fmt.Errorf("address %#x is in no allocation", addr)
	}
	a := m.lines[line]
	off := int64(addr - a.addr)
	if n < 0 || off+n > int64(len(a.bytes)) {
		return nil, fmt.Errorf("%d bytes at offset %d of an allocation of %d", n, off, len(a.bytes))
	}
	return a.bytes[off : off+n : off+n], nil
}
