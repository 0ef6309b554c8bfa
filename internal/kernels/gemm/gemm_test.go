package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
)

// levels returns the instruction sets that this machine can run, to test each of them.
func levels() []cpufeat.Level {
	var ls []cpufeat.Level
	for l := cpufeat.Generic; l <= cpufeat.Best(); l++ {
		ls = append(ls, l)
	}
	return ls
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
	return x
}

// product is one call of Gemm with operands inside wider matrices.
type product struct {
	transA, transB   bool
	m, n, k          int
	alpha, beta      float32
	a, b, c          []float32
	lda, ldb, ldc    int
	offA, offB, offC int
}

func newProduct(r *rand.Rand, transA, transB bool, m, n, k, pad int, alpha, beta float32) *product {
	p := &product{transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, beta: beta}
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if transA {
		rowsA, colsA = k, m
	}
	if transB {
		rowsB, colsB = n, k
	}
	p.lda, p.ldb, p.ldc = colsA+pad, colsB+2*pad, n+3*pad
	p.offA, p.offB, p.offC = pad, pad/2, 2*pad
	p.a = random(r, p.offA+rowsA*p.lda+1)
	p.b = random(r, p.offB+rowsB*p.ldb+1)
	p.c = random(r, p.offC+m*p.ldc+1)
	return p
}

func (p *product) run(g *workers.Group, ws *Workspace, c []float32) {
	Gemm(g, ws, p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a[p.offA:], p.lda, p.b[p.offB:], p.ldb, p.beta, c[p.offC:], p.ldc)
}

func (p *product) atA(i, l int) float64 {
	if p.transA {
		i, l = l, i
	}
	return float64(p.a[p.offA+i*p.lda+l])
}

func (p *product) atB(l, j int) float64 {
	if p.transB {
		l, j = j, l
	}
	return float64(p.b[p.offB+l*p.ldb+j])
}

// compare checks got against float64 arithmetic, within the bound of recursive summation
// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and that nothing
// outside of c changed. step skips elements of large products.
func (p *product) compare(t *testing.T, got []float32, step int) {
	t.Helper()
	const eps = 1.0 / (1 << 23)
	ld := max(p.ldc, 1)
	for x, v := range got {
		i, j := (x-p.offC)/ld, (x-p.offC)%ld
		if x < p.offC || i >= p.m || j >= p.n {
			if math.Float32bits(v) != math.Float32bits(p.c[x]) {
				t.Fatalf("element %d outside of c changed from %v to %v", x, p.c[x], v)
			}
			continue
		}
		if (i*p.n+j)%step != 0 {
			continue
		}
		var want, size float64
		if p.alpha != 0 {
			for l := range p.k {
				y := float64(p.alpha) * p.atA(i, l) * p.atB(l, j)
				want += y
				size += math.Abs(y)
			}
		}
		if p.beta != 0 {
			y := float64(p.beta) * float64(p.c[x])
			want += y
			size += math.Abs(y)
		}
		if e := math.Abs(float64(v) - want); !(e <= float64(p.k+8)*eps*size) {
			t.Fatalf("%dx%dx%d, alpha %v, beta %v: c[%d,%d] = %v, want %v (off by %g)",
				p.m, p.n, p.k, p.alpha, p.beta, i, j, v, want, e)
		}
	}
}

var transposes = []struct {
	name string
	a, b bool
}{{"NN", false, false}, {"NT", false, true}, {"TN", true, false}, {"TT", true, true}}

