//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"fmt"
	"reflect"

	"gorgonia.org/cu"

	"github.com/saint-gnn/saint/cuda/internal/culoader"
)

// Attributes that the binding has no name for.
const (
	attrSharedOptIn cu.DeviceAttribute = 97
	attrMemoryPools cu.DeviceAttribute = 115
)

// Open returns the driver of this machine. The error says why there is none, in one line that
// names the library.
func Open() (Driver, error) {
	if err := culoader.Open(); err != nil {
		return nil, err
	}
	return realDriver{}, nil
}

type realDriver struct{}

func (realDriver) Version() int { return cu.Version() }

func (realDriver) Devices() (int, error) {
	n, err := cu.NumDevices()
	return n, wrap("cuDeviceGetCount", err)
}

func (realDriver) Properties(device int) (Properties, error) {
	dev, err := cu.GetDevice(device)
	if err != nil {
		return Properties{}, wrap("cuDeviceGet", err)
	}
	var p Properties
	if p.Name, err = dev.Name(); err != nil {
		return p, wrap("cuDeviceGetName", err)
	}
	if p.TotalBytes, err = dev.TotalMem(); err != nil {
		return p, wrap("cuDeviceTotalMem", err)
	}
	pools := 0
	for _, a := range []struct {
		attr   cu.DeviceAttribute
		to     *int
		needed bool // the others are for figures: a driver may keep them to itself
	}{
		{cu.ComputeCapabilityMajor, &p.Major, true},
		{cu.ComputeCapabilityMinor, &p.Minor, true},
		{cu.MultiprocessorCount, &p.SMs, true},
		{cu.MaxThreadsPerBlock, &p.MaxThreads, true},
		{cu.MaxSharedMemoryPerBlock, &p.SharedPerBlock, true},
		{attrSharedOptIn, &p.SharedOptIn, false},
		{cu.L2CacheSize, &p.L2Bytes, false},
		{cu.ClockRate, &p.ClockKHz, false},
		{cu.MemoryClockRate, &p.MemoryClockKHz, false},
		{cu.GlobalMemoryBusWidth, &p.MemoryBusBits, false},
		{cu.AsyncEngineCount, &p.AsyncEngines, false},
		{attrMemoryPools, &pools, false},
	} {
		v, err := dev.Attribute(a.attr)
		if err != nil && a.needed {
			return p, wrap("cuDeviceGetAttribute", err)
		}
		if err == nil {
			*a.to = v
		}
	}
	p.MemoryPools = pools != 0
	if id, err := dev.UUID(); err == nil {
		p.UUID = "GPU-" + id.String()
	}
	return p, nil
}

func (d realDriver) Open(device int) (Device, error) {
	p, err := d.Properties(device)
	if err != nil {
		return nil, err
	}
	dev, err := cu.GetDevice(device)
	if err != nil {
		return nil, wrap("cuDeviceGet", err)
	}
	ctx, err := dev.RetainPrimaryCtx()
	if err != nil {
		return nil, wrap("cuDevicePrimaryCtxRetain", err)
	}
	r := &realDevice{device: dev, ctx: ctx, properties: p}
	if p.MemoryPools {
		// A pool that cannot be told is no pool: the device is good without.
		r.properties.MemoryPools = r.do("cuMemPoolSetAttribute", func() error { return number(culoader.KeepPool(device)) }) == nil
	}
	return r, nil
}

// code is an error number of a call that did not go through the binding.
type code int

func (c code) Error() string { return culoader.ErrorText(int(c)) }

func number(n int) error {
	if n == 0 {
		return nil
	}
	return code(n)
}

// wrap makes an error of the binding, which is a number of an unexported type, one of ours.
func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	v := reflect.ValueOf(err)
	if !v.CanInt() {
		return fmt.Errorf("%s: %w", call, err)
	}
	n := int(v.Int())
	return &Error{Call: call, Code: Code(n), Text: culoader.ErrorText(n)}
}
