package remote

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// FillSharedMemory has every allocation of shared memory after the first few fail, as in a
// container whose /dev/shm is small, until the test ends.
func FillSharedMemory(t *testing.T, few int64) {
	real := allocate
	var n atomic.Int64
	allocate = func(fd int, mode uint32, off, size int64) error {
		if n.Add(1) > few {
			return unix.ENOSPC
		}
		return real(fd, mode, off, size)
	}
	t.Cleanup(func() { allocate = real })
}
