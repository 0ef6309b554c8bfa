package npy

import (
	"math/bits"
	"unsafe"
)

// chunk is how many elements go through a buffer on the stack when the source is not
// aligned or has the other byte order.
const chunk = 512

// toFloats writes the elements of raw to dst as floating-point numbers, rounded where D
// cannot hold them.
func toFloats[D float32 | float64](dst []D, raw []byte, dt DType, big bool) {
	switch dt {
	case Bool:
		for i, b := range raw {
			dst[i] = 0
			if b != 0 {
				dst[i] = 1
			}
		}
	case Int8:
		floatsFrom[D, int8](dst, raw, big)
	case Int16:
		floatsFrom[D, int16](dst, raw, big)
	case Int32:
		floatsFrom[D, int32](dst, raw, big)
	case Int64:
		floatsFrom[D, int64](dst, raw, big)
	case Uint8:
		floatsFrom[D, uint8](dst, raw, big)
	case Uint16:
		floatsFrom[D, uint16](dst, raw, big)
	case Uint32:
		floatsFrom[D, uint32](dst, raw, big)
	case Uint64:
		floatsFrom[D, uint64](dst, raw, big)
	case Float16:
		floatsFromHalf(dst, raw, big)
	case Float32:
		floatsFrom[D, float32](dst, raw, big)
	case Float64:
		floatsFrom[D, float64](dst, raw, big)
	}
}

func floatsFrom[D float32 | float64, S number](dst []D, raw []byte, big bool) {
	if sameType[D, S]() {
		copy(bytesOf(dst), raw)
		if big {
			swap(dst)
		}
		return
	}
	if src, ok := viewOf[S](raw); ok && !big {
		dst = dst[:len(src)]
		for i, s := range src {
			dst[i] = D(s)
		}
		return
	}
	var buf [chunk]S
	for len(raw) > 0 {
		n := decode(buf[:], raw, big)
		for i, s := range buf[:n] {
			dst[i] = D(s)
		}
		dst, raw = dst[n:], raw[n*int(unsafe.Sizeof(buf[0])):]
	}
}

func floatsFromHalf[D float32 | float64](dst []D, raw []byte, big bool) {
	var buf [chunk]Half
	for len(raw) > 0 {
		n := decode(buf[:], raw, big)
		for i, s := range buf[:n] {
			dst[i] = D(s.Float32())
		}
		dst, raw = dst[n:], raw[2*n:]
	}
}

// decode fills buf from the front of raw in host order and returns how many elements it
// wrote.
func decode[S element](buf []S, raw []byte, big bool) int {
	size := int(unsafe.Sizeof(buf[0]))
	n := min(len(buf), len(raw)/size)
	copy(bytesOf(buf[:n]), raw)
	if big {
		swap(buf[:n])
	}
	return n
}

type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// toInts writes the elements of raw to dst as integers. It returns the index of the first
// element that D cannot hold exactly, or -1.
func toInts[D integer](dst []D, raw []byte, dt DType, big bool) int {
	switch dt {
	case Bool:
		for i, b := range raw {
			dst[i] = 0
			if b != 0 {
				dst[i] = 1
			}
		}
	case Int8:
		return intsFrom[D, int8](dst, raw, big)
	case Int16:
		return intsFrom[D, int16](dst, raw, big)
	case Int32:
		return intsFrom[D, int32](dst, raw, big)
	case Int64:
		return intsFrom[D, int64](dst, raw, big)
	case Uint8:
		return intsFrom[D, uint8](dst, raw, big)
	case Uint16:
		return intsFrom[D, uint16](dst, raw, big)
	case Uint32:
		return intsFrom[D, uint32](dst, raw, big)
	case Uint64:
		return intsFrom[D, uint64](dst, raw, big)
	case Float16:
		return intsFromFloats(dst, raw, dt, big)
	case Float32:
		return intsFromFloats(dst, raw, dt, big)
	case Float64:
		return intsFromFloats(dst, raw, dt, big)
	}
	return -1
}

