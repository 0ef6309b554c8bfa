package cuda

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// LibraryEnv names an environment variable: folders, separated by colons, in which cuBLAS and NCCL
// are looked for before everywhere else.
const LibraryEnv = driver.LibraryEnv

// library is a device's use of cuBLAS.
type library struct {
	mode tensor.Matmul
	name string // "": own kernels
	why  error  // why there is none, or why it multiplies in another way than was asked for

	mu   sync.Mutex
	idle []driver.Products
}

// workspace is what a handle of cuBLAS may use: what NVIDIA recommends for the architecture.
func workspace(p driver.Properties) int64 {
	if p.Major >= 9 {
		return 32 << 20
	}
	return 4 << 20
}

// useLibrary looks for cuBLAS. Where there is none, products go to the kernels that ship.
func (b *Backend) useLibrary(mode tensor.Matmul) {
	l := &b.lib
	l.mode = mode
	m, ok := b.dev.(driver.Multiplier)
	if !ok {
		l.why = driver.ErrNoLibrary
		return
	}
	p, err := m.NewProducts()
	switch {
	case errors.Is(err, driver.ErrNoLibrary):
		l.why = fmt.Errorf("%w; %s can name its folder", err, LibraryEnv)
		return
	case err != nil:
		l.why = err
		return
	}
	l.mode, l.why = possible(b.dev.Properties(), mode)
	l.name, l.idle = p.Library(), append(l.idle, p)
}

// Matmul says what multiplies dense matrices, and how. missing says why that is not what the backend
// was opened for, nil if it is.
func (b *Backend) Matmul() (text string, missing error) {
	l := &b.lib
	if l.name == "" {
		return "own kernels, " + tensor.MatmulFP32.String(), l.why
	}
	return l.name + ", " + l.mode.String(), l.why
}

// Multiplies returns the library of dense products, "" where the kernels that ship do them, and in what
// precision that is.
func (b *Backend) Multiplies() (library string, mode tensor.Matmul) {
	if b.lib.name == "" {
		return "", tensor.MatmulFP32
	}
	return b.lib.name, b.lib.mode
}

// possible returns the way of multiplying of a GPU that was asked for another, and why. TensorFloat-32
// is single precision where there is none, by the library's own choice.
func possible(p driver.Properties, mode tensor.Matmul) (tensor.Matmul, error) {
	if mode == tensor.MatmulBF16 && p.Major < 8 {
		return tensor.MatmulFP32, fmt.Errorf("bfloat16 needs compute capability 8.0, the GPU has %d.%d", p.Major, p.Minor)
	}
	return mode, nil
}

// take returns a handle that nobody uses.
func (l *library) take(d driver.Device) (driver.Products, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		p := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return p, nil
	}
	return d.(driver.Multiplier).NewProducts()
}

func (l *library) give(p driver.Products) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, p)
}

// close destroys all handles; queues have given theirs back.
func (l *library) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, p := range l.idle {
		errs = append(errs, p.Close())
	}
	l.idle = nil
	return errors.Join(errs...)
}

// multiplier is a queue's handle of cuBLAS; zero where it has not multiplied yet.
type multiplier struct {
	products  driver.Products
	workspace block
	call      driver.Product // kept because the driver's interface would make it escape
}

// open gets a handle for the queue's stream. Stream and memory are the queue's own, which is what
// makes cuBLAS give the same bits again.
func (m *multiplier) open(q *Queue) error {
	if m.workspace.at == 0 {
		size := workspace(q.dev.Properties())
		at, err := q.b.take(size)
		if err != nil {
			return fmt.Errorf("memory of dense products: %w", err)
		}
		m.workspace = block{at, size}
	}
	p, err := q.b.lib.take(q.dev)
	if err != nil {
		return err
	}
	m.products = p
	return p.Use(q.stream, m.workspace.at, m.workspace.size)
}

