//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package mmapfile

import (
	"golang.org/x/sys/unix"

	"github.com/saint-gnn/saint/internal/fileop"
)

func load(f *fileop.File, size int) (data []byte, mapped bool, err error) {
	data, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	return data, err == nil, err
}

func unmap(data []byte) error { return unix.Munmap(data) }

func advise(data []byte, a Advice) {
	flags := [...]int{Normal: unix.MADV_NORMAL, Sequential: unix.MADV_SEQUENTIAL, Random: unix.MADV_RANDOM, WillNeed: unix.MADV_WILLNEED, DontNeed: unix.MADV_DONTNEED}
	if a >= 0 && int(a) < len(flags) {
		unix.Madvise(data, flags[a]) //nolint:errcheck // a hint
	}
}
