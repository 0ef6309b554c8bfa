package fake

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// products is a handle of a library of dense products, which computes on the host.
type products struct {
	d      *Device
	stream driver.Stream
	closed bool
}

// NewProducts makes a handle, if Options.Library says that there is the library.
func (d *Device) NewProducts() (driver.Products, error) {
	if !d.driver.options.Library {
		return nil, fmt.Errorf("%w: libcublas.so.12: not on this machine", driver.ErrNoLibrary)
	}
	if err := d.begin("cublasCreate"); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	d.handles++
	return &products{d: d}, nil
}

// Library names the library.
func (*products) Library() string { return "libcublas.so.12 12.0.0" }

// Use checks stream and memory.
func (p *products) Use(s driver.Stream, workspace driver.Ptr, bytes int64) error {
	const call = "cublasSetWorkspace"
	d := p.d
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	switch {
	case p.closed:
		return d.invalid(call, "the handle was destroyed")
	case d.streams[s] == nil:
		return d.invalid(call, "no such stream")
	case workspace%256 != 0:
		return d.invalid(call, "the workspace is not aligned to 256 bytes")
	}
	if _, err := d.mem.Bytes(uint64(workspace), bytes); err != nil {
		return d.invalid(call, err.Error())
	}
	p.stream = s
	return nil
}

// operand is a matrix in the library's order.
type operand struct {
	at       driver.Ptr
	rows, ld int // as it is stored
	cols     int
	size     int // of an element
}

// bytes is what the matrix covers, from its first element to its last.
func (o operand) bytes() int64 { return int64(o.size) * (int64(o.cols-1)*int64(o.ld) + int64(o.rows)) }

func (o operand) check(name string) string {
	switch {
	case o.ld < max(1, o.rows):
		return fmt.Sprintf("the leading dimension of %s is %d, less than its %d rows", name, o.ld, o.rows)
	case o.ld > math.MaxInt32:
		return "a leading dimension has more than 32 bits"
	case uint64(o.at)%uint64(o.size) != 0:
		return name + " is not aligned to its elements"
	}
	return ""
}

// Gemm checks everything and queues the product on the handle's stream.
func (p *products) Gemm(call *driver.Product) error {
	const name = "cublasGemmEx"
	d, g := p.d, *call
	if err := d.begin(name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	size := 4
	if g.Elements == driver.BrainElement {
		size = 2
	}
	a, b, c := operand{g.A, g.M, g.LDA, g.K, size}, operand{g.B, g.K, g.LDB, g.N, size}, operand{g.C, g.M, g.LDC, g.N, 4}
	if g.TransA {
		a.rows, a.cols = a.cols, a.rows
	}
	if g.TransB {
		b.rows, b.cols = b.cols, b.rows
	}
	switch {
	case p.closed:
		return d.invalid(name, "the handle was destroyed")
	case p.stream == 0:
		return d.invalid(name, "the handle has no stream")
	case g.M <= 0 || g.N <= 0 || g.K <= 0:
		return d.invalid(name, "an empty product")
	}
	for i, o := range []operand{a, b, c} {
		if what := o.check([]string{"A", "B", "C"}[i]); what != "" {
			return d.invalid(name, what)
		}
		if _, err := d.mem.Bytes(uint64(o.at), o.bytes()); err != nil {
			return d.invalid(name, err.Error())
		}
	}
	if s := d.streams[p.stream]; s.capture != nil && parts(&g) {
		if err := d.add(name, p.stream, work{name: name, kind: "memory of a product", run: func() error { return nil }}); err != nil {
			return err
		}
	}
	return d.add(name, p.stream, work{name: name, kind: productKind(&g), run: func() error {
		var mem [3][]byte
		for i, o := range []operand{a, b, c} {
			var err error
			if mem[i], err = d.mem.Bytes(uint64(o.at), o.bytes()); err != nil {
				return &driver.Error{Call: name, Code: driver.IllegalAddress, Text: err.Error()}
			}
		}
		multiply(&g, mem)
		return nil
	}})
}

// multiply computes the product, each sum in the order of k.
func multiply(g *driver.Product, mem [3][]byte) {
	element := func(which, i, j, ld int) float32 {
		at := j*ld + i
		if g.Elements == driver.BrainElement {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(mem[which][2*at:])) << 16)
		}
		v := math.Float32frombits(binary.LittleEndian.Uint32(mem[which][4*at:]))
		if g.Elements == driver.TensorElement {
			v = tensorFloat(v)
		}
		return v
	}
	for j := range g.N {
		for i := range g.M {
			sum := float32(0)
			for k := range g.K {
				ai, aj, bi, bj := i, k, k, j
				if g.TransA {
					ai, aj = k, i
				}
				if g.TransB {
					bi, bj = j, k
				}
				sum += element(0, ai, aj, g.LDA) * element(1, bi, bj, g.LDB)
			}
			to := mem[2][4*(j*g.LDC+i):]
			v := g.Alpha * sum
			if g.Beta != 0 {
				v += g.Beta * math.Float32frombits(binary.LittleEndian.Uint32(to))
			}
			binary.LittleEndian.PutUint32(to, math.Float32bits(v))
		}
	}
}

// tensorFloat rounds to the nearest number of 10 bits of fraction.
func tensorFloat(v float32) float32 {
	u := math.Float32bits(v)
	if v != v || u&0x7f800000 == 0x7f800000 {
		return v
	}
	return math.Float32frombits((u + 0xfff + u>>13&1) &^ 0x1fff)
}

// Close destroys the handle.
func (p *products) Close() error {
	d := p.d
	if err := d.begin("cublasDestroy"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if p.closed {
		return d.invalid("cublasDestroy", "destroyed before")
	}
	p.closed = true
	d.handles--
	return nil
}
