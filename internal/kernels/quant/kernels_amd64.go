//go:build !noasm

package quant

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh quant

// level is the instruction set in use; tests change it.
var level = cpufeat.Chosen()

// whole returns the part of n values that goes to the assembly.
func whole(n int) int {
	if level < cpufeat.AVX2 {
		return 0
	}
	return n &^ 31
}

func rangeASM(x []float32, lo, hi *float32) int {
	n := whole(len(x))
	if n == 0 {
		return 0
	}
	var out [2]float32
	if level >= cpufeat.AVX512 {
		rangeAVX512(n, &x[0], &out)
	} else {
		rangeAVX2(n, &x[0], &out)
	}
	*lo, *hi = out[0], out[1]
	return n
}

func stageASM(x, bias []float32, floor float32, y []float32, signs []byte, lo, hi *float32) int {
	n := whole(len(x))
	if n == 0 {
		return 0
	}
	var out [2]float32
	if level >= cpufeat.AVX512 {
		stageAVX512(n, &x[0], &bias[0], floor, &y[0], &signs[0], &out)
	} else {
		stageAVX2(n, &x[0], &bias[0], floor, &y[0], &signs[0], &out)
	}
	*lo, *hi = out[0], out[1]
	return n
}

func unstageASM(bias, above []float32, signs []byte, x []float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		unstageAVX512(n, &bias[0], &above[0], &signs[0], &x[0])
	default:
		unstageAVX2(n, &bias[0], &above[0], &signs[0], &x[0])
	}
	return n
}

func briefASM(x []float32, dst []byte) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		briefAVX512(n, &x[0], &dst[0])
	default:
		briefAVX2(n, &x[0], &dst[0])
	}
	return n
}

func widenASM(src []byte, x []float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case level >= cpufeat.AVX512:
		widenAVX512(n, &src[0], &x[0])
	default:
		widenAVX2(n, &src[0], &x[0])
	}
	return n
}

func pack(bits int, zero, inv []float32, key, word uint64, x []float32, soon Soon, dst []byte) {
	_ = dst[Bytes(bits, len(x))-1]
	// A call's counters agree in their high word; 16 values take a block.
	if most := 16 * (1<<32 - word/4&(1<<32-1)); uint64(len(x)) > most {
		pack(bits, zero, inv, key, word, x[:most], soon, dst)
		x, dst, word = x[most:], dst[int(most)*bits/8:], word+most/4
		if len(zero) > 1 {
			zero, inv = zero[most/Unit:], inv[most/Unit:]
		}
	}
	n, ctr, limit, from, to := len(x), word/4, uint32(1<<bits-1)*One, &x[0], &dst[0]
	step := 0
	if len(zero) > 1 {
		step = 4
		_, _ = zero[(n-1)/Unit], inv[(n-1)/Unit]
	}
	z, v := &zero[0], &inv[0]
	ahead, units, jump := soon.of(x)
	switch {
	case level >= cpufeat.AVX512:
		switch bits {
		case 1:
			pack1AVX512(n, ctr, key, z, v, step, limit, from, to, ahead, units, jump)
		case 2:
			pack2AVX512(n, ctr, key, z, v, step, limit, from, to, ahead, units, jump)
		case 4:
			pack4AVX512(n, ctr, key, z, v, step, limit, from, to, ahead, units, jump)
		case 8:
			pack8AVX512(n, ctr, key, z, v, step, limit, from, to, ahead, units, jump)
		}
	case level >= cpufeat.AVX2:
		switch bits {
		case 1:
			pack1AVX2(n, ctr, key, z, v, step, limit, from, to)
		case 2:
			pack2AVX2(n, ctr, key, z, v, step, limit, from, to)
		case 4:
			pack4AVX2(n, ctr, key, z, v, step, limit, from, to)
		case 8:
			pack8AVX2(n, ctr, key, z, v, step, limit, from, to)
		}
	default:
		packGo(bits, zero, inv, key, word, x, dst)
	}
}

func unpack(bits int, zero, step float32, src []byte, x []float32) {
	_ = src[Bytes(bits, len(x))-1]
	n, from, to := len(x), &src[0], &x[0]
	switch {
	case level >= cpufeat.AVX512:
		switch bits {
		case 1:
			unpack1AVX512(n, zero, step, from, to)
		case 2:
			unpack2AVX512(n, zero, step, from, to)
		case 4:
			unpack4AVX512(n, zero, step, from, to)
		case 8:
			unpack8AVX512(n, zero, step, from, to)
		}
	case level >= cpufeat.AVX2:
		switch bits {
		case 1:
			unpack1AVX2(n, zero, step, from, to)
		case 2:
			unpack2AVX2(n, zero, step, from, to)
		case 4:
			unpack4AVX2(n, zero, step, from, to)
		case 8:
			unpack8AVX2(n, zero, step, from, to)
		}
	default:
		unpackGo(bits, zero, step, src, x)
	}
}
