// Package half converts between single precision and the half precision of IEEE 754 (binary16: one
// bit of sign, 5 of exponent, 10 of fraction), in which feature matrices are stored to halve their
// memory. Widening is exact; rounding is to the nearest, of two equally near to the even one. The
// results are the same bits on every processor and in every build.
package half

import "math"

// Most is the least magnitude that rounds to infinity: half precision ends at 65504.
const Most = 65520

// Decode sets y to the values of x, which has as many, and on the way fetches next into the cache:
// the row that will be decoded after this one, of the same length, or x itself. y must not overlap
// x.
func Decode(x, next []uint16, y []float32) {
	x, next = x[:len(y)], next[:len(y)]
	if !decode(x, next, y) {
		decodeGo(x, y)
	}
}

// Encode rounds x to y, which has as many. Magnitudes from [Most] on become infinite. y must not
// overlap x.
func Encode(x []float32, y []uint16) {
	x = x[:len(y)]
	if !encode(x, y) {
		encodeGo(x, y)
	}
}

func decodeGo(x []uint16, y []float32) {
	for i, h := range x {
		y[i] = widen(h)
	}
}

func encodeGo(x []float32, y []uint16) {
	for i, f := range x {
		y[i] = round(f)
	}
}

// Bits of single precision.
const (
	infinity32 = 0x7f800000
	most32     = 0x477ff000 // 65520
	normal32   = 0x38800000 // 2^-14, the least normal number of half precision
	quiet32    = 0x00400000
)

// Bits of half precision.
const (
	infinity16 = 0x7c00
	quiet16    = 0x0200
)

// widen returns the value of h.
func widen(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	b := uint32(h&0x7fff) << 13
	switch {
	case h&0x7fff > infinity16: // NaN, which becomes a quiet one
		b |= infinity32 | quiet32
	case h&0x7fff == infinity16:
		b = infinity32
	default: // the exponents' biases are 112 apart, for subnormal numbers, too
		b = math.Float32bits(math.Float32frombits(b) * 0x1p112)
	}
	return math.Float32frombits(sign | b)
}

// round returns the half nearest to f.
func round(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &^= 1 << 31
	switch {
	case b > infinity32:
		return sign | infinity16 | quiet16 | uint16(b>>13)&0x3ff
	case b >= most32:
		return sign | infinity16
	case b < normal32: // 0.5 has the last place of subnormal halves, so the addition rounds
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	}
	return sign | uint16((b-112<<23+0xfff+b>>13&1)>>13)
}
