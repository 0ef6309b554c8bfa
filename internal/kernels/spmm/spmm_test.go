package spmm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/invariants"
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

// newArgs returns a random product with rows of very different lengths, operands inside
// wider matrices and col ending with its last entry.
func newArgs(r *rand.Rand, rows, cols, n, pad, degree int) Args {
	a := Args{Alpha: 1, LDX: n + pad, LDY: n + 2*pad, N: n, Indptr: make([]int32, 1, rows+1)}
	for i := range rows {
		d := 0
		switch i % 4 {
		case 1:
			d = i % 9
		case 2:
			d = r.IntN(2*degree + 1)
		case 3:
			d = degree
		}
		if cols == 0 {
			d = 0
		}
		for range d {
			a.Col = append(a.Col, int32(r.IntN(cols)))
			a.Val = append(a.Val, float32(r.NormFloat64()))
		}
		a.Indptr = append(a.Indptr, int32(len(a.Col)))
	}
	a.Col, a.Val = a.Col[:len(a.Col):len(a.Col)], a.Val[:len(a.Val):len(a.Val)]
	a.X = make([]float32, max(0, (cols-1)*a.LDX+n))
	for i := range a.X {
		a.X[i] = float32(r.NormFloat64())
	}
	a.Y = make([]float32, pad+rows*a.LDY)
	for i := range a.Y {
		a.Y[i] = float32(r.NormFloat64())
	}
	return a
}

func compare(t *testing.T, a *Args, before, got []float32, off int) {
	t.Helper()
	const eps = 1.0 / (1 << 23)
	for x, v := range got {
		i, j := (x-off)/a.LDY, (x-off)%a.LDY
		if x < off || i >= len(a.Indptr)-1 || j >= a.N {
			if math.Float32bits(v) != math.Float32bits(before[x]) {
				t.Fatalf("element %d outside of y changed from %v to %v", x, before[x], v)
			}
			continue
		}
		var want, size float64
		for e := a.Indptr[i]; e < a.Indptr[i+1]; e++ {
			z := float64(a.Alpha) * float64(a.Val[e]) * float64(a.X[int(a.Col[e])*a.LDX+j])
			want += z
			size += math.Abs(z)
		}
		if a.Beta != 0 {
			z := float64(a.Beta) * float64(before[x])
			want += z
			size += math.Abs(z)
		}
		k := float64(a.Indptr[i+1] - a.Indptr[i])
		if e := math.Abs(float64(v) - want); !(e <= (k+8)*eps*size) {
			t.Fatalf("n %d alpha %v beta %v: y[%d,%d] = %v, want %v", a.N, a.Alpha, a.Beta, i, j, v, want)
		}
	}
}

// Every width from 0 to 257, every offset from an aligned start, guard values around y.
func TestMulWidths(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	for _, level := range levels() {
		ws := newWorkspace(level)
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 258 {
			a := newArgs(r, 13, 11, n, n%8, 10)
			a.Alpha, a.Beta = [...]float32{1, -0.5}[n%2], [...]float32{0, 1, 0.25}[n%3]
			off := n % 8
			all := a.Y
			before := append([]float32(nil), all...)
			a.Y = all[off:]
			Mul(g, ws, a)
			compare(t, &a, before, all, off)
		}
	}
}

func TestMulBitsDoNotDependOnThreadsOrColumns(t *testing.T) {
	for _, level := range levels() {
		a := newArgs(rand.New(rand.NewPCG(3, 4)), 801, 500, 150, 5, 60)
		a.Alpha, a.Beta = 0.7, 1
		before := append([]float32(nil), a.Y...)
		var first []float32
		for _, threads := range []int{1, 2, 3, 4, 7} {
			g := workers.New(threads)
			copy(a.Y, before)
			Mul(g, newWorkspace(level), a)
			if first == nil {
				first = append(first, a.Y...)
				compare(t, &a, before, first, 0)
			}
			same(t, first, a.Y, "threads")
			copy(a.Y, before)
			for lo := 0; lo < a.N; lo += 37 {
				part := a
				part.X, part.Y, part.N = a.X[lo:], a.Y[lo:], min(37, a.N-lo)
				Mul(g, newWorkspace(level), part)
			}
			same(t, first, a.Y, "column ranges")
			g.Close()
		}
	}
}

func same(t *testing.T, want, got []float32, what string) {
	t.Helper()
	for x := range got {
		if math.Float32bits(got[x]) != math.Float32bits(want[x]) {
			t.Fatalf("%s changed element %d: got %v, want %v", what, x, got[x], want[x])
		}
	}
}

func TestMulSpecialValues(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, level := range levels() {
		for _, n := range []int{1, 7, 16, 40, 300} {
			a := Args{Alpha: 1, Indptr: []int32{0, 1, 1, 2, 3}, Col: []int32{0, 1, 2}, Val: []float32{1, 1, 1}, LDX: n, LDY: n, N: n}
			a.X, a.Y = make([]float32, 3*n), make([]float32, 4*n)
			for j := range n {
				a.X[j], a.X[n+j], a.X[2*n+j] = nan, inf, 2
			}
			for i := range a.Y {
				a.Y[i] = nan
			}
			Mul(g, newWorkspace(level), a)
			for j := range n {
				if v := a.Y[j]; v == v {
					t.Errorf("%v: NaN row gives %v", level, v)
				}
				if got := [3]float32{a.Y[n+j], a.Y[2*n+j], a.Y[3*n+j]}; got != [3]float32{0, inf, 2} {
					t.Errorf("%v: got %v, want [0 +Inf 2]", level, got)
				}
			}
		}
	}
}

func TestMulEmpty(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	Mul(g, NewWorkspace(), Args{})
	Mul(g, NewWorkspace(), Args{Indptr: []int32{0}, N: 4, LDX: 4, LDY: 4})
	y := []float32{1, 2}
	Mul(g, NewWorkspace(), Args{Alpha: 1, Indptr: []int32{0, 0}, N: 2, LDX: 2, LDY: 2, Y: y})
	if y[0] != 0 || y[1] != 0 {
		t.Errorf("a row without entries gives %v, want zeros", y)
	}
}

func TestMulDoesNotAllocate(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	ws := NewWorkspace()
	a := newArgs(rand.New(rand.NewPCG(7, 8)), 2000, 300, 64, 0, 20)
	if n := testing.AllocsPerRun(100, func() { Mul(g, ws, a) }); n != 0 {
		t.Errorf("Mul allocates %v times, want 0", n)
	}
}

func TestMulShortSlicePanics(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	ok := newArgs(rand.New(rand.NewPCG(9, 9)), 9, 5, 6, 0, 4)
	short := map[string]func(*Args){
		"col":      func(a *Args) { a.Col = a.Col[:len(a.Col)-1] },
		"val":      func(a *Args) { a.Val = a.Val[:len(a.Val)-1] },
		"y":        func(a *Args) { a.Y = a.Y[:len(a.Y)-1] },
		"row of x": func(a *Args) { a.LDX-- },
	}
	if invariants.Enabled {
		short["x"] = func(a *Args) { a.X = a.X[:len(a.X)/2] }
		short["falling indptr"] = func(a *Args) {
			a.Indptr = append([]int32(nil), a.Indptr...)
			a.Indptr[4] = a.Indptr[3] - 1
		}
		short["negative id"] = func(a *Args) {
			a.Col = append([]int32(nil), a.Col...)
			a.Col[2] = -1
		}
	}
	for name, cut := range short {
		a := ok
		cut(&a)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("bad %s: no panic", name)
				}
			}()
			Mul(g, NewWorkspace(), a)
		}()
	}
}
