//go:build !noasm

package f64

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

//go:generate sh ../_asm/generate.sh f64

func tile(a, b []float64, sums *[Rows * Cols]float64) { tileAt(cpufeat.Chosen(), a, b, sums) }

func tileAt(level cpufeat.Level, a, b []float64, sums *[Rows * Cols]float64) {
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		tile512(&a[0], &b[0], len(a)/Rows, &sums[0])
	case cpufeat.AVX2:
		tile256(&a[0], &b[0], len(a)/Rows, &sums[0])
	default:
		tileGo(a, b, sums)
	}
}

func axpy(f float64, x, y []float64) (done int) { return axpyAt(cpufeat.Chosen(), f, x, y) }

// axpyAt does the elements of whole vectors and returns their number.
func axpyAt(level cpufeat.Level, f float64, x, y []float64) (done int) {
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		if done = len(y) &^ 7; done > 0 {
			axpy512(f, unsafe.SliceData(x), unsafe.SliceData(y), done)
		}
	case cpufeat.AVX2:
		if done = len(y) &^ 3; done > 0 {
			axpy256(f, unsafe.SliceData(x), unsafe.SliceData(y), done)
		}
	}
	return done
}
