package fake

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/ptx"
)

// Alloc returns memory filled with ptx.Unwritten.
func (d *Device) Alloc(bytes int64) (driver.Ptr, error) {
	if err := d.begin("cuMemAlloc"); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	return d.alloc("cuMemAlloc", bytes)
}

func (d *Device) alloc(call string, bytes int64) (driver.Ptr, error) {
	if bytes <= 0 {
		return 0, d.invalid(call, "no bytes")
	}
	p, ok := d.mem.Alloc(bytes)
	if !ok {
		return 0, &driver.Error{Call: call, Code: driver.OutOfMemory, Text: "out of memory"}
	}
	return driver.Ptr(p), nil
}

// Free runs everything, as the driver does, and frees.
func (d *Device) Free(p driver.Ptr) error {
	if err := d.begin("cuMemFree"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if err := d.runAll(); err != nil {
		return err
	}
	if !d.mem.Free(uint64(p)) {
		return d.invalid("cuMemFree", "not an allocation, or freed before")
	}
	return nil
}

// AllocAsync returns memory at once; the order of the stream does not matter to it.
func (d *Device) AllocAsync(bytes int64, s driver.Stream) (driver.Ptr, error) {
	const call = "cuMemAllocAsync"
	if err := d.begin(call); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	if d.streams[s] == nil {
		return 0, d.invalid(call, "no such stream")
	}
	return d.alloc(call, bytes)
}

// FreeAsync frees when the stream comes to it.
func (d *Device) FreeAsync(p driver.Ptr, s driver.Stream) error {
	const call = "cuMemFreeAsync"
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if _, err := d.mem.Bytes(uint64(p), 1); err != nil {
		return d.invalid(call, "not an allocation, or freed before")
	}
	return d.queue(call, s, func() error {
		if !d.mem.Free(uint64(p)) {
			return d.invalid(call, "not an allocation, or freed before")
		}
		return nil
	})
}

// AllocHost returns memory of the heap, filled with ptx.Unwritten.
func (d *Device) AllocHost(bytes int64) ([]byte, error) {
	if err := d.begin("cuMemHostAlloc"); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	if bytes <= 0 {
		return nil, d.invalid("cuMemHostAlloc", "no bytes")
	}
	words := make([]uint64, (bytes+7)/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), bytes)
	for i := range b {
		b[i] = ptx.Unwritten
	}
	d.pinned[&b[0]] = int(bytes)
	return b, nil
}

// FreeHost takes back what AllocHost gave.
func (d *Device) FreeHost(b []byte) error {
	if err := d.begin("cuMemFreeHost"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if len(b) == 0 || d.pinned[&b[0]] != len(b) {
		return d.invalid("cuMemFreeHost", "not what cuMemHostAlloc gave, or freed before")
	}
	if call := d.pending(b); call != "" {
		return d.invalid("cuMemFreeHost", "a copy of this memory has not run: "+call)
	}
	delete(d.pinned, &b[0])
	return nil
}

// transfer queues f on device memory, which must be there now and when it runs. host is what it reads or
// writes of the host's.
func (d *Device) transfer(call string, s driver.Stream, p driver.Ptr, n int64, host []byte, f func(b []byte) error) error {
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if n <= 0 {
		return d.invalid(call, "no bytes")
	}
	if _, err := d.mem.Bytes(uint64(p), n); err != nil {
		return d.invalid(call, err.Error())
	}
	return d.add(call, s, work{name: call, host: host, copies: host != nil, run: func() error {
		b, err := d.mem.Bytes(uint64(p), n)
		if err != nil {
			return &driver.Error{Call: call, Code: driver.IllegalAddress, Text: err.Error()}
		}
		return f(b)
	}})
}

// Upload reads src when the stream comes to it, and finds out if it was changed in the meantime.
func (d *Device) Upload(dst driver.Ptr, src []byte, s driver.Stream) error {
	const call = "cuMemcpyHtoDAsync"
	given := maphash.Bytes(seed, src)
	return d.transfer(call, s, dst, int64(len(src)), src, func(b []byte) error {
		if maphash.Bytes(seed, src) != given {
			return &driver.Error{Call: call, Code: driver.LaunchFailed, Text: "host memory was changed before it was copied"}
		}
		copy(b, src)
		return nil
	})
}

var seed = maphash.MakeSeed()

// Download fills dst when the stream comes to it; until then dst holds ptx.Unwritten.
func (d *Device) Download(dst []byte, src driver.Ptr, s driver.Stream) error {
	for i := range dst {
		dst[i] = ptx.Unwritten
	}
	return d.transfer("cuMemcpyDtoHAsync", s, src, int64(len(dst)), dst, func(b []byte) error {
		copy(dst, b)
		return nil
	})
}

// Copy copies between device memory.
func (d *Device) Copy(dst, src driver.Ptr, bytes int64, s driver.Stream) error {
	const call = "cuMemcpyDtoDAsync"
	return d.transfer(call, s, dst, bytes, nil, func(b []byte) error {
		from, err := d.mem.Bytes(uint64(src), bytes)
		if err != nil {
			return &driver.Error{Call: call, Code: driver.IllegalAddress, Text: "the source is no memory"}
		}
		copy(b, from)
		return nil
	})
}

// Set8 fills bytes.
func (d *Device) Set8(dst driver.Ptr, v uint8, n int64, s driver.Stream) error {
	return d.transfer("cuMemsetD8Async", s, dst, n, nil, func(b []byte) error {
		for i := range b {
			b[i] = v
		}
		return nil
	})
}

// Set32 fills words.
func (d *Device) Set32(dst driver.Ptr, v uint32, n int64, s driver.Stream) error {
	if dst%4 != 0 {
		return d.invalid("cuMemsetD32Async", "not aligned")
	}
	return d.transfer("cuMemsetD32Async", s, dst, 4*n, nil, func(b []byte) error {
		for ; len(b) > 0; b = b[4:] {
			binary.LittleEndian.PutUint32(b, v)
		}
		return nil
	})
}
