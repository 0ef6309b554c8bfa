package quant

import (
	"encoding/binary"
	"math"
)

// Brief writes the bfloat16 nearest to each x to dst, of two equally near the even one: two bytes a
// value, the low one first. x has no NaN.
func Brief(x []float32, dst []byte) {
	dst = dst[:2*len(x)]
	for i := briefASM(x, dst); i < len(x); i++ {
		b := math.Float32bits(x[i])
		binary.LittleEndian.PutUint16(dst[2*i:], uint16((b+0x7fff+b>>16&1)>>16))
	}
}

// Widen sets x to the values that Brief wrote.
func Widen(src []byte, x []float32) {
	src = src[:2*len(x)]
	for i := widenASM(src, x); i < len(x); i++ {
		x[i] = wide(uint32(binary.LittleEndian.Uint16(src[2*i:])))
	}
}