func TestGemmSmall(t *testing.T) {
	sizes := []int{0, 1, 2, 5, 11, 12, 13, 31, 32, 33, 100}
	if testing.Short() {
		sizes = []int{0, 1, 5, 12, 13, 33}
	}
	g := workers.New(2)
	defer g.Close()
	for _, level := range levels() {
		for _, tr := range transposes {
			t.Run(fmt.Sprint(level, "/", tr.name), func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, 2))
				ws := newWorkspace(level)
				cube := len(sizes) * len(sizes) * len(sizes)
				for x := range cube {
					if (tr.a != tr.b || level == cpufeat.Generic) && x%3 != 0 || tr.a && tr.b && x%7 != 0 { // NN in assembly has every size
						continue
					}
					m, n, k := sizes[x%len(sizes)], sizes[x/len(sizes)%len(sizes)], sizes[x/len(sizes)/len(sizes)]
					alpha, beta := [...]float32{1, 1, -0.5, 0}[x%4], [...]float32{0, 1, 0.25}[x%3]
					p := newProduct(r, tr.a, tr.b, m, n, k, x%3, alpha, beta)
					got := append([]float32(nil), p.c...)
					p.run(g, ws, got)
					p.compare(t, got, 1+m*n/1000)
				}
			})
		}
	}
}

// Every width and every height of an edge, with guard values around c.
func TestGemmTails(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	for _, level := range levels() {
		r := rand.New(rand.NewPCG(3, 4))
		ws := newWorkspace(level)
		for x := 1; x <= 70; x++ {
			for _, s := range [][2]int{{x, 9}, {7, x}, {x, x}} {
				p := newProduct(r, x%2 == 0, x%3 == 0, s[0], s[1], 17, x%8, 1, float32(x%2))
				got := append([]float32(nil), p.c...)
				p.run(g, ws, got)
				p.compare(t, got, 1)
			}
		}
	}
}

// Every length of the inner dimension that the kernels unroll differently, and operands
// whose rows are a page apart, which are copied before use.
func TestGemmInner(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	for _, level := range levels() {
		r := rand.New(rand.NewPCG(9, 10))
		ws := newWorkspace(level)
		check := func(p *product) {
			t.Helper()
			got := append([]float32(nil), p.c...)
			p.run(g, ws, got)
			p.compare(t, got, 3)
		}
		for _, tr := range transposes {
			for k := 1; k <= 40; k++ {
				check(newProduct(r, tr.a, tr.b, 29, 45, k, k%5, -1, float32(k%2)))
			}
		}
		check(newProduct(r, false, false, 30, 135, 1024, 0, 1, 1))
		check(newProduct(r, true, false, 1024, 260, 40, 0, 1, 1))
		check(newProduct(r, true, false, 20, 129, 300, 1004, 1, 0))
	}
}

