package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unsafe"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

// DType is an element type by its name in the header.
type DType string

// Element types. F8_* have no accessor; their bytes can be read and written.
const (
	Bool   DType = "BOOL"
	U8     DType = "U8"
	I8     DType = "I8"
	F8E5M2 DType = "F8_E5M2"
	F8E4M3 DType = "F8_E4M3"
	I16    DType = "I16"
	U16    DType = "U16"
	F16    DType = "F16"
	BF16   DType = "BF16"
	I32    DType = "I32"
	U32    DType = "U32"
	F32    DType = "F32"
	I64    DType = "I64"
	U64    DType = "U64"
	F64    DType = "F64"
)

// Size returns the bytes of one element, 0 for a type this package does not know.
func (d DType) Size() int {
	switch d {
	case Bool, U8, I8, F8E5M2, F8E4M3:
		return 1
	case I16, U16, F16, BF16:
		return 2
	case I32, U32, F32:
		return 4
	case I64, U64, F64:
		return 8
	}
	return 0
}

// Tensor is a named array in row-major order. Data holds its elements little endian.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte

	path   string // file it was read from
	offset int64  // of Data in that file
}

// Float32 returns a tensor that shares memory with v.
func Float32(name string, shape []int, v []float32) Tensor { return share(name, F32, shape, v) }

// Float64 returns a tensor that shares memory with v.
func Float64(name string, shape []int, v []float64) Tensor { return share(name, F64, shape, v) }

// Half returns an F16 tensor that shares memory with v.
func Half(name string, shape []int, v []npy.Half) Tensor { return share(name, F16, shape, v) }

// Int32 returns a tensor that shares memory with v.
func Int32(name string, shape []int, v []int32) Tensor { return share(name, I32, shape, v) }

// Int64 returns a tensor that shares memory with v.
func Int64(name string, shape []int, v []int64) Tensor { return share(name, I64, shape, v) }

// Uint64 returns a tensor that shares memory with v.
func Uint64(name string, shape []int, v []uint64) Tensor { return share(name, U64, shape, v) }

// Uint8 returns a tensor that shares memory with v.
func Uint8(name string, shape []int, v []uint8) Tensor { return share(name, U8, shape, v) }

// Bools returns a BOOL tensor that shares memory with v.
func Bools(name string, shape []int, v []bool) Tensor { return share(name, Bool, shape, v) }

// share views v as bytes in host order; every supported platform is little endian.
func share[T element](name string, d DType, shape []int, v []T) Tensor {
	return Tensor{Name: name, DType: d, Shape: shape, Data: bytesOf(v)}
}

type element interface {
	bool | uint8 | npy.Half | int32 | int64 | uint64 | float32 | float64
}

func bytesOf[T element](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(v[0])))
}

// clone copies elements whose bytes are those of T.
func clone[T element](t *Tensor) []T {
	out := make([]T, len(t.Data)/int(unsafe.Sizeof(*new(T))))
	copy(bytesOf(out), t.Data)
	return out
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.Data) / max(1, t.DType.Size()) }

// Float32s returns a copy of the elements of an F32, F16, BF16 or F64 tensor as float32,
// rounded to the nearest.
func (t *Tensor) Float32s() ([]float32, error) {
	switch t.DType {
	case F32:
		return clone[float32](t), nil
	case F16:
		return load(t, func(b []byte) float32 { return npy.Half(binary.LittleEndian.Uint16(b)).Float32() }), nil
	case BF16: // the upper half of a float32
		return load(t, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }), nil
	case F64:
		return load(t, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }), nil
	}
	return nil, t.wrongType("F32, F16, BF16 or F64")
}

// Float64s returns a copy of the elements of an F64 or F32 tensor.
func (t *Tensor) Float64s() ([]float64, error) {
	switch t.DType {
	case F64:
		return clone[float64](t), nil
	case F32:
		return load(t, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }), nil
	}
	return nil, t.wrongType("F64 or F32")
}

// Int64s returns a copy of the elements of an I64 or I32 tensor.
func (t *Tensor) Int64s() ([]int64, error) {
	switch t.DType {
	case I64:
		return clone[int64](t), nil
	case I32:
		return load(t, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) }), nil
	}
	return nil, t.wrongType("I64 or I32")
}

// Int32s returns a copy of the elements of an I32 tensor.
func (t *Tensor) Int32s() ([]int32, error) {
	if t.DType != I32 {
		return nil, t.wrongType("I32")
	}
	return clone[int32](t), nil
}

// Uint64s returns a copy of the elements of a U64 tensor.
func (t *Tensor) Uint64s() ([]uint64, error) {
	if t.DType != U64 {
		return nil, t.wrongType("U64")
	}
	return clone[uint64](t), nil
}

// Uint8s returns a copy of the elements of a U8 or BOOL tensor.
func (t *Tensor) Uint8s() ([]uint8, error) {
	if t.DType != U8 && t.DType != Bool {
		return nil, t.wrongType("U8 or BOOL")
	}
	return clone[uint8](t), nil
}

// load converts element by element, whatever the alignment of the data is.
func load[T any](t *Tensor, decode func([]byte) T) []T {
	size := t.DType.Size()
	out := make([]T, len(t.Data)/size)
	for i := range out {
		out[i] = decode(t.Data[i*size:])
	}
	return out
}

func (t *Tensor) wrongType(want string) error {
	if t.path == "" {
		return fmt.Errorf("tensor %q is %s, want %s", t.Name, t.DType, want)
	}
	return &formats.InputError{Path: t.path, Offset: t.offset, Err: fmt.Errorf("tensor %q is %s, want %s", t.Name, t.DType, want)}
}

// dataSize returns the bytes that a shape needs; ok is false if they overflow or an extent
// is negative.
func dataSize(d DType, shape []int) (n int64, ok bool) {
	count := uint64(d.Size())
	for _, e := range shape {
		hi, lo := bits.Mul64(count, uint64(e))
		if e < 0 || hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		count = lo
	}
	return int64(count), true
}

func shapeString(shape []int) string {
	return "[" + strings.ReplaceAll(strings.Trim(fmt.Sprint(shape), "[]"), " ", ", ") + "]"
}
