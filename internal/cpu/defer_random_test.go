package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// program is operations at random on a few matrices and vectors, whose columns overlap in every
// way that the operations allow: what may join a product, what may not, and what nearly may.
type program struct {
	q        *cpu.Queue
	r        *rand.Rand
	rows     int
	matrices []tensor.Tensor
	vectors  []tensor.Tensor // as long as a matrix is wide
	squares  []tensor.Tensor
	columns  []tensor.Tensor
	adj      tensor.CSR
	codes    tensor.Tensor
	stats    tensor.Tensor
	done     []string
}

const programDim = 64

func newProgram(t *testing.T, seed uint64, threads, rows int) *program {
	t.Helper()
	l := newLayer(t, threads, rows, 3)
	a, err := cpu.NewArena(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	p := &program{q: l.q, r: rand.New(rand.NewPCG(seed, 2)), rows: rows, adj: l.adj}
	fill := func(rows, cols int) tensor.Tensor {
		m := a.Alloc(tensor.F32, rows, cols)
		for i := range cpu.F32(m) {
			cpu.F32(m)[i] = float32(p.r.NormFloat64()) / 8
		}
		return m
	}
	for range 4 {
		p.matrices = append(p.matrices, fill(rows, 2*programDim))
		p.vectors = append(p.vectors, fill(1, programDim))
	}
	for range 2 {
		p.squares = append(p.squares, fill(programDim, programDim))
		p.columns = append(p.columns, fill(rows, 2))
	}
	p.codes, p.stats = a.Alloc(tensor.U8, 1, tensor.Quant{Bits: 4}.CodeBytes(rows, 2*programDim)), a.Alloc(tensor.I32, rows, 1)
	return p
}

// matrix returns columns of a matrix: the left half, the right or some of both.
func (p *program) matrix() tensor.Tensor {
	lo := [...]int{0, programDim, programDim / 2}[p.r.IntN(3)]
	return p.matrices[p.r.IntN(len(p.matrices))].ColRange(lo, lo+programDim)
}

func meet(a, b tensor.Tensor) bool {
	return a.ID == b.ID && a.Off%int64(a.Stride) < b.Off%int64(b.Stride)+int64(b.Cols) && b.Off%int64(b.Stride) < a.Off%int64(a.Stride)+int64(a.Cols)
}

// apart returns a matrix that shares nothing with others, but for one of them that it may be.
func (p *program) apart(same tensor.Tensor, others ...tensor.Tensor) tensor.Tensor {
	for {
		m := p.matrix()
		if same.Present() && m.ID == same.ID && m.Off == same.Off {
			return m
		}
		if !slices.ContainsFunc(append(others, same), func(o tensor.Tensor) bool { return o.Present() && meet(m, o) }) {
			return m
		}
	}
}

// wide returns all columns of the matrix that m belongs to.
func (p *program) wide(m tensor.Tensor) tensor.Tensor {
	return p.matrices[slices.IndexFunc(p.matrices, func(w tensor.Tensor) bool { return w.ID == m.ID })]
}

func (p *program) vector() tensor.Tensor { return p.vectors[p.r.IntN(len(p.vectors))] }

// column returns two columns that are not the same.
func (p *program) column() (a, b tensor.Tensor) {
	c := p.columns[p.r.IntN(len(p.columns))]
	return c.ColRange(0, 1), c.ColRange(1, 2)
}

// two returns vectors that are not the same.
func (p *program) two() (a, b tensor.Tensor) {
	i := p.r.IntN(len(p.vectors))
	return p.vectors[i], p.vectors[(i+1+p.r.IntN(len(p.vectors)-1))%len(p.vectors)]
}

// latest is the operand that is likely to be what was made last.
func (p *program) latest(last tensor.Tensor) tensor.Tensor {
	if last.Present() && p.r.IntN(4) > 0 {
		return last
	}
	return p.matrix()
}

// step does one operation and returns what it made.
func (p *program) step(i int, last tensor.Tensor) (tensor.Tensor, string) {
	var none tensor.Tensor
	x := p.latest(last)
	drop := tensor.Drop{}
	if p.r.IntN(2) == 0 {
		drop = tensor.Drop{P: 0.25, Key: tensor.RandKey{Seed: 7, Step: uint64(i / 9), Slot: uint32(p.r.IntN(3))}, Width: programDim}
	}
	switch op := p.r.IntN(13); op {
	case 0, 1, 2:
		y := p.apart(none, x)
		p.q.Gemm(false, op == 2, 0.5, x, p.squares[p.r.IntN(2)], float32(p.r.IntN(2)), y)
		return y, fmt.Sprintf("Gemm %v -> %v", x, y)
	case 3:
		y := p.apart(none, x)
		p.q.SpMM(0.5, &p.adj, x, float32(p.r.IntN(2)), y)
		return y, fmt.Sprintf("SpMM %v -> %v", x, y)
	case 4:
		y, bias := p.apart(x, x), p.vector()
		p.q.BiasActNorm(tensor.ReLU, bias, none, none, x, drop, y, none, none)
		return y, fmt.Sprintf("BiasAct %v -> %v, bias %v", x, y, bias)
	case 5:
		y := p.apart(x, x)
		mean, rstd := p.column()
		scale, offset := p.two()
		p.q.BiasActNorm(tensor.ReLU, none, scale, offset, x, drop, y, mean, rstd)
		return y, fmt.Sprintf("Norm %v -> %v, %v %v", x, y, mean, rstd)
	case 6:
		at := p.matrix()
		dx := p.apart(x, x, at)
		bias, dbias := p.two()
		p.q.BiasActNormBackward(tensor.ReLU, bias, none, none, none, at, x, drop, dx, dbias, none, none)
		return dx, fmt.Sprintf("BiasActBackward %v of %v -> %v, bias %v %v", x, at, dx, bias, dbias)
	case 7:
		at := p.matrix()
		dx := p.apart(x, x, at)
		mean, rstd := p.column()
		scale, dscale := p.two()
		_, doffset := p.two()
		for doffset.ID == scale.ID || doffset.ID == dscale.ID {
			_, doffset = p.two()
		}
		p.q.BiasActNormBackward(tensor.Identity, none, scale, mean, rstd, at, x, drop, dx, none, dscale, doffset)
		return dx, fmt.Sprintf("NormBackward %v of %v -> %v, %v %v", x, at, dx, mean, rstd)
	case 8:
		y := p.apart(x, x)
		norm, _ := p.column()
		p.q.NormalizeRows(x, y, norm)
		return y, fmt.Sprintf("NormalizeRows %v -> %v", x, y)
	case 9:
		y := p.apart(x, x)
		p.q.Dropout(0.25, tensor.RandKey{Seed: 7, Step: uint64(i / 9), Slot: uint32(p.r.IntN(3))}, x, y)
		return y, fmt.Sprintf("Dropout %v -> %v", x, y)
	case 10:
		y := p.wide(p.apart(none, p.wide(x)))
		length, _ := p.column()
		p.q.BiasActNorm(tensor.ReLU, none, none, none, p.wide(x), tensor.Drop{}, y, none, none)
		p.q.NormalizeRows(y.ColRange(programDim/2, 3*programDim/2), x, length)
		return x, fmt.Sprintf("BiasAct %v -> %v, NormalizeRows -> %v", p.wide(x), y, x)
	default:
		if op == 12 {
			x = p.wide(x)
		}
		h := tensor.Quant{Bits: 4, Key: tensor.RandKey{Seed: 3, Step: uint64(i)}}
		p.q.Quantize(h, none, x, none, p.codes.ColRange(0, h.CodeBytes(p.rows, x.Cols)), p.stats)
		return x.ColRange(0, programDim), fmt.Sprintf("Quantize %v", x)
	}
}

// run does n operations, some of which nobody lets wait.
func (p *program) run(t *testing.T, n int) (waited int) {
	t.Helper()
	var last tensor.Tensor
	for i := range n {
		var did string
		if p.r.IntN(12) == 0 {
			last = p.matrix()
			p.q.Axpby(0.5, p.matrices[p.r.IntN(2)], 0, p.matrices[2+p.r.IntN(2)])
			did = "Axpby"
		} else {
			last, did = p.step(i, last)
		}
		if p.q.Waiting() {
			did += ", waits"
			waited++
		}
		p.done = append(p.done, did)
	}
	if err := p.q.Sync(); err != nil {
		t.Fatal(err)
	}
	return waited
}

func (p *program) results() [][]float32 {
	var list [][]float32
	for _, ts := range [][]tensor.Tensor{p.matrices, p.vectors, p.columns} {
		for _, m := range ts {
			list = append(list, cpu.F32(m))
		}
	}
	return list
}

// Whatever follows whatever, products that wait change no bit.
func TestDeferPrograms(t *testing.T) {
	const operations = 12
	seeds := uint64(80)
	if testing.Short() {
		seeds = 20
	}
	waited := 0
	for seed := range seeds {
		rows := []int{2, 37, 150, 300}[seed%4]
		plain := newProgram(t, seed, 1, rows)
		plain.run(t, operations)
		for _, threads := range []int{1, 3} {
			p := newProgram(t, seed, threads, rows)
			p.q.Defer(true)
			waited += p.run(t, operations)
			p.same(t, plain, fmt.Sprintf("seed %d, %d rows, %d threads", seed, rows, threads))
		}
	}
	t.Logf("%d operations left a product waiting", waited)
}

func (p *program) same(t *testing.T, plain *program, name string) {
	t.Helper()
	what := []string{"matrix 0", "matrix 1", "matrix 2", "matrix 3", "vector 0", "vector 1", "vector 2", "vector 3", "columns 0", "columns 1"}
	want := plain.results()
	for k, got := range p.results() {
		for i, v := range got {
			if w := want[k][i]; v != w && (v == v || w == w) {
				t.Fatalf("%s: %s[%d] = %g, want %g, after\n%s", name, what[k], i, v, w, strings.Join(p.done, "\n"))
			}
		}
	}
	codes := make([]byte, plain.codes.Bytes())
	others := make([]byte, len(codes))
	plain.q.Download(plain.codes, codes)
	p.q.Download(p.codes, others)
	if !slices.Equal(codes, others) {
		t.Fatalf("%s: other codes, after\n%s", name, strings.Join(p.done, "\n"))
	}
}
