package samplers

import (
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/rng"
)

func TestRowIndexFindsEveryRow(t *testing.T) {
	for name, degrees := range map[string][]int64{
		"one row":           {7},
		"empty at the ends": {0, 0, 3, 0, 0, 0, 1, 0},
		"one hub":           {1, 0, 100000, 0, 1, 2, 3},
		"hub first":         {5000, 1, 1, 1, 0, 0, 1},
		"uniform":           {4, 4, 4, 4, 4, 4, 4, 4, 4},
		"beyond 32 bits":    {3, 1 << 34, 0, 5, 1 << 33, 1},
		"few edges":         append(make([]int64, 5000), 1, 0, 2),
	} {
		indptr := []int64{0}
		for _, d := range degrees {
			indptr = append(indptr, indptr[len(indptr)-1]+d)
		}
		x := newRowIndex(indptr)
		check := func(e int64) {
			row := x.row(e)
			if e < indptr[row] || e >= indptr[row+1] {
				t.Errorf("%s: position %d found in row %d, which is %d to %d", name, e, row, indptr[row], indptr[row+1])
			}
		}
		for v, d := range degrees {
			if d > 0 {
				check(indptr[v])
				check(indptr[v] + d/2)
				check(indptr[v+1] - 1)
			}
		}
		r := rng.New(1, rng.Test, 0, 0)
		for range 1000 {
			check(r.Int64N(indptr[len(degrees)]))
		}
	}
}

func TestLogarithms(t *testing.T) {
	r := rng.New(1, rng.Test, 0, 0)
	xs := []float64{1, 0.5, math.Sqrt2 / 2, 1 - 0x1p-53, 0x1p-53, 0x1p-1000}
	for range 20000 {
		xs = append(xs, 1-r.Float64())
	}
	for _, x := range xs {
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("ln(%v) = %v, want %v", x, got, want)
		}
		if got, want := atanh(x/3), math.Atanh(x/3); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("atanh(%v) = %v, want %v", x/3, got, want)
		}
	}
}
