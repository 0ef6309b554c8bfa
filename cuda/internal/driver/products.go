package driver

import "errors"

// ErrNoLibrary is wrapped by errors that say that one of NVIDIA's libraries is not on the machine, or
// cannot be used.
var ErrNoLibrary = errors.New("library unavailable")

// LibraryEnv names folders, separated by colons, in which NVIDIA's libraries are looked for first:
// such as have the files, or the folder "nvidia" that Python packages install them below.
const LibraryEnv = "SAINT_CUDA_LIBS"

// Multiplier is a Device that may have a library of dense products (cuBLAS).
type Multiplier interface {
	// NewProducts makes a handle of the library, which is loaded when the first is asked for. The
	// error wraps ErrNoLibrary where there is none.
	NewProducts() (Products, error)
}

// Products is a handle of the library; one goroutine at a time may use it.
type Products interface {
	// Library names what was loaded, with its version.
	Library() string
	// Use sets the stream of the products to come, and the memory they may use: with a stream and
	// memory of its own, whose address is a multiple of 256, a handle gives the same bits again.
	Use(s Stream, workspace Ptr, bytes int64) error
	// Gemm queues a product.
	Gemm(p *Product) error
	Close() error
}

// Element is the type of a product's operands.
type Element uint8

// Types of elements, and what is done with those of single precision.
const (
	SingleElement Element = iota // float32
	TensorElement                // float32, multiplied as TensorFloat-32
	BrainElement                 // bfloat16
)

// Product is c = Alpha op(a) op(b) + Beta c in the library's order: matrices are stored column
// after column, LD elements from one to the next. op(a) has M rows and K columns, op(b) K and N; op
// transposes where TransA or TransB say so. C is float32, and with Beta 0 it is not read. Addresses
// are multiples of an element's size.
type Product struct {
	TransA, TransB bool
	Elements       Element // of A and B
	M, N, K        int
	Alpha, Beta    float32
	A, B, C        Ptr
	LDA, LDB, LDC  int
}