func TestPack(t *testing.T) {
	const kc, ld, guard = 11, 83, 99
	src := random(rand.New(rand.NewPCG(11, 12)), kc*ld)
	for _, level := range levels() {
		kern := kernelsOf(level)
		for _, width := range []int{kern.nr, kern.narrow} {
			for cols := 1; cols <= 70; cols++ {
				n := ceil(cols, width) * width * kc
				got, want := make([]float32, n+64), make([]float32, n)
				for i := range got {
					got[i] = guard
				}
				kern.pack(kc, cols, src[5:], ld, got, width)
				packGo(kc, cols, src[5:], ld, want, width)
				for i, v := range got {
					if i < n && v != want[i] || i >= n && v != guard {
						t.Fatalf("%v: pack of %d columns into strips of %d: element %d is %v", level, cols, width, i, v)
					}
				}
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	src := random(rand.New(rand.NewPCG(13, 14)), 8*60)
	for _, level := range levels() {
		kern := kernelsOf(level)
		if kern.transpose == nil {
			continue
		}
		for blocks := 1; blocks <= 7; blocks++ {
			got := make([]float32, 8*blocks*11+9)
			kern.transpose(blocks, src[3:], 59, got, 11)
			for i, v := range got {
				var want float32
				if l, x := i/11, i%11; l < 8*blocks && x < 8 {
					want = src[3+x*59+l]
				}
				if v != want {
					t.Fatalf("%v: transpose of %d blocks: element %d is %v, want %v", level, blocks, i, v, want)
				}
			}
		}
	}
}

func TestGemmBitsDoNotDependOnThreads(t *testing.T) {
	shapes := []struct {
		name           string
		transA, transB bool
		m, n, k        int
	}{
		{"NN", false, false, 301, 67, 700},
		{"NT", false, true, 200, 129, 513},
		{"TN split", true, false, 62, 40, 5003},
		{"TN tiny", true, false, 7, 3, 9001},
		{"TT", true, true, 50, 60, 1500},
		{"wide", false, false, 14, 1100, 300},
		{"blocks", false, false, 70, 300, 1500},
		{"TN blocks", true, false, 530, 70, 1100},
	}
	for _, level := range levels() {
		for _, s := range shapes {
			p := newProduct(rand.New(rand.NewPCG(5, 6)), s.transA, s.transB, s.m, s.n, s.k, 3, 0.5, 0.75)
			var first []float32
			counts := []int{1, 2, 3, 4, 7}
			if level == cpufeat.Generic { // slow, and cut by the same code
				counts = []int{1, 3}
			}
			for _, threads := range counts {
				g := workers.New(threads)
				got := append([]float32(nil), p.c...)
				p.run(g, newWorkspace(level), got)
				g.Close()
				if first == nil {
					first = got
					p.compare(t, got, 101)
					continue
				}
				for x := range got {
					if math.Float32bits(got[x]) != math.Float32bits(first[x]) {
						t.Fatalf("%v %s: element %d is %v with %d threads and %v with 1", level, s.name, x, got[x], threads, first[x])
					}
				}
			}
		}
	}
}

func TestGemmSpecialValues(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	const m, n, k = 45, 81, 300
	for _, level := range levels() {
		ws := newWorkspace(level)
		a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
		for i := range c {
			c[i] = nan
		}
		Gemm(g, ws, false, false, m, n, k, 1, a, k, b, n, 0, c, n)
		for i, v := range c {
			if v != 0 {
				t.Fatalf("%v: beta 0 over NaN: c[%d] = %v, want 0", level, i, v)
			}
		}
		c[5] = nan
		for i := range a {
			a[i] = nan
		}
		Gemm(g, ws, false, false, m, n, k, 0, a, k, b, n, 0, c, n)
		Gemm(g, ws, false, false, m, n, 0, 1, nil, k, nil, n, 1, c, n)
		if c[5] != 0 {
			t.Errorf("%v: alpha 0 and beta 0 leave c[5] = %v, want 0", level, c[5])
		}
		clear(a)
		a[3*k+299], a[24*k] = nan, inf
		for i := range b {
			b[i] = 1
		}
		Gemm(g, ws, false, false, m, n, k, 1, a, k, b, n, 0, c, n)
		for i := range m {
			for j := range n {
				v := c[i*n+j]
				if ok := i == 3 && v != v || i == 24 && v == inf || i != 3 && i != 24 && v == 0; !ok {
					t.Fatalf("%v: c[%d,%d] = %v with a NaN in row 3 and an Inf in row 24 of a", level, i, j, v)
				}
			}
		}
	}
}

func TestGemmDoesNotAllocate(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	ws := NewWorkspace()
	p := newProduct(rand.New(rand.NewPCG(7, 8)), true, false, 65, 33, 1100, 0, 1, 0)
	if n := testing.AllocsPerRun(100, func() { p.run(g, ws, p.c) }); n != 0 {
		t.Errorf("Gemm allocates %v times, want 0", n)
	}
	if ws.Bytes() == 0 {
		t.Error("Bytes() = 0 after use")
	}
}

func TestGemmShortSlicePanics(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	for name, lens := range map[string][3]int{"a": {11, 20, 15}, "b": {12, 19, 15}, "c": {12, 20, 14}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s too short: no panic", name)
				}
			}()
			Gemm(g, NewWorkspace(), false, false, 3, 5, 4, 1, make([]float32, lens[0]), 4,
				make([]float32, lens[1]), 5, 0, make([]float32, lens[2]), 5)
		}()
	}
}
