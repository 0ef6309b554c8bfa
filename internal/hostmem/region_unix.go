//go:build unix

package hostmem

import (
	"fmt"
	"math"
	"syscall"
)

const (
	maxReserve = 1 << 40
	minReserve = 1 << 28
)

const protRW = syscall.PROT_READ | syscall.PROT_WRITE

// Grows is whether Reserve takes memory rather than address space.
const Grows = false

// Reserve reserves limit bytes of address space (rounded up to whole pages), or with limit 0
// 1 TiB, or where the process may not have that half of what it may. No page is used before
// it is touched.
func Reserve(limit int64) (*Region, error) {
	if limit < 0 || limit > math.MaxInt-pageSize {
		return nil, fmt.Errorf("hostmem: reservation of %d bytes", limit)
	}
	if limit > 0 {
		return reserve((limit + pageSize - 1) / pageSize * pageSize)
	}
	r, err := reserve(maxReserve)
	for size := int64(maxReserve); err != nil && size > minReserve; {
		size /= 2
		if r, err = reserve(size); err != nil {
			continue
		}
		// The address space is limited: leave some of it to others.
		if err := r.Close(); err != nil {
			return nil, err
		}
		return reserve(size / 2)
	}
	return r, err
}

func reserve(size int64) (*Region, error) {
	if int64(int(size)) != size {
		return nil, fmt.Errorf("hostmem: %d bytes are more than this machine can address", size)
	}
	b, err := syscall.Mmap(-1, 0, int(size), protRW, syscall.MAP_ANON|syscall.MAP_PRIVATE|mapNoReserve)
	if err != nil {
		return nil, fmt.Errorf("hostmem: reserve %d bytes: %w", size, err)
	}
	return &Region{b: b, mapped: true}, nil
}

func unmap(b []byte) error { return syscall.Munmap(b) }
