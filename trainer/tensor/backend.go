package tensor

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// ErrUnavailable is wrapped by Open when the device or its driver is not there. The
// command line maps it to exit code 4.
var ErrUnavailable = errors.New("device unavailable")

// Caps says what a backend can do; callers ask instead of switching on names.
type Caps struct {
	SharedMemory bool // Import aliases host memory and Upload may be a copy
	Async        bool // operations may still run when the call returns
	TotalBytes   int64
}

// Backend is one device.
type Backend interface {
	// Name is the registered name, for example "cpu".
	Name() string
	// Device describes the device for logs and run.json, for example "cpu (avx512, 4 threads)".
	Device() string
	Caps() Caps
	NewArena() (Arena, error)
	NewQueue() (Queue, error)
	// Import makes *t a contiguous tensor over host memory. With Caps.SharedMemory it
	// aliases src, which must stay reachable and unchanged while in use; other backends
	// return an error and the caller uploads instead. A *t that came from an earlier Import
	// gives its descriptor to the new one, so that importing batch after batch allocates
	// nothing; the earlier view must no longer be in use.
	Import(t *Tensor, dt DType, rows, cols int, src []byte) error
	Close() error
}

// Arena allocates the tensors of one step. Not safe for concurrent use.
// Retain and Release ignore tensors the arena does not own (batch inputs, parameters).
type Arena interface {
	// Alloc returns a tensor with one reference and undefined contents. A backend of double
	// precision returns F64 for F32.
	Alloc(dt DType, rows, cols int) Tensor
	Owns(t Tensor) bool
	Retain(t Tensor)
	Release(t Tensor) // panics under -tags invariants on a release too many
	Reset()           // end of step: everything is released
	Live() int        // tensors not yet released; 0 at the end of a correct step
	Bytes() int64     // bytes live now
	Peak() int64      // most bytes live since the last ResetPeak
	ResetPeak()
	Err() error // first failure since Reset, for example out of memory
	Close() error
}

// Queue orders device work. Operations return at once; the first failure is kept and
// reported by Sync, and operations after a failure do nothing. Shape mismatches are bugs
// and panic with *ShapeError. Every operation names its destination last and says whether
// it writes ("=") or adds ("+="). Destinations never overlap inputs unless a comment
// allows it. Results are the same bits for the same inputs, whatever the thread count.
type Queue interface {
	// Gemm: c = alpha op(a) op(b) + beta c. Views with Stride > Cols are fine everywhere.
	Gemm(transA, transB bool, alpha float32, a, b Tensor, beta float32, c Tensor)
	// SpMM: y = alpha a x + beta y, beta 0 or 1.
	SpMM(alpha float32, a *CSR, x Tensor, beta float32, y Tensor)
	// GatherRows: dst[i] = drop(src[idx[i]]), idx n×1 I32; any element type, drop for F32 only.
	GatherRows(src, idx Tensor, drop Drop, dst Tensor)
	// Axpby: y = alpha x + beta y. With alpha 1, beta 0 a strided copy. Rows==1 x is
	// broadcast over the rows of y.
	Axpby(alpha float32, x Tensor, beta float32, y Tensor)
	// Fill: t = v.
	Fill(v float32, t Tensor)

	// Dropout: y = x/(1-p) where kept, else 0; element (i,j) is kept if the key's word
	// number i*Cols+j is >= p*2^32. The mask is a function of key and shape: the backward
	// pass calls it again on dy. y may be x.
	Dropout(p float32, key RandKey, x, y Tensor)

	// BiasActNorm: a = act(x + bias); y = drop((a-mean)*rstd*scale + offset) with mean and
	// rstd = 1/sqrt(var+1e-9) over the columns of each row (population variance, GraphSAINT's
	// "norm"), written to mean, rstd (Rows×1). bias, or scale with offset, mean, rstd, may
	// be absent: no bias, no norm. y may be x or a column range of a wider tensor.
	BiasActNorm(act Act, bias, scale, offset, x Tensor, drop Drop, y, mean, rstd Tensor)
	// BiasActNormBackward: dx = gradient with respect to x; dbias, dscale, doffset += theirs.
	// drop is BiasActNorm's, so that dy is the gradient of what came out of it.
	// x is the input that BiasActNorm got (so y must not have overwritten it). dx may be dy
	// where the column ranges are the same.
	BiasActNormBackward(act Act, bias, scale, mean, rstd, x, dy Tensor, drop Drop, dx, dbias, dscale, doffset Tensor)

	// BatchNorm: y = (x-mean)/sqrt(var+eps)*scale + offset with mean and population variance
	// over the rows of each column, written to mean, rstd (1×Cols). y may be x.
	// If runMean and runVar are present they become (1-momentum)*run + momentum*batch, with
	// the unbiased variance rows/(rows-1) as PyTorch keeps it (the population one if rows is 1).
	BatchNorm(eps, momentum float32, scale, offset, x, y, mean, rstd, runMean, runVar Tensor)
	// BatchNormInfer: y = (x-mean)/sqrt(var+eps)*scale + offset with given 1×Cols statistics. y may be x.
	BatchNormInfer(eps float32, scale, offset, mean, variance, x, y Tensor)
	// BatchNormBackward: dx = gradient, dscale, doffset += theirs; x is BatchNorm's input.
	BatchNormBackward(scale, mean, rstd, x, dy, dx, dscale, doffset Tensor)

	// NormalizeRows: y = x/max(|x|, 1e-12) per row; norm (Rows×1) = max(|x|, 1e-12).
	NormalizeRows(x, y, norm Tensor)
	// NormalizeRowsBackward: dx = (dy - y <y,dy>)/norm. dx may be dy.
	NormalizeRowsBackward(dy, y, norm, dx Tensor)

	// SoftmaxXent: loss (1×1) = sum_v weight[v] CE(logits[v], class[v]); dlogits = its
	// gradient. Rows with weight 0 count nothing whatever their class. dlogits may be
	// absent (loss only).
	SoftmaxXent(logits, class, weight, loss, dlogits Tensor)
	// SigmoidXent: loss (1×1) = sum_v weight[v] sum_c BCE(logits[v,c], target[v,c]), target
	// n×C U8 (0/1) or, for integer labels, n×1 I32 classes that count as their one-hot row.
	SigmoidXent(logits, target, weight, loss, dlogits Tensor)

	// SumSquares: out (1×1) += sum of x², accumulated in float64 and then rounded.
	SumSquares(x, out Tensor)
	// Adam: one update of value, m and v; see AdamStep. sumsq (1×1) holds the squared global
	// gradient norm for h.ClipNorm and may be absent if that is 0. grad becomes 0.
	Adam(h AdamStep, sumsq, grad, m, v, value Tensor)

	HeadOps
	UpdateOps
	LossOps

	// Upload copies src to the contiguous dst; src must stay untouched until Sync. An F64 dst
	// also takes float32, half its size.
	Upload(src []byte, dst Tensor)
	// Download copies the (possibly strided) src to dst, which is filled after Sync. An F64 src
	// also comes as float32, rounded to the nearest, if dst is half its size.
	Download(src Tensor, dst []byte)
	Sync() error
	// Err returns the first failure so far without waiting.
	Err() error
	Close() error
}

