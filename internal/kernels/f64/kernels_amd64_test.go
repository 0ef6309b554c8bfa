//go:build !noasm

package f64

import "github.com/saint-gnn/saint/internal/cpufeat"

func init() {
	for level := cpufeat.AVX2; level <= cpufeat.Best(); level++ {
		tiles[level.String()] = func(a, b []float64, sums *[Rows * Cols]float64) { tileAt(level, a, b, sums) }
		axpys[level.String()] = func(f float64, x, y []float64) {
			n := axpyAt(level, f, x, y)
			axpyGo(f, x[n:], y[n:])
		}
	}
}
