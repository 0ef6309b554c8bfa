package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"

	"github.com/saint-gnn/saint/internal/atomicfile"
)

// Write writes data, the elements of an array of the given shape in C order, as NumPy's
// save does, byte for byte. data is a slice of bool, int8…64, uint8…64, Half, float32 or
// float64 with as many elements as the shape has, or a string of ASCII characters, which
// becomes a byte-string scalar (shape nil). A nil shape with one element is a scalar.
func Write(w io.Writer, shape []int, data any) error {
	h, raw, err := encode(shape, data)
	if err != nil {
		return err
	}
	if err := WriteHeader(w, h); err != nil {
		return err
	}
	_, err = w.Write(raw)
	return err
}

// WriteFile writes the array to path with Write; the file is complete or absent.
func WriteFile(path string, shape []int, data any) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, shape, data) })
}

// Size returns the bytes that Write writes, or an error where Write would return one.
func Size(shape []int, data any) (int64, error) {
	h, raw, err := encode(shape, data)
	if err != nil {
		return 0, err
	}
	return int64(len(headerText(h)) + len(raw)), nil
}

// WriteHeader writes the header of an array whose elements the caller writes next:
// h.DataSize() bytes in the order that h says. Version and DataOffset are ignored; ItemSize
// matters for strings only.
func WriteHeader(w io.Writer, h Header) error {
	if h.DType == 0 || int(h.DType) >= len(dtypes) {
		return fmt.Errorf("npy: no element type %d", h.DType)
	}
	if len(h.Shape) > maxRank {
		return fmt.Errorf("npy: %d dimensions, want at most %d", len(h.Shape), maxRank)
	}
	_, err := w.Write(headerText(h))
	return err
}

// growth is the room that NumPy leaves for the growing extent, so that the header of a
// file to which rows are appended can be changed in place.
const growth = 21

func headerText(h Header) []byte {
	t := &dtypes[h.DType]
	order, width := byte('<'), t.size
	switch {
	case h.DType == Bytes:
		order, width = '|', h.ItemSize
	case h.DType == Unicode:
		width = h.ItemSize / t.size
	case t.size == 1:
		order = '|'
	}
	if h.BigEndian && order == '<' {
		order = '>'
	}
	fortran := "False"
	if h.Fortran {
		fortran = "True"
	}
	dict := fmt.Sprintf("{'descr': '%c%c%d', 'fortran_order': %s, 'shape': %s, }", order, t.kind, width, fortran, shapeString(h.Shape))
	if n := len(h.Shape); n > 0 {
		grows := h.Shape[0]
		if h.Fortran {
			grows = h.Shape[n-1]
		}
		dict += strings.Repeat(" ", max(0, growth-len(fmt.Sprint(grows))))
	}
	const prefix = len(magic) + 4
	pad := align - (prefix+len(dict)+1)%align
	text := make([]byte, 0, prefix+len(dict)+pad+1)
	text = append(text, magic...)
	text = append(text, 1, 0)
	text = binary.LittleEndian.AppendUint16(text, uint16(len(dict)+pad+1))
	text = append(text, dict...)
	text = append(text, strings.Repeat(" ", pad)...)
	return append(text, '\n')
}

// encode describes data and views it as bytes.
func encode(shape []int, data any) (h Header, raw []byte, err error) {
	switch d := data.(type) {
	case []bool:
		h.DType, raw = Bool, bytesOf(d)
	case []int8:
		h.DType, raw = Int8, bytesOf(d)
	case []int16:
		h.DType, raw = Int16, bytesOf(d)
	case []int32:
		h.DType, raw = Int32, bytesOf(d)
	case []int64:
		h.DType, raw = Int64, bytesOf(d)
	case []uint8:
		h.DType, raw = Uint8, d
	case []uint16:
		h.DType, raw = Uint16, bytesOf(d)
	case []uint32:
		h.DType, raw = Uint32, bytesOf(d)
	case []uint64:
		h.DType, raw = Uint64, bytesOf(d)
	case []Half:
		h.DType, raw = Float16, bytesOf(d)
	case []float32:
		h.DType, raw = Float32, bytesOf(d)
	case []float64:
		h.DType, raw = Float64, bytesOf(d)
	case string:
		return encodeString(shape, d)
	default:
		return h, nil, fmt.Errorf("npy: data of type %T is not supported", data)
	}
	h.ItemSize, h.Shape = h.DType.Size(), shape
	if len(shape) > maxRank {
		return h, nil, fmt.Errorf("npy: %d dimensions, want at most %d", len(shape), maxRank)
	}
	count := uint64(1)
	for _, n := range shape {
		hi, lo := bits.Mul64(count, uint64(n))
		if n < 0 || hi != 0 || lo > math.MaxInt {
			return h, nil, fmt.Errorf("npy: shape %s is not possible", shapeString(shape))
		}
		count = lo
	}
	if have := len(raw) / h.ItemSize; uint64(have) != count {
		return h, nil, fmt.Errorf("npy: %d elements for shape %s", have, shapeString(shape))
	}
	return h, raw, nil
}

func encodeString(shape []int, s string) (Header, []byte, error) {
	for i := range len(s) {
		if s[i] == 0 || s[i] > '~' {
			return Header{}, nil, fmt.Errorf("npy: %q is not an ASCII string", s)
		}
	}
	if len(shape) != 0 || s == "" {
		return Header{}, nil, fmt.Errorf("npy: a string of %d characters with shape %s, want at least one character and no shape", len(s), shapeString(shape))
	}
	return Header{DType: Bytes, ItemSize: len(s)}, []byte(s), nil
}
