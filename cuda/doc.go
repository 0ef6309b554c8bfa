// Package cuda is the backend of tensor operations on an NVIDIA GPU.
//
// A [Queue] gives operations to a stream as kernels and copies and returns at once; results are
// there after Sync, which also reports bad data that kernels met. An [Arena] hands out memory of
// the device. Every operation gives the same bits for the same operands: sums have an order that
// shapes decide, dropout uses the CPU's random streams, and nothing is added atomically.
//
// The kernels are in package kernels as PTX text, which the driver compiles for its GPU. The
// driver's binding is part of builds with -tags cuda (make cuda) only; these too start on machines
// without a driver, where [Devices] and [Open] say what is missing.
//
// Nothing here has run on a GPU yet: the backend and every kernel pass the contract of backends
// with the PTX interpreted (internal/ptx) under a driver that checks its calls (internal/fake).
package cuda
