// Package driver is what the CUDA backend knows of the CUDA driver: devices, memory, kernels,
// streams, events and graphs, as a small interface. [Open] gives the real one, which needs a build
// with -tags cuda (make cuda) and libcuda.so.1; package fake has one that needs neither.
//
// Work given to a [Stream] runs in order, and concurrently with that of other streams unless
// events order them. Addresses, sizes and lifetimes are the caller's business as with CUDA itself.
package driver

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNotBuilt is what Open returns in a program without the CUDA binding.
var ErrNotBuilt = errors.New("built without CUDA: rebuild with make cuda")

// Ptr is an address in device memory; 0 is none.
type Ptr uint64

// Stream is an ordered queue of work. The zero Stream is the legacy default stream, which the
// backend never uses because it waits for all others.
type Stream uintptr

// Event is a point in a stream.
type Event uintptr

// Module is loaded code.
type Module uintptr

// Function is a kernel of a module.
type Function uintptr

// Graph is work that was captured and does not run itself.
type Graph uintptr

// Executable is a graph that the driver has made ready to run.
type Executable uintptr

// Dim3 is the extent of a grid or block.
type Dim3 struct{ X, Y, Z uint32 }

// Count returns the number of elements.
func (d Dim3) Count() uint64 { return uint64(d.X) * uint64(d.Y) * uint64(d.Z) }

// Geometry is how a kernel is launched.
type Geometry struct {
	Grid, Block Dim3
	Shared      uint32 // bytes of dynamic shared memory a block
}

// Properties of a device.
type Properties struct {
	Name           string
	Major, Minor   int // compute capability
	SMs            int // multiprocessors
	MaxThreads     int // threads a block
	SharedPerBlock int // bytes a block may have without asking
	SharedOptIn    int // bytes a block may have after SetMaxDynamicShared
	L2Bytes        int
	ClockKHz       int
	MemoryClockKHz int
	MemoryBusBits  int
	TotalBytes     int64
	AsyncEngines   int  // copies that can run beside kernels
	MemoryPools    bool // AllocAsync works
	UUID           string
}

// FunctionInfo says what the driver made of a kernel.
type FunctionInfo struct {
	Registers    int // a thread
	SharedStatic int // bytes a block
	Local        int // bytes a thread: spills and arrays that did not fit registers
	MaxThreads   int // largest block it can run in
}

// Driver is the driver of a machine. Safe for concurrent use.
type Driver interface {
	// Version is that of the API, for example 12040 for CUDA 12.4.
	Version() int
	Devices() (int, error)
	Properties(device int) (Properties, error)
	// Open makes the device's primary context, which all who open it share.
	Open(device int) (Device, error)
}

// Device is an opened device. Its methods may be called from any goroutine; calls for one stream
// at the same time give no order. Errors are *Error.
type Device interface {
	Properties() Properties
	MemInfo() (free, total int64, err error)
	// Sync waits for all work of the device and reports its first failure.
	Sync() error
	// Close releases the context. Whatever was made in it must have been destroyed before.
	Close() error

	Kernels
	Memory
	Order
}

// Kernels loads and launches code.
type Kernels interface {
	// LoadModule compiles PTX for the device (the driver caches the result on disk).
	LoadModule(ptx string) (Module, error)
	UnloadModule(Module) error
	Function(m Module, name string) (Function, error)
	FunctionInfo(Function) (FunctionInfo, error)
	// SetMaxDynamicShared lets a kernel have more dynamic shared memory than SharedPerBlock.
	SetMaxDynamicShared(f Function, bytes int) error
	// Launch runs a kernel. Every argument is widened to 64 bits; the kernel reads as many low
	// bytes as its parameter has. args may be reused when Launch returns.
	Launch(f Function, g Geometry, s Stream, args []uint64) error
}

// Memory allocates and copies. Sizes are bytes and above 0.
type Memory interface {
	Alloc(bytes int64) (Ptr, error)
	Free(Ptr) error
	// AllocAsync takes memory from the device's pool in the order of the stream; so does
	// FreeAsync, so that work given to s before may still use what it frees.
	AllocAsync(bytes int64, s Stream) (Ptr, error)
	FreeAsync(p Ptr, s Stream) error
	// AllocHost returns page-locked memory outside the Go heap, which copies reach at full speed
	// and without the driver's own staging.
	AllocHost(bytes int64) ([]byte, error)
	FreeHost([]byte) error
	// Upload, Download and Copy are queued on s. Host memory that is not page-locked is staged
	// by the driver; in any case it must stay untouched until s has passed the copy.
	Upload(dst Ptr, src []byte, s Stream) error
	Download(dst []byte, src Ptr, s Stream) error
	Copy(dst, src Ptr, bytes int64, s Stream) error
	// Set8 and Set32 fill n elements.
	Set8(dst Ptr, v uint8, n int64, s Stream) error
	Set32(dst Ptr, v uint32, n int64, s Stream) error
}

