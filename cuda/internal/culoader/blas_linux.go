//go:build cuda && linux && (amd64 || arm64)

package culoader

// #include "blas.h"
import "C"

import (
	"fmt"
	"path/filepath"
	"sync"
	"unsafe"
)

// blasEntries are the entries of cuBLAS in the order of saint_blas.
var blasEntries = []string{
	"cublasCreate_v2", "cublasDestroy_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGetVersion_v2", "cublasGemmEx",
	"cublasGetStatusString",
}

// Blas is cuBLAS, bound.
type Blas struct {
	File  string // where it was found
	calls C.saint_blas
}

var blas struct {
	once sync.Once
	lib  *Blas
	err  error
}

// LoadBlas loads cuBLAS, once in a process: the one of CUDA 12, or where the driver speaks CUDA 13
// that of 13 if there is one.
func LoadBlas(driverVersion int) (*Blas, error) {
	blas.once.Do(func() { blas.lib, blas.err = loadBlas(driverVersion) })
	return blas.lib, blas.err
}

func loadBlas(driverVersion int) (*Blas, error) {
	names := []string{"libcublas.so.12"}
	if driverVersion >= 13000 {
		names = []string{"libcublas.so.13", "libcublas.so.12"}
	}
	before := map[string]string{"libcublas.so.12": "libcublasLt.so.12", "libcublas.so.13": "libcublasLt.so.13"}
	file, entries, err := load(names, before, blasEntries)
	if err != nil {
		return nil, err
	}
	b := &Blas{File: file}
	if size := unsafe.Sizeof(b.calls); size != uintptr(len(entries))*unsafe.Sizeof(entries[0]) {
		panic("culoader: saint_blas has other entries than blasEntries")
	}
	copy(unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(&b.calls)), len(entries)), entries)
	return b, nil
}

// BlasHandle is a handle of cuBLAS in a context. One goroutine at a time may use it.
type BlasHandle struct {
	lib     *Blas
	ctx     unsafe.Pointer
	handle  unsafe.Pointer
	version int
	product C.saint_product
}

// BlasError is a status of cuBLAS, with the call that gave it.
type BlasError struct {
	Call   string
	Status int
	Text   string
}

// Error names the call, the library's word for the status and its number.
func (e *BlasError) Error() string {
	return fmt.Sprintf("%s: %s (status %d)", e.Call, e.Text, e.Status)
}

// check makes an error of a status; driver is the number of the driver's error where it was that.
func (b *Blas) check(call string, status C.int) (driver int, err error) {
	switch {
	case status == 0:
		return 0, nil
	case status < C.SAINT_NO_CONTEXT:
		return int(C.SAINT_NO_CONTEXT - status), nil
	}
	return 0, &BlasError{call, int(status), C.GoString(C.saint_blas_text(&b.calls, status))}
}

// NewHandle makes a handle in a context. Like the functions below it returns the number of the
// driver's error, if it was the driver that failed, or an error.
func (b *Blas) NewHandle(ctx unsafe.Pointer) (*BlasHandle, int, error) {
	var handle unsafe.Pointer
	var version C.int
	n, err := b.check("cublasCreate", C.saint_blas_create(&b.calls, ctx, &handle, &version))
	if n != 0 || err != nil {
		return nil, n, err
	}
	return &BlasHandle{lib: b, ctx: ctx, handle: handle, version: int(version)}, 0, nil
}

// Name is the file's name and the version.
func (h *BlasHandle) Name() string {
	return fmt.Sprintf("%s %d.%d.%d", filepath.Base(h.lib.File), h.version/10000, h.version/100%100, h.version%100)
}

// Use sets stream and workspace.
func (h *BlasHandle) Use(stream unsafe.Pointer, workspace uint64, bytes int64) (int, error) {
	return h.lib.check("cublasSetStream, cublasSetWorkspace", C.saint_blas_use(&h.lib.calls, h.ctx, h.handle, stream, C.uint64_t(workspace), C.size_t(bytes)))
}

// Types and ways of computing, as library_types.h and cublas_api.h number them.
const (
	TypeF32  = 0
	TypeBF16 = 14

	ComputeF32  = 68
	ComputeTF32 = 77
)

// Product is the arguments of cublasGemmEx.
type Product struct {
	A, B, C        uint64
	Alpha, Beta    float32
	TransA, TransB bool
	M, N, K        int
	LDA, LDB, LDC  int
	Type, Compute  int
}

// Gemm queues a product; it allocates nothing.
func (h *BlasHandle) Gemm(p *Product) (int, error) {
	op := func(t bool) C.int32_t {
		if t {
			return 1 // CUBLAS_OP_T
		}
		return 0
	}
	h.product = C.saint_product{
		a: C.uint64_t(p.A), b: C.uint64_t(p.B), c: C.uint64_t(p.C), alpha: C.float(p.Alpha), beta: C.float(p.Beta),
		trans_a: op(p.TransA), trans_b: op(p.TransB), m: C.int32_t(p.M), n: C.int32_t(p.N), k: C.int32_t(p.K),
		lda: C.int32_t(p.LDA), ldb: C.int32_t(p.LDB), ldc: C.int32_t(p.LDC), _type: C.int32_t(p.Type), compute: C.int32_t(p.Compute),
	}
	return h.lib.check("cublasGemmEx", C.saint_blas_gemm(&h.lib.calls, h.ctx, h.handle, &h.product))
}

// Close destroys the handle.
func (h *BlasHandle) Close() (int, error) {
	return h.lib.check("cublasDestroy", C.saint_blas_destroy(&h.lib.calls, h.ctx, h.handle))
}
