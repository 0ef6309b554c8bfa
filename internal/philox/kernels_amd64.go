//go:build !noasm

package philox

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../kernels/_asm/generate.sh philox

// level is the instruction set in use; tests change it.
var level = cpufeat.Chosen()

// blocks writes words from block ctr on to the front of dst and returns how many.
func blocks(key, ctr uint64, dst []uint32) int {
	n := whole(len(dst), ctr)
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
	n := whole(len(x), ctr)
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		dropAVX512(n, ctr, key, threshold, scale, &x[0], &y[0])
	default:
		dropAVX2(n, ctr, key, threshold, scale, &x[0], &y[0])
	}
	return n
}

// dropsKept is drops that writes the bits of kept elements.
func dropsKept(key, ctr uint64, threshold uint32, scale float32, x, y []float32, kept []uint16) int {
	n := whole(len(x), ctr)
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		dropKeptAVX512(n, ctr, key, threshold, scale, &x[0], &y[0], &kept[0])
	default:
		dropKeptAVX2(n, ctr, key, threshold, scale, &x[0], &y[0], &kept[0])
	}
	return n
}

// applies does the front of x by the bits of kept and returns how many elements.
func applies(kept []uint16, scale float32, x, y []float32) int {
	n := whole(len(x), 0)
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		applyAVX512(n, &kept[0], scale, &x[0], &y[0])
	default:
		applyAVX2(n, &kept[0], scale, &x[0], &y[0])
	}
	return n
}

// whole returns the part of n words from block ctr on that goes to the assembly, whose blocks
// agree in the high word of their counter.
func whole(n int, ctr uint64) int {
	if most := 4 * (1<<32 - ctr&(1<<32-1)); uint64(n) > most {
		n = int(most)
	}
	switch {
	case level >= cpufeat.AVX512:
		return n &^ 31
	case level >= cpufeat.AVX2:
		return n &^ 15
	}
	return 0
}