// AdamStep is one update's constants:
//
//	g     = grad * min(1, ClipNorm/(sqrt(sumsq)+1e-6))   if ClipNorm > 0
//	g     = clamp(grad, -ClipValue, ClipValue)           if ClipValue > 0
//	m     = Beta1 m + (1-Beta1) g;  v = Beta2 v + (1-Beta2) g²
//	value = value - LR/Corr1 * m / (sqrt(v)/sqrt(Corr2) + Eps)
//
// with Corr1 = 1-Beta1^t and Corr2 = 1-Beta2^t for the t-th update, t from 1.
type AdamStep struct {
	LR, Beta1, Beta2, Eps, Corr1, Corr2 float32
	ClipNorm, ClipValue                 float32
}

// Deferrer is a Queue that can put operations off, although Caps.Async is not set, until it
// knows what follows them: it then does several in one pass over memory. While it may, callers
// read and reuse memory of the host as if the queue were asynchronous, after Sync.
type Deferrer interface {
	// Defer lets the queue put operations off or, after it has done what it put off, no longer.
	Defer(on bool)
}

// Options of opening a backend.
type Options struct {
	Threads int    // CPU threads; 0: all that the process may use
	Device  int    // which GPU
	Matmul  Matmul // how a GPU multiplies dense matrices
}

// Opener opens a device.
type Opener func(Options) (Backend, error)

var openers = map[string]Opener{}

// Register makes a backend available to Open. It is called from an init function and
// panics on a duplicate.
func Register(name string, open Opener) {
	if _, dup := openers[name]; dup {
		panic("tensor: backend " + name + " registered twice")
	}
	openers[name] = open
}

// Open opens the backend of that name. The error of an unknown or missing device wraps
// ErrUnavailable.
func Open(name string, o Options) (Backend, error) {
	open, ok := openers[name]
	if !ok {
		names := make([]string, 0, len(openers))
		for n := range openers {
			names = append(names, n)
		}
		sort.Strings(names)
		return nil, fmt.Errorf("%w: no backend %q in this build, it has %s", ErrUnavailable, name, strings.Join(names, ", "))
	}
	return open(o)
}
