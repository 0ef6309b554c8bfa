package npy

import (
	"fmt"
	"math"
	"unsafe"
)

// DType is an element type.
type DType uint8

// Element types. Bytes and Unicode are fixed-width strings (NumPy's S and U).
const (
	Bool DType = iota + 1
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Float16
	Float32
	Float64
	Bytes
	Unicode
)

var dtypes = [...]struct {
	name string
	kind byte // NumPy's kind letter
	size int  // bytes of an element; of a character for the strings
}{
	Bool: {"bool", 'b', 1}, Int8: {"int8", 'i', 1}, Int16: {"int16", 'i', 2}, Int32: {"int32", 'i', 4}, Int64: {"int64", 'i', 8},
	Uint8: {"uint8", 'u', 1}, Uint16: {"uint16", 'u', 2}, Uint32: {"uint32", 'u', 4}, Uint64: {"uint64", 'u', 8},
	Float16: {"float16", 'f', 2}, Float32: {"float32", 'f', 4}, Float64: {"float64", 'f', 8},
	Bytes: {"bytes", 'S', 1}, Unicode: {"str", 'U', 4},
}

// String returns NumPy's name of the type.
func (d DType) String() string {
	if d == 0 || int(d) >= len(dtypes) {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// Size returns the bytes of one element (of one character for Bytes and Unicode).
func (d DType) Size() int { return dtypes[d].size }

// Numeric reports whether elements convert to numbers; booleans do, strings do not.
func (d DType) Numeric() bool { return d >= Bool && d <= Float64 }

// Half is an IEEE 754 half-precision number as its bits.
type Half uint16

// Float32 returns the exact value of h.
func (h Half) Float32() float32 {
	sign := uint32(h&0x8000) << 16
	rest := uint32(h&0x7fff) << 13
	if h&0x7c00 == 0x7c00 { // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | rest)
	}
	// With exponent and fraction in float32's places the value is 2^(127-15) too small;
	// the product is exact and turns half-precision subnormals into normal numbers.
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(rest)*0x1p112))
}

// element is every Go type whose slices map to a NumPy type.
type element interface {
	bool | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | Half | float32 | float64
}

// number is what elements convert from and to.
type number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// bytesOf views s as bytes in host order; every supported platform is little endian.
func bytesOf[T element](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

// viewOf views raw, little-endian bytes, as elements; ok is false if they are not aligned.
func viewOf[T element](raw []byte) (s []T, ok bool) {
	var zero T
	size := unsafe.Sizeof(zero)
	if len(raw) == 0 {
		return nil, true
	}
	p := unsafe.Pointer(unsafe.SliceData(raw))
	if uintptr(p)%size != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(p), len(raw)/int(size)), true
}
