//go:build !noasm

package quant

import "github.com/saint-gnn/saint/internal/cpufeat"

// describeASM, packGroupsASM and unpackGroupsASM return how many groups they did, from the first on.
func describeASM(bits int, x []float32, stats []int32, zero, inv []float32) int {
	const together = 8
	n := len(stats) / together * together
	switch {
	case n == 0 || level < cpufeat.AVX2:
		return 0
	case level >= cpufeat.AVX512:
		describeAVX512(n*Few, Levels(bits), &x[0], &stats[0], &zero[0], &inv[0])
	default:
		describeAVX2(n*Few, Levels(bits), &x[0], &stats[0], &zero[0], &inv[0])
	}
	return n
}

func packGroupsASM(bits int, zero, inv []float32, key, word uint64, x []float32, soon Soon, dst []byte) int {
	n := len(zero) / 2 * 2
	ctr := word / 4
	// A call's counters agree in their high word.
	if n == 0 || level < cpufeat.AVX2 || ctr>>32 != (ctr+uint64(n)*Words(Few)/4-1)>>32 {
		return 0
	}
	limit := uint32(1<<bits-1) * One
	z, v, from, to := &zero[0], &inv[0], &x[0], &dst[0]
	ahead, units, jump := soon.of(x)
	if level >= cpufeat.AVX512 {
		switch bits {
		case 1:
			packGroups1AVX512(n*Few, ctr, key, z, v, 4, limit, from, to)
		case 2:
			packGroups2AVX512(n*Few, ctr, key, z, v, 4, limit, from, to, ahead, units, jump)
		case 4:
			packGroups4AVX512(n*Few, ctr, key, z, v, 4, limit, from, to, ahead, units, jump)
		case 8:
			packGroups8AVX512(n*Few, ctr, key, z, v, 4, limit, from, to, ahead, units, jump)
		}
		return n
	}
	switch bits {
	case 1:
		packGroups1AVX2(n*Few, ctr, key, z, v, 4, limit, from, to)
	case 2:
		packGroups2AVX2(n*Few, ctr, key, z, v, 4, limit, from, to)
	case 4:
		packGroups4AVX2(n*Few, ctr, key, z, v, 4, limit, from, to)
	case 8:
		packGroups8AVX2(n*Few, ctr, key, z, v, 4, limit, from, to)
	}
	return n
}

func unpackGroupsASM(bits int, stats []int32, src []byte, x []float32) int {
	n := len(stats)
	if n == 0 || level < cpufeat.AVX2 {
		return 0
	}
	s, from, to := &stats[0], &src[0], &x[0]
	if level >= cpufeat.AVX512 {
		switch bits {
		case 1:
			unpackGroups1AVX512(n*Few, s, from, to)
		case 2:
			unpackGroups2AVX512(n*Few, s, from, to)
		case 4:
			unpackGroups4AVX512(n*Few, s, from, to)
		case 8:
			unpackGroups8AVX512(n*Few, s, from, to)
		}
		return n
	}
	switch bits {
	case 1:
		unpackGroups1AVX2(n*Few, s, from, to)
	case 2:
		unpackGroups2AVX2(n*Few, s, from, to)
	case 4:
		unpackGroups4AVX2(n*Few, s, from, to)
	case 8:
		unpackGroups8AVX2(n*Few, s, from, to)
	}
	return n
}
