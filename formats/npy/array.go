package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Array is a whole array in memory. The accessors convert its elements and return them in
// C order, whatever order the file has. Where the elements already have the wanted type,
// byte order and order, the returned slice is the array's own memory: whoever calls an
// accessor once and drops the array owns the slice, everybody else must not write to it.
type Array struct {
	header Header
	src    Source
	data   []byte
}

// Read reads one array from r, which holds src.Size bytes; src.Path and src.Member appear
// in errors. With a known size, nothing is allocated before the header's shape was found
// to need exactly the bytes there are; with a negative one, memory grows with what r
// delivers. It does not read beyond the array.
func Read(r io.Reader, src Source) (*Array, error) {
	h, err := readHeader(r, &src)
	if err != nil {
		return nil, err
	}
	a := &Array{header: h, src: src}
	need := h.DataSize()
	if src.Size < 0 {
		a.data, err = io.ReadAll(io.LimitReader(r, need))
		if err == nil && int64(len(a.data)) < need {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, src.readErr(int64(h.DataOffset+len(a.data)), err)
		}
		return a, nil
	}
	a.data = make([]byte, need)
	if n, err := io.ReadFull(r, a.data); err != nil {
		return nil, src.readErr(int64(h.DataOffset+n), err)
	}
	return a, nil
}

// Header describes the array. Its Shape belongs to the array.
func (a *Array) Header() Header { return a.header }

// Shape returns the extents; it has no entries for a scalar. It belongs to the array.
func (a *Array) Shape() []int { return a.header.Shape }

// Len returns the number of elements.
func (a *Array) Len() int { return a.header.Len() }

// Int64s returns the elements as int64. An element that is not a whole number in range is
// an error that names it.
func (a *Array) Int64s() ([]int64, error) { return ints[int64](a, Int64) }

// Int32s returns the elements as int32. An element that is not a whole number in range is
// an error that names it.
func (a *Array) Int32s() ([]int32, error) { return ints[int32](a, Int32) }

// Uint8s returns the elements as uint8. An element that is not a whole number in range is
// an error that names it.
func (a *Array) Uint8s() ([]uint8, error) { return ints[uint8](a, Uint8) }

// Bools returns the elements as booleans; numbers other than 0 and 1 are an error.
func (a *Array) Bools() ([]bool, error) {
	v, err := a.Uint8s()
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(v))
	for i, x := range v {
		if x > 1 {
			return nil, a.src.errorf(-1, "element %d is %d, want 0 or 1", i, x)
		}
		out[i] = x == 1
	}
	return out, nil
}

// Float32s returns the elements as float32, rounded to the nearest.
func (a *Array) Float32s() ([]float32, error) { return floats[float32](a, Float32) }

// Float64s returns the elements as float64.
func (a *Array) Float64s() ([]float64, error) { return floats[float64](a, Float64) }

func ints[D integer](a *Array, own DType) ([]D, error) {
	if v, ok := plain[D](a, own); ok {
		return v, nil
	}
	h := &a.header
	if !h.DType.Numeric() {
		return nil, badType(&a.src, h)
	}
	dst := make([]D, a.Len())
	if bad := toInts(dst, a.data, h.DType, h.BigEndian); bad >= 0 {
		at := bad * h.ItemSize
		return nil, a.src.errorf(int64(h.DataOffset+at), "element %d is %v, want %s", bad, a.value(at), own)
	}
	if h.Fortran {
		dst = reorder(dst, h.Shape)
	}
	return dst, nil
}

func floats[D float32 | float64](a *Array, own DType) ([]D, error) {
	if v, ok := plain[D](a, own); ok {
		return v, nil
	}
	h := &a.header
	if !h.DType.Numeric() {
		return nil, badType(&a.src, h)
	}
	dst := make([]D, a.Len())
	toFloats(dst, a.data, h.DType, h.BigEndian)
	if h.Fortran {
		dst = reorder(dst, h.Shape)
	}
	return dst, nil
}

// plain returns the array's own memory if its elements are what the caller wants.
func plain[T element](a *Array, own DType) ([]T, bool) {
	h := &a.header
	if h.DType != own || h.BigEndian || h.Fortran && len(h.Shape) > 1 {
		return nil, false
	}
	return viewOf[T](a.data)
}

// value returns the number at byte at of the data, for messages.
func (a *Array) value(at int) any {
	h := &a.header
	raw := a.data[at : at+h.ItemSize]
	switch h.DType {
	case Float16, Float32, Float64:
		var f [1]float64
		toFloats(f[:], raw, h.DType, h.BigEndian)
		return f[0]
	case Uint64:
		var u [1]uint64
		toInts(u[:], raw, h.DType, h.BigEndian)
		return u[0]
	default:
		var i [1]int64
		toInts(i[:], raw, h.DType, h.BigEndian)
		return i[0]
	}
}

// Strings returns the elements of a byte-string or unicode array without the zero
// characters that pad them, in the order of the file.
func (a *Array) Strings() ([]string, error) {
	h := &a.header
	if h.DType != Bytes && h.DType != Unicode {
		return nil, a.src.errorf(-1, "the array is %s, want strings", h)
	}
	if h.ItemSize == 0 && a.Len() > 0 {
		return nil, a.src.errorf(-1, "the array is %s with elements of no bytes", h)
	}
	out := make([]string, a.Len())
	for i := range out {
		raw := a.data[i*h.ItemSize : (i+1)*h.ItemSize]
		s, err := text(raw, h)
		if err != nil {
			return nil, a.src.errorf(int64(h.DataOffset+i*h.ItemSize), "element %d: %w", i, err)
		}
		out[i] = s
	}
	return out, nil
}

func text(raw []byte, h *Header) (string, error) {
	if h.DType == Bytes {
		return strings.TrimRight(string(raw), "\x00"), nil
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if h.BigEndian {
		order = binary.BigEndian
	}
	var b strings.Builder
	for ; len(raw) > 0; raw = raw[4:] {
		r := order.Uint32(raw)
		if r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
			return "", fmt.Errorf("%#x is not a unicode character", r)
		}
		b.WriteRune(rune(r))
	}
	return strings.TrimRight(b.String(), "\x00"), nil
}
