package npy

import (
	"fmt"
	"io"
)

// Reader hands out the elements of one array piece by piece in the order of the file, so
// that an array larger than memory can be read from a stream. It is not safe for
// concurrent use.
type Reader struct {
	r      io.Reader
	src    Source
	header Header
	read   int // elements so far
	buf    []byte
}

// readerBytes is the size of the pieces that a Reader takes from its stream.
const readerBytes = 1 << 16

// NewReader reads the header from r, which holds src.Size bytes (negative: unknown). The
// elements must be numbers.
func NewReader(r io.Reader, src Source) (*Reader, error) {
	h, err := readHeader(r, &src)
	if err != nil {
		return nil, err
	}
	if !h.DType.Numeric() {
		return nil, badType(&src, &h)
	}
	return &Reader{r: r, src: src, header: h, buf: make([]byte, readerBytes)}, nil
}

// Header describes the array. Its Shape belongs to the reader.
func (r *Reader) Header() Header { return r.header }

// Left returns the number of elements that were not read or skipped yet.
func (r *Reader) Left() int { return r.header.Len() - r.read }

// Float32s fills dst with the next elements, rounded to the nearest float32. There must be
// as many left.
func (r *Reader) Float32s(dst []float32) error {
	return r.pieces(len(dst), func(lo, hi int, raw []byte) int {
		toFloats(dst[lo:hi], raw, r.header.DType, r.header.BigEndian)
		return -1
	})
}

// Int32s fills dst with the next elements. There must be as many left. An element that is
// not a whole number in range is an error that names its position.
func (r *Reader) Int32s(dst []int32) error {
	return r.pieces(len(dst), func(lo, hi int, raw []byte) int {
		return toInts(dst[lo:hi], raw, r.header.DType, r.header.BigEndian)
	})
}

// Skip passes over n elements. There must be as many left.
func (r *Reader) Skip(n int) error {
	return r.pieces(n, func(int, int, []byte) int { return -1 })
}

// pieces reads n elements and calls convert for each piece of them; what it returns is the
// position of a bad element in the piece, or negative.
func (r *Reader) pieces(n int, convert func(lo, hi int, raw []byte) int) error {
	if n > r.Left() {
		return fmt.Errorf("npy: %d elements wanted of %d left", n, r.Left())
	}
	size := r.header.ItemSize
	for lo := 0; lo < n; {
		hi := min(n, lo+len(r.buf)/size)
		raw := r.buf[:(hi-lo)*size]
		at := int64(r.header.DataOffset) + int64(r.read)*int64(size)
		if got, err := io.ReadFull(r.r, raw); err != nil {
			return r.src.readErr(at+int64(got), err)
		}
		if bad := convert(lo, hi, raw); bad >= 0 {
			a := Array{header: r.header, data: raw}
			return r.src.errorf(at+int64(bad*size), "element %d is %v, want a whole number of 32 bits", r.read+bad, a.value(bad*size))
		}
		r.read += hi - lo
		lo = hi
	}
	return nil
}
