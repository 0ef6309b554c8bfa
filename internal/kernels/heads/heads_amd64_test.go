//go:build !noasm

package heads

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= 1e-4) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], w)
		}
	}
}

// Kernels of every instruction set agree with plain Go and touch nothing beside their columns.
func TestKernels(t *testing.T) {
	defer func(l cpufeat.Level) { level = l }(level)
	for _, l := range []cpufeat.Level{cpufeat.AMX, cpufeat.AVX512, cpufeat.AVX2, cpufeat.Generic} {
		if l > cpufeat.Best() {
			continue
		}
		for _, heads := range []int{1, 2, 3, 8, 20} {
			for _, width := range []int{1, 3, 8, 16, 32, 50, 136} {
				t.Run(fmt.Sprintf("%v/%dx%d", l, heads, width), func(t *testing.T) {
					level = l
					checkKernels(t, heads, width)
				})
			}
		}
	}
}

func checkKernels(t *testing.T, heads, width int) {
	r := rand.New(rand.NewPCG(1, 2))
	n := heads * width
	x, a, y, s := random(r, n), random(r, n), random(r, n+1), random(r, heads)
	got, want := make([]float32, heads), make([]float32, heads)
	Dots(width, x, a, got)
	dotsGo(width, x, a, want)
	compare(t, "Dots", got, want)
	y2 := append([]float32(nil), y...)
	AddOuter(width, s, a, y[:n])
	addOuterGo(width, s, a, y2[:n])
	compare(t, "AddOuter", y, y2)
	Scale(width, s, a, y[:n])
	scaleGo(width, s, a, y2[:n])
	compare(t, "Scale", y, y2)

	const rows, ld = 9, 3
	p := Pair{
		Indptr: []int32{0, 0, 1, 8}, Col: []int32{8, 0, 3, 3, 7, 1, 8, 2}, Val: random(r, 8),
		X: random(r, (rows-1)*(n+ld)+n), LDX: n + ld, R: random(r, (rows-1)*(heads+1)+heads), LDR: heads + 1, Heads: heads, Width: width,
	}
	p.Prepare()
	for i := range 3 {
		sum, dot := random(r, n+1), random(r, n+1)
		sum[n], dot[n] = 77, 77
		p.Row(i, sum, dot)
		wantSum, wantDot := make([]float32, n), make([]float32, n)
		p.rowGo(i, block{0, n, 0}, wantSum, wantDot)
		compare(t, "sum", sum, append(wantSum, 77))
		compare(t, "dot", dot, append(wantDot, 77))
	}
	p.Forget()
	if p.X != nil || len(p.blocks) == 0 {
		t.Errorf("after Forget: operands %v, %d blocks, want none and some", p.X != nil, len(p.blocks))
	}
}
