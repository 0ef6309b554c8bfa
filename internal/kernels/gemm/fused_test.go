package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
)

// given reads the rows of a slice, and writes something else to columns that nobody asks for.
type given struct {
	x     []float32
	ld    int
	cols  int
	other float32
}

func (g *given) Read(_ int, dst []float32, ld, lo, hi, from, to int) {
	for r := lo; r < hi; r++ {
		row := dst[(r-lo)*ld:][:g.cols]
		for i := range row {
			row[i] = g.other
		}
		copy(row[from:to], g.x[r*g.ld+from:])
	}
}

// watch records blocks of rows and doubles them.
type watch struct {
	mu     sync.Mutex
	blocks [][2]int
	c      []float32
	ldc, n int
}

func (w *watch) RowsDone(_, lo, hi int) {
	for i := lo; i < hi; i++ {
		for j := range w.n {
			w.c[i*w.ldc+j] *= 2
		}
	}
	w.mu.Lock()
	w.blocks = append(w.blocks, [2]int{lo, hi})
	w.mu.Unlock()
}

func bitsDiffer(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

var fusedShapes = []struct {
	name           string
	transA, transB bool
	m, n, k        int
}{
	{"NN", false, false, 301, 67, 700},
	{"NN wide", false, false, 70, 1300, 1100},
	{"NN long", false, false, 20, 30, 4000},
	{"NT", false, true, 200, 129, 513},
	{"TN split", true, false, 62, 40, 5003},
	{"TN", true, false, 530, 70, 1100},
	{"TN short", true, false, 600, 700, 100},
	{"TT", true, true, 50, 60, 1500},
	{"one", false, false, 1, 1, 1},
}

// The hook sees every row once and finished, in blocks that no number of threads changes, and
// what it does to them stays.
func TestFusedRowsDone(t *testing.T) {
	for _, level := range levels() {
		for _, s := range fusedShapes {
			if level == cpufeat.Generic && s.m*s.n > 10000 {
				continue // slow, and cut by the same code
			}
			for _, alpha := range []float32{0.5, 0} {
				t.Run(fmt.Sprint(level, "/", s.name, "/", alpha), func(t *testing.T) {
					p := newProduct(rand.New(rand.NewPCG(5, 6)), s.transA, s.transB, s.m, s.n, s.k, 3, alpha, 0.75)
					var first [][2]int
					for _, threads := range []int{1, 3, 8} {
						first = checkRowsDone(t, p, level, threads, first)
					}
				})
			}
		}
	}
}

func checkRowsDone(t *testing.T, p *product, level cpufeat.Level, threads int, first [][2]int) [][2]int {
	t.Helper()
	g := workers.New(threads)
	defer g.Close()
	want, got := slices.Clone(p.c), slices.Clone(p.c)
	p.run(g, newWorkspace(level), want)
	w := &watch{c: got[p.offC:], ldc: p.ldc, n: p.n}
	for i := range p.m {
		for j := range p.n {
			want[p.offC+i*p.ldc+j] *= 2
		}
	}
	p.fused(g, newWorkspace(level), Around{Done: w}, got)
	if x := bitsDiffer(got, want); x >= 0 {
		t.Fatalf("%d threads: element %d is %v with the hook and %v after it", threads, x, got[x], want[x])
	}
	slices.SortFunc(w.blocks, func(a, b [2]int) int { return a[0] - b[0] })
	next := 0
	for _, b := range w.blocks {
		if b[0] != next || b[1] <= b[0] {
			t.Fatalf("%d threads: block of rows [%d,%d), want one from %d on", threads, b[0], b[1], next)
		}
		next = b[1]
	}
	if next != p.m {
		t.Fatalf("%d threads: blocks end at row %d, want %d", threads, next, p.m)
	}
	if first != nil && !slices.Equal(first, w.blocks) {
		t.Fatalf("blocks are %v with %d threads and %v with 1", w.blocks, threads, first)
	}
	return w.blocks
}

// fused is run with work around it; a reader in around gets a's rows.
func (p *product) fused(g *workers.Group, ws *Workspace, around Around, c []float32) {
	a := p.a[p.offA:]
	if around.Left != nil {
		a = nil
	}
	Fused(g, ws, around, p.transA, p.transB, p.m, p.n, p.k, p.alpha, a, p.lda, p.b[p.offB:], p.ldb, p.beta, c[p.offC:], p.ldc)
}

// Rows from a reader give the bits of rows from a slice, with the hook too.
func TestFusedLeft(t *testing.T) {
	for _, level := range levels() {
		for _, s := range fusedShapes {
			if !s.transA || s.transB || level == cpufeat.Generic && s.m*s.n > 10000 {
				continue
			}
			t.Run(fmt.Sprint(level, "/", s.name), func(t *testing.T) {
				p := newProduct(rand.New(rand.NewPCG(7, 6)), true, false, s.m, s.n, s.k, 3, -1, 0.5)
				g := workers.New(3)
				defer g.Close()
				want, got := slices.Clone(p.c), slices.Clone(p.c)
				p.run(g, newWorkspace(level), want)
				left := &given{p.a[p.offA:], p.lda, p.m, float32(math.NaN())}
				p.fused(g, newWorkspace(level), Around{Left: left}, got)
				if x := bitsDiffer(got, want); x >= 0 {
					t.Fatalf("element %d is %v from a reader and %v from a slice", x, got[x], want[x])
				}
				copy(got, p.c)
				p.fused(g, newWorkspace(level), Around{Left: left, Done: &watch{c: got[p.offC:], ldc: p.ldc, n: p.n}}, got)
				(&watch{c: want[p.offC:], ldc: p.ldc, n: p.n}).RowsDone(0, 0, p.m)
				if x := bitsDiffer(got, want); x >= 0 {
					t.Fatalf("element %d is %v from a reader with the hook, want %v", x, got[x], want[x])
				}
			})
		}
	}
}

// Rows that are computed again, because tiles cannot hold them, leave those that follow as they are.
func TestFusedLeftInfinite(t *testing.T) {
	const most = 1e38
	for _, level := range levels() {
		p := newProduct(rand.New(rand.NewPCG(9, 6)), true, false, 200, 70, 300, 0, 1, 0)
		for i := range p.k {
			p.a[i*p.lda+40] = most
		}
		g := workers.New(2)
		defer g.Close()
		want, got := slices.Clone(p.c), slices.Clone(p.c)
		p.run(g, newWorkspace(level), want)
		p.fused(g, newWorkspace(level), Around{Left: &given{p.a, p.lda, p.m, 3}}, got)
		if x := bitsDiffer(got, want); x >= 0 {
			t.Errorf("%v: element %d is %v from a reader and %v from a slice", level, x, got[x], want[x])
		}
	}
}

func TestFusedLeftOfOtherProductsPanics(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	for _, trans := range [][2]bool{{false, false}, {false, true}, {true, true}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a reader with transposed operands %v: no panic", trans)
				}
			}()
			Fused(g, NewWorkspace(), Around{Left: &given{}}, trans[0], trans[1], 4, 4, 4, 1, nil, 4,
				make([]float32, 16), 4, 0, make([]float32, 16), 4)
		}()
	}
}

func TestFusedDoesNotAllocate(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	ws := NewWorkspace()
	p := newProduct(rand.New(rand.NewPCG(7, 8)), true, false, 65, 33, 1100, 0, 1, 0)
	left, done := &given{x: p.a, ld: p.lda, cols: p.m}, &counter{}
	if n := testing.AllocsPerRun(100, func() { p.fused(g, ws, Around{Left: left, Done: done}, p.c) }); n != 0 {
		t.Errorf("Fused allocates %v times, want 0", n)
	}
	q := newProduct(rand.New(rand.NewPCG(7, 8)), false, false, 165, 33, 100, 0, 1, 0)
	if n := testing.AllocsPerRun(100, func() { q.fused(g, ws, Around{Done: done}, q.c) }); n != 0 {
		t.Errorf("Fused allocates %v times, want 0", n)
	}
}

type counter struct{ rows [2]int }

func (c *counter) RowsDone(worker, lo, hi int) { c.rows[worker] += hi - lo }
