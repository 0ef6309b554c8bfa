//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package mmapfile

import (
	"io"

	"github.com/saint-gnn/saint/internal/fileop"
)

func load(f *fileop.File, size int) (data []byte, mapped bool, err error) {
	data = make([]byte, size)
	_, err = io.ReadFull(f, data)
	return data, false, err
}

func unmap([]byte) error { return nil }

func advise([]byte, Advice) {}
