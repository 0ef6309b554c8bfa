//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/saint-gnn/saint/cuda/internal/culoader"
)

// realCollective is communicators of NCCL.
type realCollective struct {
	lib  *culoader.Nccl
	ring *culoader.Ring
}

func (d *realDevice) Join(devices []Device) (Collective, error) {
	lib, err := culoader.LoadNccl()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLibrary, err)
	}
	var numbers []int
	var contexts []unsafe.Pointer
	for _, other := range devices {
		o, ok := other.(*realDevice)
		if !ok {
			return nil, fmt.Errorf("%w: a device of another driver", ErrNoLibrary)
		}
		numbers, contexts = append(numbers, int(o.device)), append(contexts, pointer(o.ctx))
	}
	ring, err := lib.NewRing(numbers, contexts)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoLibrary, lib.File, err)
	}
	return &realCollective{lib, ring}, nil
}

func (c *realCollective) Library() string { return c.lib.Name() }

// exchanging keeps calls that allocate and free memory, or load code, from coming between the launches of
// an exchange: its kernel on one device waits for that on another, and such a call may wait for all work of
// a device and hold back what is launched meanwhile, so that neither would end. A kernel is loaded when its
// function is asked for, and graphs have memory of the device.
var exchanging sync.RWMutex

func (c *realCollective) exchange(reduce bool, at [][]Ptr, counts []int, streams []Stream) error {
	exchanging.Lock()
	defer exchanging.Unlock()
	return ofDriver(c.ring.Exchange(reduce, func(i, k int) uint64 { return uint64(at[i][k]) }, counts, func(i int) uint64 { return uint64(streams[i]) }))
}

// ofDriver makes the driver's own error of one that is not the library's.
func ofDriver(err error) error {
	var n culoader.NoContextError
	if errors.As(err, &n) {
		return wrap("cuCtxSetCurrent", number(int(n)))
	}
	return err
}

func (c *realCollective) Reduce(at [][]Ptr, counts []int, streams []Stream) error {
	return c.exchange(true, at, counts, streams)
}

func (c *realCollective) Broadcast(at [][]Ptr, counts []int, streams []Stream) error {
	return c.exchange(false, at, counts, streams)
}

func (c *realCollective) Failed() error { return c.ring.Failed() }

func (c *realCollective) Abort() error { return ofDriver(c.ring.End(true)) }

func (c *realCollective) Close() error { return ofDriver(c.ring.End(false)) }
