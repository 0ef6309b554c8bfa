//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"fmt"

	"gorgonia.org/cu"

	"github.com/saint-gnn/saint/cuda/internal/culoader"
)

// realProducts is a handle of cuBLAS.
type realProducts struct {
	h *culoader.BlasHandle
	p culoader.Product
}

// either makes one error of what the driver and the library say.
func either(call string, n int, err error) error {
	if n != 0 {
		return wrap(call, number(n))
	}
	return err
}

// The library loads its kernels when it first needs them, and has memory of its own: its calls stay out of
// exchanges as do those that allocate.
func (d *realDevice) NewProducts() (Products, error) {
	exchanging.RLock()
	defer exchanging.RUnlock()
	lib, err := culoader.LoadBlas(cu.Version())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLibrary, err)
	}
	h, n, err := lib.NewHandle(pointer(d.ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoLibrary, lib.File, err)
	}
	if n != 0 {
		return nil, wrap("cuCtxSetCurrent", number(n))
	}
	return &realProducts{h: h}, nil
}

func (r *realProducts) Library() string { return r.h.Name() }

func (r *realProducts) Use(s Stream, workspace Ptr, bytes int64) error {
	exchanging.RLock()
	defer exchanging.RUnlock()
	n, err := r.h.Use(opaque(uintptr(s)), uint64(workspace), bytes)
	return either("cuCtxSetCurrent", n, err)
}

func (r *realProducts) Gemm(p *Product) error {
	kind, compute := culoader.TypeF32, culoader.ComputeF32
	switch p.Elements {
	case TensorElement:
		compute = culoader.ComputeTF32
	case BrainElement:
		kind = culoader.TypeBF16
	}
	r.p = culoader.Product{
		A: uint64(p.A), B: uint64(p.B), C: uint64(p.C), Alpha: p.Alpha, Beta: p.Beta, TransA: p.TransA, TransB: p.TransB,
		M: p.M, N: p.N, K: p.K, LDA: p.LDA, LDB: p.LDB, LDC: p.LDC, Type: kind, Compute: compute,
	}
	exchanging.RLock()
	defer exchanging.RUnlock()
	n, err := r.h.Gemm(&r.p)
	return either("cuCtxSetCurrent", n, err)
}

func (r *realProducts) Close() error {
	exchanging.RLock()
	defer exchanging.RUnlock()
	n, err := r.h.Close()
	return either("cuCtxSetCurrent", n, err)
}
