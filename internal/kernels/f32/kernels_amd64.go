//go:build !noasm

package f32

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh f32

// wide is whether the assembly runs here; tests change it.
var wide = cpufeat.Chosen() >= cpufeat.AVX2

// block is what one round of a kernel takes; the rest is left to the portable twin.
const block = 32

// whole returns the part of n elements that goes to the assembly.
func whole(n int) int {
	if !wide {
		return 0
	}
	return n / block * block
}

func axpy(alpha float32, x, y []float32) {
	n := whole(len(x))
	if n > 0 {
		axpyAVX2(n, alpha, &x[0], &y[0])
	}
	axpyGo(alpha, x[n:], y[n:])
}

func scale(alpha float32, x []float32) {
	n := whole(len(x))
	if n > 0 {
		scaleAVX2(n, alpha, &x[0])
	}
	scaleGo(alpha, x[n:])
}

func dot(x, y []float32) float32 {
	n := whole(len(x))
	rest := dotGo(x[n:], y[n:])
	if n == 0 {
		return rest
	}
	var s [8]float32
	dotAVX2(n, &x[0], &y[0], &s)
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])) + rest
}

func sumSquares(x []float32) float64 {
	n := whole(len(x))
	rest := sumSquaresGo(x[n:])
	if n == 0 {
		return rest
	}
	var s [4]float64
	sumSquaresAVX2(n, &x[0], &s)
	return (s[0] + s[1]) + (s[2] + s[3]) + rest
}
