package fake

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// collective is devices that exchange memory. What is queued reads at once, which the order of streams
// allows, and writes when its stream comes to it. If a device has failed all others wait for it, until the
// collective is given up.
type collective struct {
	devices []*Device
	streams []driver.Stream
	failed  error
	ended   bool
}

// Join joins devices, if Options.Collective says that there is the library.
func (d *Device) Join(devices []driver.Device) (driver.Collective, error) {
	if !d.driver.options.Collective {
		return nil, fmt.Errorf("%w: libnccl.so.2: not on this machine", driver.ErrNoLibrary)
	}
	if err := d.driver.call("ncclCommInitAll"); err != nil {
		return nil, err
	}
	c := &collective{}
	for i, other := range devices {
		o, ok := other.(*Device)
		if !ok || o.driver != d.driver || i == 0 && o != d {
			return nil, d.invalid("ncclCommInitAll", "devices of several drivers")
		}
		for _, before := range c.devices {
			if before == o {
				return nil, d.invalid("ncclCommInitAll", "a device twice")
			}
		}
		c.devices = append(c.devices, o)
	}
	for _, o := range c.devices {
		o.mu.Lock()
		o.handles++
		o.mu.Unlock()
	}
	return c, nil
}

// Library names the library.
func (*collective) Library() string { return "libnccl.so.2 2.0.0" }

// Reduce adds up.
func (c *collective) Reduce(at [][]driver.Ptr, counts []int, streams []driver.Stream) error {
	return c.exchange("ncclReduce", at, counts, streams, func(mem [][]byte) []int {
		for i := 0; i < len(mem[0]); i += 4 {
			sum := float32(0)
			for _, m := range mem {
				sum += math.Float32frombits(binary.LittleEndian.Uint32(m[i:]))
			}
			binary.LittleEndian.PutUint32(mem[0][i:], math.Float32bits(sum))
		}
		return []int{0}
	})
}

// Broadcast copies.
func (c *collective) Broadcast(at [][]driver.Ptr, counts []int, streams []driver.Stream) error {
	return c.exchange("ncclBroadcast", at, counts, streams, func(mem [][]byte) (changed []int) {
		for i, m := range mem[1:] {
			copy(m, mem[0])
			changed = append(changed, i+1)
		}
		return changed
	})
}

func (c *collective) exchange(call string, at [][]driver.Ptr, counts []int, streams []driver.Stream, f func(mem [][]byte) (changed []int)) error {
	root := c.devices[0]
	if err := root.driver.call(call); err != nil {
		return err
	}
	for _, d := range c.devices { // always in this order, so that nobody waits for another
		d.mu.Lock()
		defer d.mu.Unlock()
	}
	if c.ended || len(at) != len(c.devices) || len(streams) != len(c.devices) {
		return root.invalid(call, "the communicator was destroyed, or has other devices")
	}
	for i, d := range c.devices {
		if err := c.reach(call, d, streams[i], at[i], counts); err != nil {
			return err
		}
	}
	c.streams = streams
	if c.failed != nil {
		for i, d := range c.devices {
			d.streams[streams[i]].stuck = true
		}
		return nil
	}
	for k, n := range counts {
		mem, copies := make([][]byte, len(c.devices)), make([][]byte, len(c.devices))
		for i, d := range c.devices {
			mem[i], _ = d.mem.Bytes(uint64(at[i][k]), 4*int64(n))
			copies[i] = slices.Clone(mem[i])
		}
		for _, i := range f(copies) {
			write := func() error { copy(mem[i], copies[i]); return nil }
			if err := c.devices[i].queue(call, streams[i], write); err != nil {
				return err
			}
		}
	}
	return nil
}

// reach checks a device's part of an exchange and lets its stream come so far.
func (c *collective) reach(call string, d *Device, s driver.Stream, at []driver.Ptr, counts []int) error {
	root := c.devices[0]
	if len(at) != len(counts) {
		return root.invalid(call, "another number of tensors on every device")
	}
	st := d.streams[s]
	if st == nil || st.capture != nil {
		return root.invalid(call, "no such stream, or it is being captured")
	}
	for k, p := range at {
		if _, err := d.mem.Bytes(uint64(p), 4*int64(counts[k])); err != nil || p%4 != 0 {
			return root.invalid(call, fmt.Sprintf("tensor %d of device %d: not aligned, or %v", k, d.index, err))
		}
	}
	if err := d.advance(st, nil); err != nil && c.failed == nil {
		c.failed = err
	}
	return nil
}

// Failed returns the failure of a device.
func (c *collective) Failed() error { return c.failed }

// Abort lets the devices go on.
func (c *collective) Abort() error {
	for i, s := range c.streams {
		d := c.devices[i]
		d.mu.Lock()
		if st := d.streams[s]; st != nil {
			st.stuck = false
		}
		d.mu.Unlock()
	}
	return c.end("ncclCommAbort")
}

// Close ends the collective.
func (c *collective) Close() error {
	if err := c.devices[0].driver.call("ncclCommDestroy"); err != nil {
		return err
	}
	return c.end("ncclCommDestroy")
}

func (c *collective) end(call string) error {
	if c.ended {
		return c.devices[0].invalid(call, "destroyed before")
	}
	c.ended = true
	for _, d := range c.devices {
		d.mu.Lock()
		d.handles--
		d.mu.Unlock()
	}
	return nil
}
