package npy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// goldenValue is element i of the 5×3 reference arrays.
func goldenValue(kind byte, i int) float64 {
	switch kind {
	case 'b':
		if i%3 == 0 {
			return 1
		}
		return 0
	case 'u':
		return float64(7 * i)
	case 'i':
		return float64(7*i - 40)
	default:
		return 0.25*float64(i) - 1.5
	}
}

func TestGoldenMatrices(t *testing.T) {
	paths, err := filepath.Glob("testdata/*_[lb]e_[CF].npy")
	if err != nil || len(paths) != 42 {
		t.Fatalf("found %d golden files (%v), want 42", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			kind := filepath.Base(path)[0]
			want := make([]float32, 15)
			for i := range want {
				want[i] = float32(goldenValue(kind, i))
			}
			a, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Float32s()
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("Float32s() = %v, %v, want %v", got, err, want)
			}
			checkIntegers(t, a, want)
			checkRows(t, path, want)
		})
	}
}

func checkRows(t *testing.T, path string, want []float32) {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := make([]float32, 9)
	if err := f.ReadRows(rows, 1, 4); err != nil || !slices.Equal(rows, want[3:12]) {
		t.Errorf("ReadRows(1, 4) = %v, %v, want %v", rows, err, want[3:12])
	}
	if err := f.GatherRows(rows, []int32{4, 0, 4}); err != nil || !slices.Equal(rows, slices.Concat(want[12:], want[:3], want[12:])) {
		t.Errorf("GatherRows(4, 0, 4) = %v, %v", rows, err)
	}
	m, ok := f.Float32Matrix()
	if wantOK := strings.HasPrefix(filepath.Base(path), "f4_le_C"); ok != wantOK || ok && !slices.Equal(m, want) {
		t.Errorf("Float32Matrix() = %v, %t, want ok %t", m, ok, wantOK)
	}
}

func checkIntegers(t *testing.T, a *Array, want []float32) {
	t.Helper()
	whole := a.Header().DType < Float16
	i64, err := a.Int64s()
	if (err == nil) != whole {
		t.Fatalf("Int64s() error %v, want one: %t", err, !whole)
	}
	if !whole {
		var bad *formats.InputError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), "is -1.25, want int64") && !strings.Contains(err.Error(), "is -1.5, want int64") {
			t.Errorf("Int64s() error = %v", err)
		}
		return
	}
	i32, err := a.Int32s()
	for i := range want {
		if err != nil || float32(i64[i]) != want[i] || float32(i32[i]) != want[i] {
			t.Fatalf("element %d: int64 %d, int32 %v (%v), want %v", i, i64[i], i32, err, want[i])
		}
	}
}

func TestGoldenOthers(t *testing.T) {
	read := func(name string) *Array {
		t.Helper()
		a, err := ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if v, err := read("scalar.npy").Float64s(); err != nil || len(v) != 1 || v[0] != 2.5 {
		t.Errorf("scalar = %v, %v, want 2.5", v, err)
	}
	if a := read("empty.npy"); a.Len() != 0 || !slices.Equal(a.Shape(), []int{0, 4}) {
		t.Errorf("empty has shape %v", a.Shape())
	}
	cube, err := read("cube_F.npy").Int32s()
	for i, v := range cube {
		if int(v) != i {
			t.Fatalf("cube_F = %v (%v), want 0…23", cube, err)
		}
	}
	for name, want := range map[string][]string{"bytes.npy": {"csr"}, "unicode.npy": {"csr"}, "unicode_be.npy": {"a", "héé"}} {
		if s, err := read(name).Strings(); err != nil || !slices.Equal(s, want) {
			t.Errorf("%s: Strings() = %q, %v, want %q", name, s, err, want)
		}
	}
	half, err := read("half.npy").Float32s()
	want := []float32{0, float32(math.Copysign(0, -1)), 1, 65504, 0x1p-24, -1023 * 0x1p-24, float32(math.Inf(1)), float32(math.Inf(-1)), 0.33325195}
	for i := range want {
		if math.Float32bits(half[i]) != math.Float32bits(want[i]) {
			t.Errorf("half[%d] = %v, want %v (%v)", i, half[i], want[i], err)
		}
	}
	for v := 2; v <= 3; v++ {
		a := read(fmt.Sprintf("version%d.npy", v))
		if got, err := a.Float64s(); err != nil || a.Header().Version != v || !slices.Equal(got, []float64{0, 1, 2, 3, 4, 5}) {
			t.Errorf("version %d: %v, %v", v, got, err)
		}
	}
}

// Our files equal NumPy's byte for byte, so tools that compare hashes agree.
func TestWriteEqualsNumPy(t *testing.T) {
	f32, u8 := make([]float32, 15), make([]uint8, 15)
	i64 := make([]int64, 15)
	bools := make([]bool, 15)
	half := make([]Half, 0, 15)
	for i := range 15 {
		f32[i], u8[i], i64[i], bools[i] = float32(goldenValue('f', i)), uint8(7*i), int64(7*i-40), i%3 == 0
	}
	a, err := ReadFile("testdata/f2_le_C.npy")
	if err != nil {
		t.Fatal(err)
	}
	v, _ := viewOf[Half](a.data)
	half = append(half, v...)
	for name, data := range map[string]any{"f4_le_C": f32, "u1_le_C": u8, "i8_le_C": i64, "b1_le_C": bools, "f2_le_C": half} {
		checkBytes(t, name, []int{5, 3}, data)
	}
	checkBytes(t, "scalar", nil, []float32{2.5})
	checkBytes(t, "vector", []int{7}, []int64{0, 1, 2, 3, 4, 5, 6})
	checkBytes(t, "empty", []int{0, 4}, []float32{})
	checkBytes(t, "bytes", nil, "csr")
}

func checkBytes(t *testing.T, name string, shape []int, data any) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name + ".npy")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := Write(&got, shape, data); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("Write of %s: %v\ngot  %q\nwant %q", name, err, got.Bytes(), want)
	}
	if n, err := Size(shape, data); err != nil || n != int64(len(want)) {
		t.Errorf("Size of %s = %d, %v, want %d", name, n, err, len(want))
	}
}
