package main

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

// array is an array in requests and answers.
type array struct {
	Name  string `json:"name,omitempty"`
	DType string `json:"dtype"` // NumPy's name
	Shape []int  `json:"shape"`
	Data  []byte `json:"data"` // elements in C order, little endian
}

// pack makes an array of a slice of fixed-size elements. No elements are an empty text, not null.
func pack[T any](dtype string, shape []int, v []T) (*array, error) {
	data, err := binary.Append([]byte{}, binary.LittleEndian, v)
	if shape == nil {
		shape = []int{}
	}
	return &array{DType: dtype, Shape: shape, Data: data}, err
}

// packs makes an array of what an accessor returned.
func packs[T any](dtype string, shape []int, v []T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return pack(dtype, shape, v)
}

func unpack[T any](data []byte) []T {
	v := make([]T, len(data)/binary.Size(*new(T)))
	if _, err := binary.Decode(data, binary.LittleEndian, v); err != nil {
		panic(err) // the length was made to fit
	}
	return v
}

// slice returns the elements as the slice that the writers want.
func (a *array) slice() (any, error) {
	switch a.DType {
	case "bool":
		return unpack[bool](a.Data), nil
	case "int8":
		return unpack[int8](a.Data), nil
	case "int16":
		return unpack[int16](a.Data), nil
	case "int32":
		return unpack[int32](a.Data), nil
	case "int64":
		return unpack[int64](a.Data), nil
	case "uint8":
		return unpack[uint8](a.Data), nil
	case "uint16":
		return unpack[uint16](a.Data), nil
	case "uint32":
		return unpack[uint32](a.Data), nil
	case "uint64":
		return unpack[uint64](a.Data), nil
	case "float16":
		return unpack[npy.Half](a.Data), nil
	case "float32":
		return unpack[float32](a.Data), nil
	case "float64":
		return unpack[float64](a.Data), nil
	case "bytes":
		return string(a.Data), nil
	}
	return nil, fmt.Errorf("no element type %q", a.DType)
}

type fileArgs struct {
	Path string `json:"path"`
	Name string `json:"name"` // of an array in an archive
	As   string `json:"as"`   // Go's type of the elements
}

// elements returns the elements of an array through the accessor of a type.
func elements(a *npy.Array, as string) (any, error) {
	shape := a.Shape()
	switch as {
	case "bool":
		v, err := a.Bools()
		return packs(as, shape, v, err)
	case "uint8":
		v, err := a.Uint8s()
		return packs(as, shape, v, err)
	case "int32":
		v, err := a.Int32s()
		return packs(as, shape, v, err)
	case "int64":
		v, err := a.Int64s()
		return packs(as, shape, v, err)
	case "float32":
		v, err := a.Float32s()
		return packs(as, shape, v, err)
	case "float64":
		v, err := a.Float64s()
		return packs(as, shape, v, err)
	case "text":
		return a.Strings()
	case "header":
		h := a.Header()
		return map[string]any{
			"dtype": h.DType.String(), "shape": append([]int{}, h.Shape...), "fortran": h.Fortran, "big": h.BigEndian, "version": h.Version,
		}, nil
	}
	return nil, fmt.Errorf("no accessor %q", as)
}

func npyRead(q fileArgs) (any, error) {
	a, err := npy.ReadFile(q.Path)
	if err != nil {
		return nil, err
	}
	return elements(a, q.As)
}