func intsFrom[D, S integer](dst []D, raw []byte, big bool) int {
	if sameType[D, S]() {
		copy(bytesOf(dst), raw)
		if big {
			swap(dst)
		}
		return -1
	}
	if src, ok := viewOf[S](raw); ok && !big {
		return castInts(dst, src)
	}
	var buf [chunk]S
	for done := 0; len(raw) > 0; {
		n := decode(buf[:], raw, big)
		if bad := castInts(dst, buf[:n]); bad >= 0 {
			return done + bad
		}
		dst, raw, done = dst[n:], raw[n*int(unsafe.Sizeof(buf[0])):], done+n
	}
	return -1
}

func castInts[D, S integer](dst []D, src []S) int {
	dst = dst[:len(src)]
	for i, s := range src {
		d := D(s)
		// The second test catches values that survive the round trip with the other sign.
		if S(d) != s || (d < 0) != (s < 0) {
			return i
		}
		dst[i] = d
	}
	return -1
}

// intsFromFloats accepts whole numbers only. Every float16 and float32 is a float64, so
// one path serves all three.
func intsFromFloats[D integer](dst []D, raw []byte, dt DType, big bool) int {
	var buf [chunk]float64
	lo, hi := limits[D]()
	size := dt.Size()
	for done := 0; len(raw) > 0; {
		n := min(chunk, len(raw)/size)
		toFloats(buf[:n], raw[:n*size], dt, big)
		for i, s := range buf[:n] {
			// Converting a value out of range is not defined, so the range comes first.
			if !(s >= lo && s < hi) || float64(D(s)) != s {
				return done + i
			}
			dst[i] = D(s)
		}
		dst, raw, done = dst[n:], raw[n*size:], done+n
	}
	return -1
}

// limits returns the range lo ≤ x < hi of D. Both are powers of two, exact as float64.
func limits[D integer]() (lo, hi float64) {
	width := 8 * int(unsafe.Sizeof(*new(D)))
	if sign := ^D(0); sign < 0 {
		half := float64(uint64(1) << (width - 1))
		return -half, half
	}
	return 0, 2 * float64(uint64(1)<<(width-1))
}

func sameType[D, S number]() bool {
	_, same := any(*new(D)).(S)
	return same
}

// swap reverses the bytes of every element.
func swap[T element](s []T) {
	b := bytesOf(s) // aligned for T, so the views below always succeed
	switch unsafe.Sizeof(*new(T)) {
	case 2:
		v, _ := viewOf[uint16](b)
		for i, x := range v {
			v[i] = bits.ReverseBytes16(x)
		}
	case 4:
		v, _ := viewOf[uint32](b)
		for i, x := range v {
			v[i] = bits.ReverseBytes32(x)
		}
	case 8:
		v, _ := viewOf[uint64](b)
		for i, x := range v {
			v[i] = bits.ReverseBytes64(x)
		}
	}
}

// reorder returns the elements of src, stored with the first index fastest, with the last
// index fastest.
func reorder[T element](src []T, shape []int) []T {
	if len(src) == 0 || len(shape) < 2 {
		return src
	}
	// Two dimensions are the common case, so only they are walked in tiles.
	dst := make([]T, len(src))
	if len(shape) == 2 {
		transpose(dst, src, shape[0], shape[1])
		return dst
	}
	strides := make([]int, len(shape))
	index := make([]int, len(shape))
	stride := 1
	for i, d := range shape {
		strides[i] = stride
		stride *= d
	}
	at, last := 0, len(shape)-1
	for i := range dst {
		dst[i] = src[at]
		for k := last; k >= 0; k-- {
			index[k]++
			at += strides[k]
			if index[k] < shape[k] {
				break
			}
			at -= strides[k] * shape[k]
			index[k] = 0
		}
	}
	return dst
}

// transpose writes the column-major rows×cols matrix src to dst row-major, tile by tile:
// a plain double loop would miss the cache on every element.
func transpose[T element](dst, src []T, rows, cols int) {
	const tile = 32
	for i0 := 0; i0 < rows; i0 += tile {
		i1 := min(i0+tile, rows)
		for j0 := 0; j0 < cols; j0 += tile {
			j1 := min(j0+tile, cols)
			for j := j0; j < j1; j++ {
				for i, v := range src[j*rows+i0 : j*rows+i1] {
					dst[(i0+i)*cols+j] = v
				}
			}
		}
	}
}
