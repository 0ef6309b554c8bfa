package f64

import (
	"math"
	"math/rand/v2"
	"testing"
)

func normal(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// tiles and axpys are the kernels of this processor by name.
var (
	tiles = map[string]func(a, b []float64, sums *[Rows * Cols]float64){"go": tileGo}
	axpys = map[string]func(f float64, x, y []float64){"go": axpyGo}
)

// All kernels give the bits of the definition.
func TestTile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{0, 1, 2, 7, 256} {
		a, b := normal(r, k*Rows), normal(r, k*Cols)
		var want [Rows * Cols]float64
		for p := range k {
			for i := range Rows {
				for j := range Cols {
					product := a[p*Rows+i] * b[p*Cols+j]
					want[i*Cols+j] += product
				}
			}
		}
		got := [Rows * Cols]float64{math.NaN()}
		Tile(a, b, &got)
		if got != want {
			t.Errorf("Tile of %d products = %v, want %v", k, got, want)
		}
		for name, tile := range tiles {
			got := [Rows * Cols]float64{math.NaN()}
			if k == 0 && name != "go" {
				continue
			}
			if tile(a, b, &got); got != want {
				t.Errorf("%s tile of %d products = %v, want %v", name, k, got, want)
			}
		}
	}
}

func TestAxpy(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	axpys["chosen"] = Axpy
	for _, n := range []int{0, 1, 3, 4, 7, 8, 9, 31, 64, 70} {
		x, y := normal(r, n), normal(r, n)
		for name, axpy := range axpys {
			got := append([]float64(nil), y...)
			axpy(0.3, x, got)
			for i, v := range got {
				product := 0.3 * x[i]
				if want := y[i] + product; v != want {
					t.Errorf("%s: element %d of %d = %v, want %v", name, i, n, v, want)
				}
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	a, b := make([]float64, 8*Rows), make([]float64, 8*Cols)
	var sums [Rows * Cols]float64
	if n := testing.AllocsPerRun(10, func() { Tile(a, b, &sums); Axpy(1, a, b[:len(a)]) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkTile(b *testing.B) {
	x, y := make([]float64, 256*Rows), make([]float64, 256*Cols)
	for name, tile := range tiles {
		b.Run(name, func(b *testing.B) {
			var sums [Rows * Cols]float64
			for b.Loop() {
				tile(x, y, &sums)
			}
			b.ReportMetric(2*256*Rows*Cols*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
	}
}
