//go:build cuda && linux && (amd64 || arm64)

package culoader

// #include "calls.h"
import "C"

import "unsafe"

// The functions of this file call entries that the binding lacks, and return the driver's error
// number (CUresult), 0 for success. All but Launch need a current context on the thread.

// Launch makes ctx current on this thread and launches a kernel. geometry is grid x y z, block x y
// z, bytes of dynamic shared memory; it allocates nothing.
func Launch(ctx, function unsafe.Pointer, geometry *[7]uint32, stream unsafe.Pointer, args []uint64) int {
	return int(C.saint_cu_launch(ctx, function, (*C.uint32_t)(&geometry[0]), stream, (*C.uint64_t)(unsafe.SliceData(args)), C.int(len(args))))
}

// HostAlloc returns page-locked memory.
func HostAlloc(bytes int64) (unsafe.Pointer, int) {
	var p unsafe.Pointer
	code := C.saint_cu_host_alloc(&p, C.size_t(bytes))
	return p, int(code)
}

// AllocAsync takes memory from the pool in the stream's order.
func AllocAsync(bytes int64, stream unsafe.Pointer) (uint64, int) {
	var p C.uint64_t
	code := C.saint_cu_alloc_async(&p, C.size_t(bytes), stream)
	return uint64(p), int(code)
}

// FreeAsync gives memory back to the pool in the stream's order.
func FreeAsync(p uint64, stream unsafe.Pointer) int {
	return int(C.saint_cu_free_async(C.uint64_t(p), stream))
}

// KeepPool makes the device's pool keep freed memory instead of returning it to the system at
// every synchronisation.
func KeepPool(device int) int { return int(C.saint_cu_keep_pool(C.int(device))) }

// BeginCapture starts recording a stream.
func BeginCapture(stream unsafe.Pointer) int { return int(C.saint_cu_begin_capture(stream)) }

// EndCapture ends it and returns the graph.
func EndCapture(stream unsafe.Pointer) (unsafe.Pointer, int) {
	var graph unsafe.Pointer
	code := C.saint_cu_end_capture(stream, &graph)
	return graph, int(code)
}

// CaptureStatus returns 0 if a stream is not being captured.
func CaptureStatus(stream unsafe.Pointer) (status, code int) {
	var s C.int
	code = int(C.saint_cu_capture_status(stream, &s))
	return int(s), code
}

// GraphNodes returns the number of a graph's nodes.
func GraphNodes(graph unsafe.Pointer) (nodes, code int) {
	var n C.size_t
	code = int(C.saint_cu_graph_nodes(graph, &n))
	return int(n), code
}

// InstantiateGraph makes a graph ready to run.
func InstantiateGraph(graph unsafe.Pointer) (unsafe.Pointer, int) {
	var exec unsafe.Pointer
	code := C.saint_cu_instantiate_graph(graph, &exec)
	return exec, int(code)
}

// UpdateGraph makes an instantiated graph do what another graph does.
func UpdateGraph(exec, graph unsafe.Pointer) int {
	return int(C.saint_cu_update_graph(exec, graph))
}

// LaunchGraph runs an instantiated graph.
func LaunchGraph(exec, stream unsafe.Pointer) int {
	return int(C.saint_cu_launch_graph(exec, stream))
}

// DestroyGraph destroys a graph, but not what was instantiated of it.
func DestroyGraph(graph unsafe.Pointer) int { return int(C.saint_cu_destroy_graph(graph)) }

// DestroyExecutable destroys an instantiated graph.
func DestroyExecutable(exec unsafe.Pointer) int { return int(C.saint_cu_destroy_exec(exec)) }

// SetMaxDynamicShared raises a kernel's limit of dynamic shared memory.
func SetMaxDynamicShared(function unsafe.Pointer, bytes int) int {
	return int(C.saint_cu_max_dynamic_shared(function, C.int(bytes)))
}

// ErrorText returns the driver's words for an error number.
func ErrorText(code int) string {
	var text [256]C.char
	if C.saint_cu_error(C.int(code), &text[0], C.int(len(text))) != 0 {
		return "unknown error"
	}
	return C.GoString(&text[0])
}
