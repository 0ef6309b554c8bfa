package spmm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
)

// Packed or not, the bits are the same: for every width, distance of rows and size of the
// cache, and nothing beside y is written.
func TestPanelsGiveTheSameBits(t *testing.T) {
	const rows, degree, guard = 300, 20, 77
	r := rand.New(rand.NewPCG(3, 4))
	a := Args{Alpha: 1.5, Indptr: make([]int32, rows+1), Col: make([]int32, rows*degree), Val: make([]float32, rows*degree)}
	for i := range a.Col {
		a.Col[i], a.Val[i] = int32(r.IntN(rows)), r.Float32()
	}
	for i := range rows {
		a.Indptr[i+1] = int32((i + 1) * degree)
	}
	a.Indptr[1] = 0 // a row without entries
	for level := cpufeat.AVX2; level <= cpufeat.Best(); level++ {
		for _, n := range []int{1, 15, 16, 17, 32, 63, 64, 65, 100, 130} {
			for _, gap := range []int{0, 7} {
				a.N, a.LDX, a.LDY, a.Beta = n, n+gap, n+gap+1, float32(gap%2)
				a.X = make([]float32, rows*a.LDX)
				for i := range a.X {
					a.X[i] = r.Float32() - 0.5
				}
				a.Y = make([]float32, rows*a.LDY)
				for i := range a.Y {
					a.Y[i] = guard
				}
				testPacked(t, level, a)
			}
		}
	}
}

func testPacked(t *testing.T, level cpufeat.Level, a Args) {
	t.Helper()
	g := workers.New(3)
	defer g.Close()
	rows := len(a.Indptr) - 1
	product := func(cache int) []float32 {
		ws, a := newWorkspace(level), a
		ws.cache, a.Y = cache, slices.Clone(a.Y)
		Mul(g, ws, a)
		if packed := len(ws.panels.buf) > 0; packed != (cache > 0 && (a.LDX > a.N || cache < rows*a.N)) {
			t.Errorf("%v, %d columns %d apart, cache of %d: packed is %t", level, a.N, a.LDX, cache, packed)
		}
		return a.Y
	}
	want := product(0)
	for _, cache := range []int{rows * 16, rows*16 + 1, rows * 40, rows * 64} {
		if !slices.Equal(product(cache), want) {
			t.Fatalf("%v, %d columns %d apart, cache of %d: the sums changed", level, a.N, a.LDX, cache)
		}
	}
}

// What is too narrow, too large or read too seldom stays where it is.
func TestPanelsPayForThemselves(t *testing.T) {
	args := func(rows, entries, n, ld int) *Args {
		return &Args{Indptr: append(make([]int32, rows), int32(entries)), X: make([]float32, rows*ld), LDX: ld, N: n}
	}
	tests := []struct {
		a     *Args
		cache int
		count int
	}{
		{args(100, 1600, 64, 64), 100 * 64, 0},
		{args(100, 1600, 64, 128), 100 * 64, 1},
		{args(100, 1600, 128, 128), 100 * 64, 2},
		{args(100, 1599, 128, 128), 100 * 64, 0},
		{args(100, 1600, 130, 256), 100 * 32, 5},
		{args(100, 1600, 128, 128), 100*16 - 1, 0},
		{args(100, 1600, 128, 128), 0, 0},
	}
	for i, tt := range tests {
		var p panels
		if p.cut(tt.a, tt.cache); p.count != tt.count {
			t.Errorf("test %d: cut(%s) = %d panels, want %d", i, fmt.Sprint(tt.a.N, tt.a.LDX), p.count, tt.count)
		}
	}
}

func TestPackedMulDoesNotAllocate(t *testing.T) {
	const rows, degree, n = 200, 20, 64
	a := Args{Alpha: 1, Indptr: make([]int32, rows+1), Col: make([]int32, rows*degree), Val: make([]float32, rows*degree), X: make([]float32, rows*n), LDX: n, Y: make([]float32, rows*n), LDY: n, N: n}
	for i := range rows {
		a.Indptr[i+1] = int32((i + 1) * degree)
	}
	g, ws := workers.New(2), NewWorkspace()
	defer g.Close()
	ws.cache = rows * 16
	if got := testing.AllocsPerRun(20, func() { Mul(g, ws, a) }); got != 0 {
		t.Errorf("Mul allocates %v times, want 0", got)
	}
}
