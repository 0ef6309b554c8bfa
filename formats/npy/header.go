package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/formats"
)

const (
	magic = "\x93NUMPY"
	// maxHeader bounds the text of a header. Version 1 cannot exceed it; real headers have
	// about a hundred bytes.
	maxHeader = 1<<16 - 1
	// maxRank is NumPy's limit.
	maxRank = 64
	// align is where NumPy starts the data, so that mapped arrays suit every SIMD load.
	align = 64
)

// Header describes an array.
type Header struct {
	DType      DType
	ItemSize   int  // bytes of one element; more than DType.Size() for strings
	BigEndian  bool // byte order of elements wider than a byte
	Fortran    bool // the first index varies fastest
	Shape      []int
	Version    int // major version of the format: 1, 2 or 3
	DataOffset int // bytes before the first element
}

// Len returns the number of elements. Parsed headers cannot overflow it.
func (h *Header) Len() int {
	n := 1
	for _, d := range h.Shape {
		n *= d
	}
	return n
}

// DataSize returns the bytes of all elements.
func (h *Header) DataSize() int64 { return int64(h.Len()) * int64(h.ItemSize) }

// String returns type and shape, such as float32 (3, 4).
func (h *Header) String() string { return h.DType.String() + " " + shapeString(h.Shape) }

// Source says where bytes come from, for error messages and for checks of lengths.
type Source struct {
	Path   string
	Member string // name inside an archive; empty for a plain file
	Size   int64  // bytes of file or member; negative: unknown
}

func (s *Source) errorf(off int64, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if s.Member == "" {
		return &formats.InputError{Path: s.Path, Offset: off, Err: err}
	}
	// The byte is one of the unpacked member, not of the file.
	if off >= 0 {
		err = fmt.Errorf("array %s: byte %d: %w", s.Member, off, err)
	} else {
		err = fmt.Errorf("array %s: %w", s.Member, err)
	}
	return &formats.InputError{Path: s.Path, Offset: -1, Err: err}
}

// readErr turns a failed read at byte off into an error that says what it means.
func (s *Source) readErr(off int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s.errorf(off, "the file ends here; it is truncated or was not written completely")
	}
	return s.errorf(off, "%w", err)
}

// ReadHeader reads the header of a .npy stream and leaves r at the first element. Errors
// about the content are *formats.InputError with the path "npy".
func ReadHeader(r io.Reader) (Header, error) {
	return readHeader(r, &Source{Path: "npy", Size: -1})
}

// ReadSourceHeader is ReadHeader for a stream of src.Size bytes: lengths are checked
// against that, and errors name src.
func ReadSourceHeader(r io.Reader, src Source) (Header, error) { return readHeader(r, &src) }

func readHeader(r io.Reader, src *Source) (Header, error) {
	var pre [12]byte
	if n, err := io.ReadFull(r, pre[:8]); err != nil {
		return Header{}, src.readErr(int64(n), err)
	}
	if string(pre[:6]) != magic {
		return Header{}, src.errorf(0, "not a NumPy array file: it starts with %q, want %q", pre[:6], magic)
	}
	version, minor := int(pre[6]), int(pre[7])
	if version < 1 || version > 3 || minor != 0 {
		return Header{}, src.errorf(6, "version %d.%d of the npy format, want 1.0, 2.0 or 3.0", version, minor)
	}
	lenSize := 4
	if version == 1 {
		lenSize = 2
	}
	if n, err := io.ReadFull(r, pre[8:8+lenSize]); err != nil {
		return Header{}, src.readErr(int64(8+n), err)
	}
	start := int64(8 + lenSize)
	length := int64(binary.LittleEndian.Uint32(pre[8:]))
	switch {
	case length > maxHeader:
		return Header{}, src.errorf(8, "header length %d, want at most %d", length, maxHeader)
	case src.Size >= 0 && length > src.Size-start:
		return Header{}, src.errorf(8, "header length %d exceeds the %d bytes left in the file", length, src.Size-start)
	}
	text := make([]byte, length)
	if n, err := io.ReadFull(r, text); err != nil {
		return Header{}, src.readErr(start+int64(n), err)
	}
	p := dictParser{text: text}
	h, err := p.parse()
	if err != nil {
		return Header{}, src.errorf(start+int64(p.at), "header: %w", err)
	}
	h.Version = version
	h.DataOffset = int(start + length)
	return h, checkSize(&h, src, start+int64(p.shapeAt))
}

// checkSize compares the bytes that the header promises with those there are.
func checkSize(h *Header, src *Source, at int64) error {
	count := uint64(1)
	overflow := false
	for _, d := range h.Shape {
		// Zeros are skipped: code that multiplies only some of the extents must not overflow
		// either.
		if d > 0 {
			hi, lo := bits.Mul64(count, uint64(d))
			overflow = overflow || hi != 0 || lo > math.MaxInt
			count = lo
		}
	}
	hi, need := bits.Mul64(count, uint64(h.ItemSize))
	if overflow || hi != 0 || need > math.MaxInt {
		return src.errorf(at, "shape %s of %s is too large for this machine", shapeString(h.Shape), h.DType)
	}
	if src.Size < 0 {
		return nil
	}
	have := src.Size - int64(h.DataOffset)
	switch want := h.DataSize(); {
	case have < want:
		return src.errorf(src.Size, "the file ends here, but %s needs %d more bytes; it is truncated or its header is wrong", h, want-have)
	case have > want:
		return src.errorf(int64(h.DataOffset)+want, "%d bytes follow the %s array that the header promises", have-want, h)
	}
	return nil
}

func shapeString(shape []int) string {
	if len(shape) == 1 {
		return "(" + strconv.Itoa(shape[0]) + ",)"
	}
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.Itoa(d)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
