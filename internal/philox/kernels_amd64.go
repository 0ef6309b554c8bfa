//go:build !noasm

package philox

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../kernels/_asm/generate.sh philox

// wide is whether the assembly runs here.
var wide = cpufeat.Chosen() >= cpufeat.AVX2

// blocks writes words from block ctr on to the front of dst and returns how many.
func blocks(key, ctr uint64, dst []uint32) int {
	n := len(dst) / 16 * 16
	if !wide || n == 0 {
		return 0
	}
	wordsAVX2(n, ctr, key, &dst[0])
	return n
}
