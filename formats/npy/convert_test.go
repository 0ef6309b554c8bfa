package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// limitsOf returns edge values of each type as the bytes of a little-endian file.
var limitsOf = map[DType]any{
	Bool: []bool{false, true}, Int8: []int8{0, -128, 127}, Int16: []int16{0, -32768, 32767},
	Int32: []int32{0, math.MinInt32, math.MaxInt32}, Int64: []int64{0, math.MinInt64, math.MaxInt64},
	Uint8: []uint8{0, 255}, Uint16: []uint16{0, 65535}, Uint32: []uint32{0, math.MaxUint32}, Uint64: []uint64{0, math.MaxUint64},
	Float16: []Half{0, 0x3c00, 0xc000}, Float32: []float32{0, -1, 16777216}, Float64: []float64{0, -1, 1 << 40},
}

// store writes data as an array of the given shape, order and byte order.
func store(t *testing.T, shape []int, data any, fortran, big bool) *Array {
	t.Helper()
	h, b, err := encode(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	h.Fortran, h.BigEndian = fortran, big && h.ItemSize > 1
	b = bytes.Clone(b)
	if h.BigEndian {
		for at := 0; at < len(b); at += h.ItemSize {
			slices.Reverse(b[at : at+h.ItemSize])
		}
	}
	var file bytes.Buffer
	if err := WriteHeader(&file, h); err != nil {
		t.Fatal(err)
	}
	file.Write(b)
	a, err := Read(&file, Source{Path: "x", Size: int64(file.Len())})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLimits(t *testing.T) {
	for dt, data := range limitsOf {
		n := len(bytesOfAny(data)) / dt.Size()
		t.Run(dt.String(), func(t *testing.T) {
			checkLimits(t, store(t, []int{n}, data, false, false))
			checkLimits(t, store(t, []int{n}, data, false, true))
		})
	}
}

// checkLimits compares two ways to read the same elements.
func checkLimits(t *testing.T, a *Array) {
	t.Helper()
	f64, err := a.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	i64, err := a.Int64s()
	if a.Header().DType == Uint64 {
		if err == nil || !strings.Contains(err.Error(), "element 1 is 18446744073709551615, want int64") {
			t.Errorf("Int64s() error = %v", err)
		}
		return
	}
	for i := range f64 {
		if err != nil || float64(i64[i]) != f64[i] {
			t.Errorf("element %d: float64 %v, int64 %v (%v)", i, f64[i], i64, err)
		}
	}
}

func bytesOfAny(data any) []byte {
	for n := range 10 {
		if _, b, err := encode([]int{n}, data); err == nil {
			return b
		}
	}
	return nil
}

func TestRangeChecks(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	tests := []struct {
		name string
		data any
		n    int
		get  func(a *Array) error
		want string // empty: no error
	}{
		{"int64 to int32 high", []int64{0, 1 << 31}, 2, int32s, "element 1 is 2147483648, want int32"},
		{"int64 to int32 low", []int64{0, -1<<31 - 1}, 2, int32s, "element 1 is -2147483649"},
		{"int64 to int32 edge", []int64{1<<31 - 1, -1 << 31}, 2, int32s, ""},
		{"uint32 to int32", []uint32{1 << 31}, 1, int32s, "element 0 is 2147483648"},
		{"uint64 to int64", []uint64{1 << 63}, 1, int64s, "element 0 is 9223372036854775808"},
		{"int8 to uint8", []int8{-1}, 1, uint8s, "element 0 is -1, want uint8"},
		{"int16 to uint8", []int16{256}, 1, uint8s, "element 0 is 256"},
		{"float to int", []float64{1, 2.5}, 2, int64s, "element 1 is 2.5"},
		{"float to int at 2^63", []float64{0x1p63}, 1, int64s, "element 0 is 9.223372036854776e+18"},
		{"float to int at -2^63", []float64{-0x1p63}, 1, int64s, ""},
		{"NaN", []float64{nan}, 1, int64s, "element 0 is NaN"},
		{"infinity", []float32{float32(inf)}, 1, int64s, "element 0 is +Inf"},
		{"negative to uint8", []float32{-1}, 1, uint8s, "element 0 is -1"},
		{"float to uint8 edge", []float32{255}, 1, uint8s, ""},
		{"half to int", []Half{0x3e00}, 1, int64s, "element 0 is 1.5"},
		{"bool", []uint8{0, 1, 2}, 3, func(a *Array) error { _, err := a.Bools(); return err }, "element 2 is 2, want 0 or 1"},
		{"late in a chunk", append(make([]int64, 5000), 1<<40), 5001, int32s, "element 5000 is"},
		{"strings", "abc", 0, int32s, "want numbers"},
		{"numbers as strings", []int8{1}, 1, func(a *Array) error { _, err := a.Strings(); return err }, "want strings"},
	}
	for _, tt := range tests {
		for _, big := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, big), func(t *testing.T) {
				var shape []int
				if tt.n > 0 {
					shape = []int{tt.n}
				}
				err := tt.get(store(t, shape, tt.data, false, big))
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error = %v, want %q", err, tt.want)
				}
			})
		}
	}
}

