// Package dry is a CUDA device that does nothing and counts: memory that is asked for gets an address,
// work is forgotten. What a program takes of a GPU can so be found out without one.
package dry

import (
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// Device is a driver.Device without memory or kernels. Nothing fails on it. Safe for concurrent use.
type Device struct {
	properties driver.Properties
	library    string

	mu   sync.Mutex
	next uintptr
	at   driver.Ptr
}

var (
	_ driver.Device     = (*Device)(nil)
	_ driver.Multiplier = (*Device)(nil)
)

// New returns a device with those properties. library names its library of dense products, "" for
// none.
func New(p driver.Properties, library string) *Device {
	return &Device{properties: p, library: library, at: 1 << 20}
}

func (d *Device) handle() uintptr {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next++
	return d.next
}

// Alloc returns an address that nothing else has.
func (d *Device) Alloc(bytes int64) (driver.Ptr, error) {
	const align = 512 // of cuMemAlloc
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.at
	d.at += driver.Ptr((bytes + align) &^ (align - 1))
	return p, nil
}

// AllocHost returns memory of the Go heap.
func (*Device) AllocHost(bytes int64) ([]byte, error) { return make([]byte, bytes), nil }

// AllocAsync is Alloc.
func (d *Device) AllocAsync(bytes int64, _ driver.Stream) (driver.Ptr, error) { return d.Alloc(bytes) }

// Properties returns what New was given.
func (d *Device) Properties() driver.Properties { return d.properties }

// MemInfo says that all is free.
func (d *Device) MemInfo() (free, total int64, err error) {
	return d.properties.TotalBytes, d.properties.TotalBytes, nil
}

// LoadModule returns a handle.
func (d *Device) LoadModule(string) (driver.Module, error) { return driver.Module(d.handle()), nil }

// Function returns a handle.
func (d *Device) Function(driver.Module, string) (driver.Function, error) {
	return driver.Function(d.handle()), nil
}

// NewStream returns a handle.
func (d *Device) NewStream() (driver.Stream, error) { return driver.Stream(d.handle()), nil }

// NewEvent returns a handle.
func (d *Device) NewEvent(bool) (driver.Event, error) { return driver.Event(d.handle()), nil }

// EndCapture returns a handle.
func (d *Device) EndCapture(driver.Stream) (driver.Graph, error) {
	return driver.Graph(d.handle()), nil
}

// Capturing says that no stream is.
func (*Device) Capturing(driver.Stream) (bool, error) { return false, nil }

// Nodes says that there are none.
func (*Device) Nodes(driver.Graph) (int, error) { return 0, nil }

// Instantiate returns a handle.
func (d *Device) Instantiate(driver.Graph) (driver.Executable, error) {
	return driver.Executable(d.handle()), nil
}

// UpdateGraph says that it was done.
func (*Device) UpdateGraph(driver.Executable, driver.Graph) (bool, error) { return true, nil }

// NewProducts returns a library that does nothing, if the device is to have one.
func (d *Device) NewProducts() (driver.Products, error) {
	if d.library == "" {
		return nil, driver.ErrNoLibrary
	}
	return products(d.library), nil
}

// Done says that all work is done, and Elapsed that it took no time.
func (*Device) Done(driver.Event) (bool, error) { return true, nil }

// Elapsed returns 0.
func (*Device) Elapsed(_, _ driver.Event) (float32, error) { return 0, nil }

// FunctionInfo knows nothing.
func (*Device) FunctionInfo(driver.Function) (driver.FunctionInfo, error) {
	return driver.FunctionInfo{}, nil
}

// products is a library that does nothing.
type products string

func (p products) Library() string                          { return string(p) }
func (products) Use(driver.Stream, driver.Ptr, int64) error { return nil }
func (products) Gemm(*driver.Product) error                 { return nil }
func (products) Close() error                               { return nil }
