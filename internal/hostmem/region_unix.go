//go:build unix

package hostmem

import (
	"errors"
	"fmt"
	"syscall"
)

const protRW = syscall.PROT_READ | syscall.PROT_WRITE

// Reserve reserves limit bytes of address space (rounded up to whole pages), or with limit 0
// as much as the process may have, at most 1 TiB. No page is used before it is touched.
func Reserve(limit int64) (*Region, error) {
	if limit < 0 {
		return nil, fmt.Errorf("hostmem: reservation of %d bytes", limit)
	}
	size, least := int64(maxReserve), int64(minReserve)
	if limit > 0 {
		size = (limit + pageSize - 1) / pageSize * pageSize
		least = size
	}
	for {
		if int64(int(size)) == size {
			b, err := syscall.Mmap(-1, 0, int(size), protRW, syscall.MAP_ANON|syscall.MAP_PRIVATE|mapNoReserve)
			if err == nil {
				return &Region{b: b, mapped: true}, nil
			}
			if size <= least {
				return nil, fmt.Errorf("hostmem: reserve %d bytes: %w", size, err)
			}
		} else if size <= least {
			return nil, errors.New("hostmem: more bytes than this machine can address")
		}
		size /= 2
	}
}

func unmap(b []byte) error { return syscall.Munmap(b) }