func int64s(a *Array) error { _, err := a.Int64s(); return err }
func int32s(a *Array) error { _, err := a.Int32s(); return err }
func uint8s(a *Array) error { _, err := a.Uint8s(); return err }

func TestReorderMatchesIndexing(t *testing.T) {
	for _, shape := range [][]int{{1}, {5}, {40, 70}, {1, 9}, {9, 1}, {2, 3, 4}, {3, 1, 2, 5}, {0, 3}, {2, 0, 3}} {
		h := Header{Shape: shape}
		src := make([]int32, h.Len())
		want := make([]int32, h.Len())
		index := make([]int, len(shape))
		for c := range want { // c counts in C order, at is the place in Fortran order
			at, stride := 0, 1
			for k, n := range shape {
				at += index[k] * stride
				stride *= n
			}
			want[c] = int32(c)
			src[at] = int32(c)
			for k := len(shape) - 1; k >= 0; k-- {
				if index[k]++; index[k] < shape[k] {
					break
				}
				index[k] = 0
			}
		}
		if got := reorder(src, shape); !slices.Equal(got, want) {
			t.Errorf("reorder(%v) = %v, want %v", shape, got, want)
		}
	}
}

// Rows of every type, order and alignment equal the float32 of the elements, also across
// tiles and chunks.
func TestRowsMatchArray(t *testing.T) {
	const rows, cols = 700, 5
	r := rand.New(rand.NewPCG(1, 2))
	i64, f64, u16 := make([]int64, rows*cols), make([]float64, rows*cols), make([]uint16, rows*cols)
	f32 := make([]float32, rows*cols)
	for i := range i64 {
		i64[i], f64[i], u16[i], f32[i] = r.Int64(), r.NormFloat64(), uint16(r.Uint32()), r.Float32()
	}
	for _, data := range []any{i64, f64, u16, f32} {
		for mode := range 8 {
			fortran, big, shift := mode&1 != 0, mode&2 != 0, mode&4 != 0
			t.Run(fmt.Sprintf("%T fortran=%t big=%t shifted=%t", data, fortran, big, shift), func(t *testing.T) {
				a := store(t, []int{rows, cols}, data, fortran, big)
				want, err := a.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				if shift { // an unaligned place, as in a file with an odd header
					a.data = append([]byte{0}, a.data...)[1:]
				}
				checkSameRows(t, &File{header: a.header, data: a.data}, want)
			})
		}
	}
}

func checkSameRows(t *testing.T, f *File, want []float32) {
	t.Helper()
	rows, cols := f.header.Shape[0], f.header.Shape[1]
	for _, at := range [][2]int{{0, rows}, {3, 3}, {rows, rows}, {255, 513}} {
		got := make([]float32, (at[1]-at[0])*cols)
		if err := f.ReadRows(got, at[0], at[1]); err != nil || !slices.Equal(got, want[at[0]*cols:at[1]*cols]) {
			t.Errorf("ReadRows%v differs (%v)", at, err)
		}
	}
	ids := []int32{int32(rows) - 1, 0, 256, 256}
	got := make([]float32, len(ids)*cols)
	if err := f.GatherRows(got, ids); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if !slices.Equal(got[i*cols:(i+1)*cols], want[int(id)*cols:(int(id)+1)*cols]) {
			t.Errorf("GatherRows: row %d differs", id)
		}
	}
	if n := testing.AllocsPerRun(10, func() { f.GatherRows(got, ids) }); n != 0 {
		t.Errorf("GatherRows allocates %v times", n)
	}
}

