//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"unsafe"

	"gorgonia.org/cu"

	"github.com/saint-gnn/saint/cuda/internal/culoader"
)

// allocate is do for calls that may take or free memory of the device, or load code, and so may wait for all its work.
func (d *realDevice) allocate(call string, f func() error) error {
	exchanging.RLock()
	defer exchanging.RUnlock()
	return d.do(call, f)
}

func (d *realDevice) Alloc(bytes int64) (p Ptr, err error) {
	err = d.allocate("cuMemAlloc", func() error {
		at, err := cu.MemAlloc(bytes)
		p = Ptr(at)
		return err
	})
	return p, err
}

func (d *realDevice) Free(p Ptr) error {
	return d.allocate("cuMemFree", func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

func (d *realDevice) AllocAsync(bytes int64, s Stream) (p Ptr, err error) {
	err = d.do("cuMemAllocAsync", func() error {
		at, n := culoader.AllocAsync(bytes, opaque(uintptr(s)))
		p = Ptr(at)
		return number(n)
	})
	return p, err
}

func (d *realDevice) FreeAsync(p Ptr, s Stream) error {
	return d.do("cuMemFreeAsync", func() error { return number(culoader.FreeAsync(uint64(p), opaque(uintptr(s)))) })
}

func (d *realDevice) AllocHost(bytes int64) (b []byte, err error) {
	err = d.allocate("cuMemHostAlloc", func() error {
		p, n := culoader.HostAlloc(bytes)
		if n == 0 {
			b = unsafe.Slice((*byte)(p), bytes)
		}
		return number(n)
	})
	return b, err
}

func (d *realDevice) FreeHost(b []byte) error {
	return d.allocate("cuMemFreeHost", func() error { return cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(b))) })
}

func (d *realDevice) Upload(dst Ptr, src []byte, s Stream) error {
	return d.do("cuMemcpyHtoDAsync", func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)), stream(s))
	})
}

func (d *realDevice) Download(dst []byte, src Ptr, s Stream) error {
	return d.do("cuMemcpyDtoHAsync", func() error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst)), stream(s))
	})
}

func (d *realDevice) Copy(dst, src Ptr, bytes int64, s Stream) error {
	return d.do("cuMemcpyDtoDAsync", func() error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), bytes, stream(s))
	})
}

func (d *realDevice) Set8(dst Ptr, v uint8, n int64, s Stream) error {
	return d.do("cuMemsetD8Async", func() error { return cu.MemsetD8Async(cu.DevicePtr(dst), v, n, stream(s)) })
}

func (d *realDevice) Set32(dst Ptr, v uint32, n int64, s Stream) error {
	return d.do("cuMemsetD32Async", func() error { return cu.MemsetD32Async(cu.DevicePtr(dst), uint(v), n, stream(s)) })
}
