//go:build !unix

package hostmem

import (
	"fmt"
	"math"
)

// Grows is whether Reserve takes memory rather than address space. If so, owners reserve in
// chunks as they need them.
const Grows = true

// Reserve allocates limit bytes, rounded up to whole pages, from the Go heap: this system
// has no reservation without memory behind it.
func Reserve(limit int64) (*Region, error) {
	if limit < 0 || limit > math.MaxInt-pageSize {
		return nil, fmt.Errorf("hostmem: reservation of %d bytes", limit)
	}
	return &Region{b: make([]byte, (limit+pageSize-1)/pageSize*pageSize)}, nil
}

func unmap([]byte) error { return nil }

func hugePages([]byte) {}