func TestRowsBadArguments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	if err := WriteFile(path, []int{4, 2}, make([]float32, 8)); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.AdviseRandom()
	dst := make([]float32, 4)
	for name, err := range map[string]error{
		"lo < 0": f.ReadRows(dst, -1, 1), "hi > rows": f.ReadRows(dst, 3, 5), "hi < lo": f.ReadRows(nil, 2, 1), "dst": f.ReadRows(dst, 0, 1),
		"id < 0": f.GatherRows(dst, []int32{0, -1}), "id = rows": f.GatherRows(dst, []int32{0, 4}), "gather dst": f.GatherRows(dst, []int32{0}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := closeTwice(f); err != nil {
		t.Fatal(err)
	}
	if err := f.ReadRows(dst, 0, 2); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("ReadRows after Close = %v", err)
	}
	vector, err := Open("testdata/vector.npy")
	if err != nil {
		t.Fatal(err)
	}
	defer vector.Close()
	if err := vector.ReadRows(dst, 0, 2); err == nil || !strings.Contains(err.Error(), "want two dimensions") {
		t.Errorf("ReadRows of a vector = %v", err)
	}
}

// closeTwice closes twice; the second time must be harmless.
func closeTwice(f *File) error {
	if err := f.Close(); err != nil {
		return err
	}
	return f.Close()
}

func TestHalf(t *testing.T) {
	// Every finite half equals sign × fraction × power of two as its definition says.
	for b := range 1 << 16 {
		h := Half(b)
		exp, frac := int(h>>10&31), float64(h&0x3ff)
		want := math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(frac, -24)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if h>>15 != 0 {
			want = -want
		}
		got := float64(h.Float32())
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || !math.IsNaN(want) && math.Signbit(got) != (h>>15 != 0) {
			t.Fatalf("Half(%#04x).Float32() = %v, want %v", b, got, want)
		}
	}
}

func TestWriteBad(t *testing.T) {
	tests := []struct {
		name  string
		shape []int
		data  any
		want  string
	}{
		{"type", []int{1}, []complex64{1}, "[]complex64 is not supported"},
		{"int", []int{1}, []int{1}, "[]int is not supported"},
		{"count", []int{2, 2}, []float32{1}, "1 elements for shape (2, 2)"},
		{"negative", []int{-1, -1}, []float32{1}, "not possible"},
		{"overflow", []int{1 << 40, 1 << 40}, []float32{1}, "not possible"},
		{"rank", slices.Repeat([]int{1}, 65), []float32{1}, "65 dimensions"},
		{"empty string", nil, "", "at least one character"},
		{"unicode string", nil, "é", "not an ASCII string"},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "x.npy")
		if err := WriteFile(path, tt.shape, tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: WriteFile = %v, want %q", tt.name, err, tt.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the file exists", tt.name)
		}
	}
}

func BenchmarkReadRows(b *testing.B) {
	const rows, cols = 20000, 200
	for _, dt := range []DType{Float32, Float64, Float16, Int64, Bool} {
		for _, order := range []string{"C", "F"} {
			for _, big := range []bool{false, true} {
				b.Run(fmt.Sprintf("%v/%s/big=%t", dt, order, big), func(b *testing.B) {
					h := Header{DType: dt, ItemSize: dt.Size(), Shape: []int{rows, cols}, Fortran: order == "F", BigEndian: big}
					f := &File{header: h, data: make([]byte, h.DataSize())}
					dst := make([]float32, rows*cols)
					b.SetBytes(h.DataSize())
					b.ReportAllocs()
					for b.Loop() {
						if err := f.ReadRows(dst, 0, rows); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func ExampleWrite() {
	var b bytes.Buffer
	Write(&b, []int{2, 2}, []float32{1, 2, 3, 4})
	h, _ := ReadHeader(&b)
	fmt.Println(&h, binary.Size([]float32{1, 2, 3, 4}) == b.Len())
	// Output: float32 (2, 2) true
}
