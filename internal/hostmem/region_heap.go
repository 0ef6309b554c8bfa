//go:build !unix

package hostmem

import "fmt"

// Reserve allocates limit bytes from the Go heap, or with limit 0 a fixed default: this
// system has no reservation without memory behind it.
func Reserve(limit int64) (*Region, error) {
	if limit < 0 {
		return nil, fmt.Errorf("hostmem: reservation of %d bytes", limit)
	}
	if limit == 0 {
		limit = minReserve
	}
	if int64(int(limit)) != limit {
		return nil, fmt.Errorf("hostmem: more bytes than this machine can address")
	}
	b := make([]byte, (limit+pageSize-1)/pageSize*pageSize)
	return &Region{b: b}, nil
}

func unmap([]byte) error { return nil }

func discard([]byte) {}

func hugePages([]byte) {}