// Order is streams, events and graphs.
type Order interface {
	// NewStream makes a stream that does not wait for the default stream.
	NewStream() (Stream, error)
	DestroyStream(Stream) error
	SyncStream(Stream) error

	NewEvent(timing bool) (Event, error)
	DestroyEvent(Event) error
	Record(e Event, s Stream) error
	// Wait makes what s gets from now on wait for e's last record.
	Wait(s Stream, e Event) error
	SyncEvent(Event) error
	// Done reports whether the work before e's last record is done.
	Done(Event) (bool, error)
	// Elapsed returns the milliseconds between two recorded timing events.
	Elapsed(from, to Event) (float32, error)

	// BeginCapture records what s gets instead of running it, with the arguments that it has then,
	// until EndCapture makes a graph of it. Meanwhile nobody may wait for s or for the whole device;
	// what else threads do is theirs (the mode is relaxed). A call that is not allowed makes
	// EndCapture fail, after which s is as it was before BeginCapture.
	BeginCapture(s Stream) error
	EndCapture(s Stream) (Graph, error)
	// Capturing reports whether s is being captured, also if a call has spoilt the capture.
	Capturing(s Stream) (bool, error)
	// Nodes returns the number of things that a graph does.
	Nodes(Graph) (int, error)
	// Instantiate makes a graph ready to run, which takes memory of the device.
	Instantiate(Graph) (Executable, error)
	// UpdateGraph makes x do what g does from its next launch on. It reports false where the driver
	// cannot, because g has other nodes: then x is as it was.
	UpdateGraph(x Executable, g Graph) (bool, error)
	LaunchGraph(x Executable, s Stream) error
	// DestroyGraph leaves what was made of the graph alone.
	DestroyGraph(Graph) error
	// DestroyExecutable lets a launch that has not ended end.
	DestroyExecutable(Executable) error
}

// Code is an error number of the driver (CUresult).
type Code int

// The errors that callers tell apart.
const (
	InvalidValue   Code = 1
	OutOfMemory    Code = 2
	NotInitialized Code = 3
	NoDevice       Code = 100
	InvalidDevice  Code = 101
	InvalidContext Code = 201
	NotFound       Code = 500
	NotReady       Code = 600
	IllegalAddress Code = 700
	LaunchFailed   Code = 719

	IllegalState       Code = 401 // the stream is not in the state that the call wants
	StreamCaptured     Code = 900 // what waits for a stream is not allowed while it is captured
	CaptureInvalidated Code = 901 // such a call has ended the capture
	CaptureIsolation   Code = 905 // captured work would follow work that is not
	CapturedEvent      Code = 907 // an event that was recorded in a capture is no point in time
	UpdateRefused      Code = 910 // an executable graph cannot be made to do that
)

// Error is a call that failed.
type Error struct {
	Call string // the entry of the API, for example "cuMemAlloc"
	Code Code
	Text string // the driver's own words
}

// Error names the call, the driver's words and the number.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (CUDA error %d)", e.Call, e.Text, int(e.Code))
}

// lost are the errors after which a context answers nothing but them, by the description of CUresult: a
// kernel's fault, memory or a link that is damaged, a device that is gone. Others from 700 on leave it as
// it was: a launch that asks for too much (701, 720), peers (704, 705, 711), locked memory (712, 713).
var lost = []Code{
	214, 220, 226, // uncorrectable errors of memory and NVLink, contained ones
	700, 702, 703, 709, 710, // illegal address, timeout, destroyed context, assertion
	714, 715, 716, 717, 718, 719, 721, // what a kernel's instructions can do wrong
	911, 999, // a device outside CUDA, and what the driver itself does not know
}

// Lost reports whether err means that the context cannot be used any more: a kernel's fault or a
// device that is gone.
func Lost(err error) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains(lost, e.Code)
}

// IsOutOfMemory reports whether err means that the device has no memory left.
func IsOutOfMemory(err error) bool { return hasCode(err, OutOfMemory) }

func hasCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