// openProducts takes what dense products need of the library, if there is one.
func (q *Queue) openProducts() error {
	if q.b.lib.name == "" || q.multiplier.products != nil {
		return nil
	}
	if err := q.multiplier.open(q); err != nil {
		return fmt.Errorf("cuda: %w", err)
	}
	return nil
}

// close gives back what open took; the stream has nothing left to do.
func (m *multiplier) close(q *Queue) error {
	if m.products != nil {
		q.b.lib.give(m.products)
	}
	if m.workspace.at == 0 {
		return nil
	}
	return q.b.give(m.workspace.at, m.workspace.size)
}

// brainWidth is a multiple of the columns of a bfloat16 matrix's rows, which makes them begin where
// the fastest products want it.
const brainWidth = 8

// libraryGemm leaves a product that Gemm has checked to cuBLAS, if it is there and takes it. The
// library's matrices are stored column after column: ours are their transposes, and so is the result.
func (q *Queue) libraryGemm(transA, transB bool, alpha float32, a, b tensor.Tensor, beta float32, c tensor.Tensor, k int) bool {
	if q.b.lib.name == "" || k == 0 || max(a.Stride, b.Stride, c.Stride) > math.MaxInt32 {
		return false
	}
	m := &q.multiplier
	if err := q.openProducts(); err != nil {
		q.fail(err)
		return true
	}
	p := &m.call
	*p = driver.Product{
		TransA: transB, TransB: transA, M: c.Cols, N: c.Rows, K: k, Alpha: alpha, Beta: beta,
		A: address(b), LDA: stride(b), B: address(a), LDB: stride(a), C: address(c), LDC: stride(c),
	}
	switch q.b.lib.mode {
	case tensor.MatmulTF32:
		p.Elements = driver.TensorElement
	case tensor.MatmulBF16:
		p.Elements = driver.BrainElement
		q.toBrain(p, a, b)
	}
	q.settle()
	switch {
	case q.err != nil:
	case q.recorder.open && q.b.profile == nil:
		q.b.count.launches.Add(1)
		q.recorder.product(p)
	default:
		q.flush()
		q.b.count.launches.Add(1)
		if err := q.b.profile.measured(q.dev, q.stream, func() error { return m.products.Gemm(p) }); err != nil {
			q.fail(fmt.Errorf("cuda: Gemm: %w", err))
		}
	}
	return true
}

// stride is t's for cuBLAS, which wants that of a single row to cover the row, too.
func stride(t tensor.Tensor) int { return max(t.Stride, t.Cols, 1) }

// roundsCodes reports whether a product with b and c decodes its other operand as it rounds it.
func (q *Queue) roundsCodes(b, c tensor.Tensor) bool {
	l := &q.b.lib
	return l.name != "" && l.mode == tensor.MatmulBF16 && max(b.Stride, c.Stride) <= math.MaxInt32
}

// toBrain rounds the operands to bfloat16 and makes them p's.
func (q *Queue) toBrain(p *driver.Product, a, b tensor.Tensor) {
	width := func(t tensor.Tensor) int { return ceil(t.Cols, brainWidth) * brainWidth }
	first := ceil(2*a.Rows*width(a), 256) * 256
	at := q.temporary(first + 2*b.Rows*width(b))
	p.A, p.LDA = at+driver.Ptr(first), width(b)
	p.B, p.LDB = at, width(a)
	convert := func(t tensor.Tensor, to driver.Ptr) {
		if m := codedOf(t); m != nil {
			l := q.with().int(t.Rows, t.Cols, width(t), int(t.Off)).coded(m, t.Cols).ptr(to)
			q.elements(kernel{"convert", "to_bf16_coded"}, t.Rows*width(t)/4, l)
			return
		}
		q.elements(kernel{"convert", "to_bf16"}, t.Rows*width(t)/4, q.with().int(t.Rows, t.Cols, width(t)).mat(t).ptr(to).flag(aligned(t)))
	}
	convert(a, p.B)
	convert(b, p.A)
}
