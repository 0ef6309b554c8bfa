//go:build !amd64 || noasm

package f64

func tile(a, b []float64, sums *[Rows * Cols]float64) { tileGo(a, b, sums) }

func axpy(float64, []float64, []float64) (done int) { return 0 }
