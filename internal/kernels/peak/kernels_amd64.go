//go:build !noasm

package peak

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh peak

// kernel returns a function that runs n rounds, and the operations of a round.
func kernel(level cpufeat.Level) (flops int, run func(n int)) {
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		return 2 * 16 * 24, fma512
	case cpufeat.AVX2:
		return 2 * 8 * 12, fma256
	default:
		return flopsGo, fmaGo
	}
}

// tiles returns what kernel does for products on tiles; nothing if the level has none.
func tiles(level cpufeat.Level) (flops int, run func(n int)) {
	if level < cpufeat.AMX {
		return 0, nil
	}
	return 4 * 2 * 16 * 16 * 32, dotAMX
}
