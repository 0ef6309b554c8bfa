package fake

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/ptx"
)

// Device is a driver.Device.
type Device struct {
	driver *Driver
	index  int
	mem    *ptx.Memory

	mu        sync.Mutex
	opened    int
	lost      error // the first fault; nothing works after it
	next      uintptr
	modules   map[driver.Module]*ptx.Module
	functions map[driver.Function]*function
	streams   map[driver.Stream]*stream
	events    map[driver.Event]*event
	graphs    map[driver.Graph][]work
	ready     map[driver.Executable][]work
	pinned    map[*byte]int
	handles   int // of libraries
	clock     float32
	kernels   int // launched
}

type function struct {
	module driver.Module
	kernel *ptx.Kernel
}

// stream is a queue of work that has not run.
type stream struct {
	queue   []work
	capture *capture // nil: the stream is not being captured
	stuck   bool     // waits for a device that never comes
}

// work is one thing that a stream does. name is the call that it came from.
type work struct {
	name   string
	run    func() error
	record *record // an event's record, or what a wait waits for
	wait   bool
	kind   string // what must not change where the work is part of an executable graph
	copies bool   // between host and device
	host   []byte // that it reads or writes
}

// record is one use of an event.
type record struct {
	stream  *stream
	capture *capture // that it is part of
	done    bool
	at      float32
}

type event struct {
	timing bool
	last   *record
	asked  int // times that Done was asked for it
}

func (d *Device) open() {
	if d.opened++; d.opened > 1 {
		return
	}
	d.lost, d.next, d.handles = nil, 1, 0
	d.modules, d.functions = map[driver.Module]*ptx.Module{}, map[driver.Function]*function{}
	d.streams, d.events = map[driver.Stream]*stream{}, map[driver.Event]*event{}
	d.graphs, d.ready, d.pinned = map[driver.Graph][]work{}, map[driver.Executable][]work{}, map[*byte]int{}
}

// handle returns a number that was not used before.
func (d *Device) handle() uintptr {
	d.next++
	return d.next
}

// begin starts a call: it locks the device unless it returns an error.
func (d *Device) begin(call string) error {
	if err := d.driver.call(call); err != nil {
		return err
	}
	d.mu.Lock()
	switch {
	case d.opened == 0:
		d.mu.Unlock()
		return &driver.Error{Call: call, Code: driver.InvalidContext, Text: "the device is closed"}
	case d.lost != nil:
		defer d.mu.Unlock()
		return d.lost
	}
	return nil
}

func (d *Device) invalid(call, what string) error {
	return &driver.Error{Call: call, Code: driver.InvalidValue, Text: what}
}

// Properties is that of a small GPU of compute capability 7.5, or 8.0 with a library of products.
func (d *Device) Properties() driver.Properties {
	major, minor := 7, 5
	if d.driver.options.Library {
		major, minor = 8, 0 // the least that has all that the library does
	}
	return driver.Properties{
		Name: "interpreter", Major: major, Minor: minor, SMs: 4, MaxThreads: 1024, SharedPerBlock: 48 << 10, SharedOptIn: 64 << 10,
		L2Bytes: 4 << 20, TotalBytes: d.mem.Limit(), AsyncEngines: 2, MemoryPools: true,
		UUID: fmt.Sprintf("GPU-00000000-0000-0000-0000-%012d", d.index),
	}
}

// MemInfo returns the bytes free and in all.
func (d *Device) MemInfo() (free, total int64, err error) {
	if err := d.begin("cuMemGetInfo"); err != nil {
		return 0, 0, err
	}
	defer d.mu.Unlock()
	return d.mem.Limit() - d.mem.Used(), d.mem.Limit(), nil
}

// Sync runs everything.
func (d *Device) Sync() error {
	if err := d.begin("cuCtxSynchronize"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	var err error
	for _, s := range d.streams {
		if s.capture != nil {
			err = s.capture.spoil("cuCtxSynchronize", driver.StreamCaptured, "a stream of the device is being captured")
		}
	}
	if err != nil {
		return err
	}
	return d.runAll()
}

func (d *Device) runAll() error {
	for _, h := range d.order() {
		if err := d.advance(d.streams[h], nil); err != nil {
			return err
		}
	}
	return nil
}

// order returns the streams as they were made.
func (d *Device) order() []driver.Stream {
	all := make([]driver.Stream, 0, len(d.streams))
	for h := range d.streams {
		all = append(all, h)
	}
	slices.Sort(all)
	return all
}

// Close closes the device and reports what was not destroyed before.
func (d *Device) Close() error {
	if err := d.driver.call("cuDevicePrimaryCtxRelease"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened == 0 {
		return d.invalid("cuDevicePrimaryCtxRelease", "closed once too often")
	}
	if d.opened--; d.opened > 0 || d.lost != nil {
		return nil
	}
	var left []error
	for what, n := range map[string]int{
		"modules": len(d.modules), "streams": len(d.streams), "events": len(d.events), "graphs": len(d.graphs),
		"executable graphs":   len(d.ready),
		"page-locked buffers": len(d.pinned), "allocations": d.mem.Live(), "handles of libraries": d.handles,
	} {
		if n > 0 {
			left = append(left, fmt.Errorf("fake: %d %s were not destroyed", n, what))
		}
	}
	return errors.Join(left...)
}
