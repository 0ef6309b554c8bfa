//go:build !noasm

package philox

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../kernels/_asm/generate.sh philox

// level is the instruction set in use; tests change it.
var level = cpufeat.Chosen()

// blocks writes words from block ctr on to the front of dst and returns how many.
func blocks(key, ctr uint64, dst []uint32) int {
	n := whole(len(dst))
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		wordsAVX512(n, ctr, key, &dst[0])
	default:
		wordsAVX2(n, ctr, key, &dst[0])
	}
	return n
}

// drops does the front of x with the words from block ctr on and returns how many elements.
func drops(key, ctr uint64, threshold uint32, scale float32, x, y []float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		dropAVX512(n, ctr, key, threshold, scale, &x[0], &y[0])
	default:
		dropAVX2(n, ctr, key, threshold, scale, &x[0], &y[0])
	}
	return n
}

// whole returns the part of n words that goes to the assembly.
func whole(n int) int {
	switch {
	case level >= cpufeat.AVX512:
		return n &^ 31
	case level >= cpufeat.AVX2:
		return n &^ 15
	}
	return 0
}
