package fake

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/ptx"
)

// Options of a fake driver.
type Options struct {
	Devices    int   // 0: one
	Memory     int64 // bytes of each device; 0: 1 GiB
	Eager      bool  // run work when it is given, instead of when it is waited for
	Order      Order // which work that may run does so before anybody waits for it
	Seed       uint64
	Reverse    bool // run blocks, and the warps of each, last first
	Alternate  bool // every other kernel in the other order
	Library    bool // there is a library of dense products
	Collective bool // there is a library of sums over devices
	Workers    int  // blocks of a kernel run at a time; 0: as many as there are processors
}

// Order says how far streams get that nobody waits for. All of them are what a GPU may do.
type Order uint8

// Orders.
const (
	Late        Order = iota // nowhere
	CopiesFirst              // copies run as soon as events let them, and kernels stay behind
	CopiesLast               // kernels run as soon as events let them, and copies stay behind
	Shuffled                 // some of either, as Options.Seed has it
)

// Driver is a driver.Driver. Safe for concurrent use.
type Driver struct {
	options Options
	devices []*Device

	mu     sync.Mutex
	random *rand.Rand
	calls  int
	copied int // uploads
	failAt int
	named  string // the call that FailNamed makes fail
	nth    int    // of that name, from now on
	failed string
	code   driver.Code
}

var (
	_ driver.Driver = (*Driver)(nil)
	_ driver.Device = (*Device)(nil)

	_ driver.Multiplier = (*Device)(nil)
	_ driver.Joiner     = (*Device)(nil)
)

// New returns a driver.
func New(o Options) *Driver {
	if o.Devices == 0 {
		o.Devices = 1
	}
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	d := &Driver{options: o, random: rand.New(rand.NewPCG(o.Seed, 7))}
	for i := range o.Devices {
		d.devices = append(d.devices, &Device{driver: d, index: i, mem: ptx.NewMemory(o.Memory)})
	}
	return d
}

// FailCall makes the k-th call from now on fail with that code, and then forgets it. Calls are
// those of Driver, but for Version, and of Device, but for Properties.
func (d *Driver) FailCall(k int, code driver.Code) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.code = d.calls+k, code
}

// FailNamed makes the nth call of that name from now on fail with that code, and then forgets it.
func (d *Driver) FailNamed(name string, nth int, code driver.Code) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.named, d.nth, d.code = name, nth, code
}

// Calls returns how many calls there were.
func (d *Driver) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// Uploads returns how many copies from the host there were.
func (d *Driver) Uploads() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.copied
}

// Pinned returns how many pieces of page-locked memory were not freed.
func (d *Driver) Pinned(device int) int {
	dev := d.devices[device]
	dev.mu.Lock()
	defer dev.mu.Unlock()
	return len(dev.pinned)
}

// Graphs returns how many graphs, and how many executable ones, were not destroyed.
func (d *Driver) Graphs(device int) (graphs, executables int) {
	dev := d.devices[device]
	dev.mu.Lock()
	defer dev.mu.Unlock()
	return len(dev.graphs), len(dev.ready)
}

// call counts a call and says whether it is to fail.
func (d *Driver) call(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if name == "cuMemcpyHtoDAsync" {
		d.copied++
	}
	if name == d.named {
		d.nth--
	}
	if d.calls != d.failAt && (name != d.named || d.nth != 0) {
		return nil
	}
	d.failed, d.named = name, ""
	return &driver.Error{Call: name, Code: d.code, Text: fmt.Sprintf("call %d was made to fail", d.calls)}
}

// Failed returns the name of the last call that FailCall made fail.
func (d *Driver) Failed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Version is that of CUDA 12.0.
func (d *Driver) Version() int { return 12000 }

// Devices returns the number of devices.
func (d *Driver) Devices() (int, error) { return len(d.devices), d.call("cuDeviceGetCount") }

// Properties describes a device.
func (d *Driver) Properties(device int) (driver.Properties, error) {
	if err := d.call("cuDeviceGetAttribute"); err != nil {
		return driver.Properties{}, err
	}
	if device < 0 || device >= len(d.devices) {
		return driver.Properties{}, &driver.Error{Call: "cuDeviceGet", Code: driver.InvalidDevice, Text: "invalid device ordinal"}
	}
	return d.devices[device].Properties(), nil
}

// Open opens a device; what was opened more than once has to be closed as often.
func (d *Driver) Open(device int) (driver.Device, error) {
	if err := d.call("cuDevicePrimaryCtxRetain"); err != nil {
		return nil, err
	}
	if device < 0 || device >= len(d.devices) {
		return nil, &driver.Error{Call: "cuDeviceGet", Code: driver.InvalidDevice, Text: "invalid device ordinal"}
	}
	dev := d.devices[device]
	dev.mu.Lock()
	defer dev.mu.Unlock()
	dev.open()
	return dev, nil
}

// Memory returns the memory of a device, for what tests want to know of it.
func (d *Driver) Memory(device int) *ptx.Memory { return d.devices[device].mem }
