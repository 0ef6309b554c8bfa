//go:build !noasm

package half

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

//go:generate sh ../_asm/generate.sh half

// converts is whether the processor has the conversions of 256 bits; those of 512 are part of
// AVX-512.
var converts = f16c() != 0

func decode(x, next []uint16, y []float32) bool { return decodeAt(cpufeat.Chosen(), x, next, y) }
func encode(x []float32, y []uint16) bool       { return encodeAt(cpufeat.Chosen(), x, y) }

// lanes returns how many numbers a vector of a level has, 0 if there is no kernel for it.
func lanes(level cpufeat.Level) int {
	switch {
	case level >= cpufeat.AVX512:
		return 16
	case level == cpufeat.AVX2 && converts:
		return 8
	}
	return 0
}

// decodeAt reports whether it could. What whole vectors leave over is done by a last one that
// overlaps them.
func decodeAt(level cpufeat.Level, x, next []uint16, y []float32) bool {
	per := lanes(level)
	if per == 0 || len(y) < per {
		return false
	}
	kernel := decode512
	if per == 8 {
		kernel = decode256
	}
	whole := len(y) / per * per
	kernel(whole, unsafe.SliceData(x), unsafe.SliceData(next), unsafe.SliceData(y))
	if last := len(y) - per; last > whole-per {
		kernel(per, &x[last], &next[last], &y[last])
	}
	return true
}

// encodeAt is like decodeAt.
func encodeAt(level cpufeat.Level, x []float32, y []uint16) bool {
	per := lanes(level)
	if per == 0 || len(y) < per {
		return false
	}
	kernel := encode512
	if per == 8 {
		kernel = encode256
	}
	whole := len(y) / per * per
	kernel(whole, unsafe.SliceData(x), unsafe.SliceData(y))
	if last := len(y) - per; last > whole-per {
		kernel(per, &x[last], &y[last])
	}
	return true
}