// npyRows reads a mapped matrix in the three ways that there are: a range of rows, rows by their
// ids (here from the last to the first) and as it lies in the file.
func npyRows(q fileArgs) (any, error) {
	f, err := npy.Open(q.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing is written
	h := f.Header()
	if len(h.Shape) != 2 {
		return nil, fmt.Errorf("shape %v, want two dimensions", h.Shape)
	}
	rows, cols := h.Shape[0], h.Shape[1]
	all, reversed, ids := make([]float32, rows*cols), make([]float32, rows*cols), make([]int32, rows)
	if err := f.ReadRows(all, 0, rows); err != nil {
		return nil, err
	}
	for i := range ids {
		ids[i] = int32(rows - 1 - i)
	}
	if err := f.GatherRows(reversed, ids); err != nil {
		return nil, err
	}
	result := map[string]any{"mapped": nil}
	if result["rows"], err = pack("float32", h.Shape, all); err != nil {
		return nil, err
	}
	if result["reversed"], err = pack("float32", h.Shape, reversed); err != nil {
		return nil, err
	}
	if m, ok := f.Float32Matrix(); ok {
		result["mapped"], err = pack("float32", h.Shape, m)
	}
	return result, err
}

// pieces reads a stream of elements in steps that fit no power of two, and passes over the
// first one. The elements come in the order of the file, so the result has one dimension.
func pieces(r *npy.Reader, as string) (any, error) {
	const step = 7
	if err := r.Skip(min(1, r.Left())); err != nil {
		return nil, err
	}
	shape := []int{r.Left()}
	if as == "int32" {
		v := make([]int32, r.Left())
		for at := 0; at < len(v); at += step {
			if err := r.Int32s(v[at:min(at+step, len(v))]); err != nil {
				return nil, err
			}
		}
		return pack(as, shape, v)
	}
	v := make([]float32, r.Left())
	for at := 0; at < len(v); at += step {
		if err := r.Float32s(v[at:min(at+step, len(v))]); err != nil {
			return nil, err
		}
	}
	return pack("float32", shape, v)
}

// npyStream reads a file piece by piece.
func npyStream(q fileArgs) (any, error) {
	f, err := os.Open(q.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing is written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := npy.NewReader(f, npy.Source{Path: q.Path, Size: info.Size()})
	if err != nil {
		return nil, err
	}
	return pieces(r, q.As)
}

func npzStream(q fileArgs) (any, error) {
	z, err := npz.Open(q.Path)
	if err != nil {
		return nil, err
	}
	defer z.Close() //nolint:errcheck // nothing is written
	m, err := z.Stream(q.Name)
	if err != nil {
		return nil, err
	}
	defer m.Close() //nolint:errcheck // nothing is written
	result, err := pieces(m.Reader, q.As)
	if err != nil {
		return nil, err
	}
	return result, m.Finish()
}

func npzNames(q fileArgs) (any, error) {
	z, err := npz.Open(q.Path)
	if err != nil {
		return nil, err
	}
	defer z.Close() //nolint:errcheck // nothing is written
	return append([]string{}, z.Names()...), nil
}

func npzRead(q fileArgs) (any, error) {
	z, err := npz.Open(q.Path)
	if err != nil {
		return nil, err
	}
	defer z.Close() //nolint:errcheck // nothing is written
	a, err := z.Read(q.Name)
	if err != nil {
		return nil, err
	}
	return elements(a, q.As)
}

// shape returns what the writers want for a scalar: nil.
func (a *array) shape() []int {
	if len(a.Shape) == 0 {
		return nil
	}
	return a.Shape
}

func npyWrite(q struct {
	Path  string `json:"path"`
	Array array  `json:"array"`
},
) (any, error) {
	v, err := q.Array.slice()
	if err != nil {
		return nil, err
	}
	return done{}, npy.WriteFile(q.Path, q.Array.shape(), v)
}

func npzWrite(q struct {
	Path     string  `json:"path"`
	Compress bool    `json:"compress"`
	Arrays   []array `json:"arrays"`
},
) (any, error) {
	var entries []npz.Entry
	for i := range q.Arrays {
		v, err := q.Arrays[i].slice()
		if err != nil {
			return nil, err
		}
		entries = append(entries, npz.Entry{Name: q.Arrays[i].Name, Shape: q.Arrays[i].shape(), Data: v})
	}
	return done{}, npz.WriteFile(q.Path, q.Compress, entries)
}

func csrRead(q fileArgs) (any, error) {
	m, err := npz.ReadCSR(q.Path)
	if err != nil {
		return nil, err
	}
	data, err := m.Data()
	if err != nil {
		return nil, err
	}
	result := map[string]any{"shape": []int{m.Rows, m.Cols}, "type": m.DataType.String()}
	if result["indptr"], err = pack("int64", []int{len(m.Indptr)}, m.Indptr); err != nil {
		return nil, err
	}
	if result["indices"], err = pack("int32", []int{len(m.Indices)}, m.Indices); err != nil {
		return nil, err
	}
	result["data"], err = pack("float32", []int{len(data)}, data)
	return result, err
}

func csrWrite(q struct {
	Path     string `json:"path"`
	Shape    [2]int `json:"shape"`
	Indptr   array  `json:"indptr"`
	Indices  array  `json:"indices"`
	Data     array  `json:"data"`
	Compress bool   `json:"compress"`
},
) (any, error) {
	data, err := q.Data.slice()
	if err != nil {
		return nil, err
	}
	return done{}, npz.WriteCSR(q.Path, q.Shape[0], q.Shape[1], unpack[int64](q.Indptr.Data), unpack[int32](q.Indices.Data), data, q.Compress)
}
