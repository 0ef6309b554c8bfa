package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

func TestGolden(t *testing.T) {
	f, err := Open("testdata/torch.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []string{"bfloat", "bool", "empty", "half", "i32", "i64", "layer.0.bias", "layer.0.weight", "scalar", "u64", "u8"}
	if got := f.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
	if got := f.Metadata(); !maps.Equal(got, map[string]string{"format": "pt", "note": "ü <b>"}) {
		t.Errorf("Metadata() = %v", got)
	}
	floats := []float32{-1, -0.5, 0, 0.5, 1, 1.5}
	for name, want := range map[string][]float32{
		"layer.0.weight": floats, "layer.0.bias": floats[:3], "half": floats, "bfloat": floats, "scalar": {2.5}, "empty": {},
	} {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := x.Float32s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
	i32, _ := f.Tensor("i32")
	i64, _ := f.Tensor("i64")
	u64, _ := f.Tensor("u64")
	mask, _ := f.Tensor("bool")
	a, errA := i32.Int32s()
	b, errB := i64.Int64s()
	c, errC := i32.Int64s()
	d, errD := u64.Uint64s()
	e, errE := mask.Uint8s()
	if err := errors.Join(errA, errB, errC, errD, errE); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a, []int32{-2, -1, 0, 1}) || !slices.Equal(b, []int64{-2, -1, 0, 1}) || !slices.Equal(c, b) ||
		!slices.Equal(d, []uint64{0, 1, 2}) || !slices.Equal(e, []uint8{1, 0, 1}) {
		t.Errorf("integers = %v %v %v %v %v", a, b, c, d, e)
	}
	var bad *formats.InputError
	if _, err := i64.Float32s(); !errors.As(err, &bad) || bad.Offset < 8 || !strings.Contains(err.Error(), `tensor "i64" is I64, want F32`) {
		t.Errorf("Float32s of I64: %v", err)
	}
	if _, err := f.Tensor("nope"); !errors.As(err, &bad) {
		t.Errorf("missing tensor: %v", err)
	}
}

func sample() []Tensor {
	return []Tensor{
		Uint8("z", []int{3}, []uint8{1, 2, 3}),
		Float32("b", []int{2, 2}, []float32{1, 2, 3, 4}),
		Int64("a\"\n", []int{1}, []int64{-5}),
		Half("h", []int{1}, []npy.Half{0x3c00}),
		Bools("y", []int{2}, []bool{true, false}),
		Float64("d", nil, []float64{0.1}),
		Uint64("empty", []int{3, 0}, nil),
		Int32("i", []int{1}, []int32{7}),
	}
}

func TestWriteRead(t *testing.T) {
	meta := map[string]string{"k": "v", "a": "<ü>"}
	var first, second bytes.Buffer
	if err := Write(&first, sample(), meta); err != nil {
		t.Fatal(err)
	}
	reversed := sample()
	slices.Reverse(reversed)
	if err := Write(&second, reversed, meta); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("order of the arguments changes the bytes (%v)", err)
	}
	if n := binary.LittleEndian.Uint64(first.Bytes()); n%8 != 0 {
		t.Errorf("header length %d is not a multiple of 8", n)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, sample(), meta); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !maps.Equal(f.Metadata(), meta) {
		t.Errorf("Metadata() = %v, want %v", f.Metadata(), meta)
	}
	for _, want := range sample() {
		got, err := f.Tensor(want.Name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("Tensor(%q) = %+v, %v, want %+v", want.Name, got, err, want)
		}
		if got.offset%int64(got.DType.Size()) != 0 {
			t.Errorf("tensor %q at unaligned byte %d", want.Name, got.offset)
		}
	}
}

func TestWriteBad(t *testing.T) {
	one := []float32{1}
	tests := []struct {
		name    string
		tensors []Tensor
		meta    map[string]string
		want    string
	}{
		{"twice", []Tensor{Float32("a", nil, one), Float32("a", nil, one)}, nil, "twice"},
		{"reserved name", []Tensor{Float32("__metadata__", nil, one)}, nil, "cannot be the name"},
		{"name not UTF-8", []Tensor{Float32("\xff", nil, one)}, nil, "cannot be the name"},
		{"metadata not UTF-8", nil, map[string]string{"a": "\xff"}, "not valid UTF-8"},
		{"shape", []Tensor{Float32("a", []int{2}, one)}, nil, "4 bytes for shape [2] of F32"},
		{"negative", []Tensor{Float32("a", []int{-1}, one)}, nil, "shape [-1]"},
		{"overflow", []Tensor{Float32("a", []int{1 << 40, 1 << 40}, one)}, nil, "for shape"},
		{"type", []Tensor{{Name: "a", DType: "X"}}, nil, "unknown type"},
		{"rank", []Tensor{Float32("a", slices.Repeat([]int{1}, 65), one)}, nil, "65 dimensions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if err := WriteFile(path, tt.tensors, tt.meta); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("WriteFile = %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the file exists")
			}
		})
	}
}

func TestOpenBad(t *testing.T) {
	entry := func(shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":"F32","shape":%s,"data_offsets":%s}}`, shape, offsets)
	}
	two := func(a, b string) string {
		return fmt.Sprintf(`{"a":{"dtype":"U8","shape":[2],"data_offsets":%s},"b":{"dtype":"U8","shape":[2],"data_offsets":%s}}`, a, b)
	}
	tests := []struct {
		name, header string
		data         int
		want         string
	}{
		{"empty header", ``, 0, "does not begin with {"},
		{"array", `[]`, 0, "does not begin with {"},
		{"leading space", ` {}`, 0, "does not begin with {"},
		{"not UTF-8", "{\"\xff\":1}", 0, "not valid UTF-8"},
		{"cut", `{"a":`, 0, "ends too early"},
		{"cut in key", `{"a`, 0, "ends too early"},
		{"two values", `{} {}`, 0, "more than one JSON value"},
		{"garbage after", `{} x`, 0, "more than one JSON value"},
		{"tensor is a number", `{"a":1}`, 0, "1, want {"},
		{"unknown key", `{"a":{"x":1}}`, 0, `key "x" is unknown`},
		{"key twice", `{"a":{"dtype":"F32","dtype":"F32"}}`, 0, "appears twice"},
		{"dtype number", `{"a":{"dtype":1}}`, 0, "want a string"},
		{"no dtype", `{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4, "dtype is missing"},
		{"no shape", `{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4, "shape is missing"},
		{"no offsets", `{"a":{"dtype":"F32","shape":[1]}}`, 4, "data_offsets is missing"},
		{"unknown type", `{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4, `type "F31" is not supported`},
		{"negative shape", entry("[-1]", "[0,4]"), 4, "-1, want a whole number"},
		{"float shape", entry("[1.0]", "[0,4]"), 4, "1.0, want a whole number"},
		{"string shape", entry(`["1"]`, "[0,4]"), 4, "want a number"},
		{"huge number", entry("[99999999999999999999]", "[0,4]"), 4, "want a whole number"},
		{"overflow", entry("[4294967296,4294967296]", "[0,4]"), 4, "too large"},
		{"rank", entry("[1"+strings.Repeat(",1", 64)+"]", "[0,4]"), 4, "more than 64 numbers"},
		{"one offset", entry("[1]", "[0]"), 4, "1 numbers, want two"},
		{"three offsets", entry("[1]", "[0,4,8]"), 4, "3 numbers, want two"},
		{"offsets swapped", entry("[1]", "[4,0]"), 4, "data_offsets [4, 0]"},
		{"beyond the end", entry("[2]", "[0,8]"), 4, "data_offsets [0, 8] in 4 bytes"},
		{"size differs", entry("[2]", "[0,4]"), 4, "shape [2] of F32 needs 8"},
		{"hole before", entry("[1]", "[1,5]"), 5, "1 bytes after"},
		{"rest", entry("[1]", "[0,4]"), 5, "1 bytes follow the last tensor"},
		{"rest without tensors", `{}`, 5, "5 bytes follow"},
		{"overlap", two("[0,2]", "[1,3]"), 3, `inside tensor "a"`},
		{"same bytes", two("[0,2]", "[0,2]"), 2, `inside tensor "a"`},
		{"hole", two("[0,2]", "[3,5]"), 5, "1 bytes after"},
		{"tensor twice", `{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0, `tensor "a" appears twice`},
		{"metadata number", `{"__metadata__":{"a":1}}`, 0, `metadata "a": 1, want a string`},
		{"metadata list", `{"__metadata__":[]}`, 0, "want {"},
		{"metadata twice", `{"__metadata__":{"a":"1","a":"2"}}`, 0, `metadata "a" appears twice`},
		{"deep", `{"a":` + strings.Repeat("[", 100000), 0, "want {"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantBad(t, file(uint64(len(tt.header)), tt.header, tt.data), tt.want)
		})
	}
	t.Run("no bytes", func(t *testing.T) { wantBad(t, nil, "inside the header length") })
	t.Run("seven bytes", func(t *testing.T) { wantBad(t, make([]byte, 7), "inside the header length") })
	t.Run("huge header", func(t *testing.T) { wantBad(t, file(1<<62, "{}", 0), "want at most 100000000") })
	t.Run("header beyond the end", func(t *testing.T) { wantBad(t, file(3, "{}", 0), "exceeds the 2 bytes left") })
}

// file builds the bytes of a file.
func file(length uint64, header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, length)
	return append(append(b, header...), make([]byte, data)...)
}

func wantBad(t *testing.T, content []byte, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path)
	var bad *formats.InputError
	if !errors.As(err, &bad) || bad.Path != path || bad.Offset < 0 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %v, want an InputError with %q", err, want)
	}
}

// Every truncation of a good file is an error and nothing worse.
func TestTruncated(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, sample(), map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		f := &File{path: "x"}
		var bad *formats.InputError
		if err := f.parse(b.Bytes()[:n]); !errors.As(err, &bad) {
			t.Fatalf("parse of the first %d bytes = %v, want an InputError", n, err)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	var b bytes.Buffer
	Write(&b, sample(), map[string]string{"a": "b"})
	f.Add(b.Bytes())
	golden, err := os.ReadFile("testdata/torch.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(file(2, "{}", 0))
	f.Fuzz(func(t *testing.T, content []byte) {
		x := &File{path: "x"}
		if err := x.parse(content); err != nil {
			var bad *formats.InputError
			if !errors.As(err, &bad) {
				t.Fatalf("error %v is no InputError", err)
			}
			return
		}
		total := 0
		var tensors []Tensor
		for _, name := range x.names {
			y, err := x.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			total += len(y.Data)
			tensors = append(tensors, y)
			checkElements(t, &y)
		}
		if total > len(content) {
			t.Fatalf("tensors hold %d bytes of a file of %d", total, len(content))
		}
		// What was read can be written and read again.
		var out bytes.Buffer
		if err := Write(&out, tensors, x.metadata); err != nil {
			t.Fatal(err)
		}
		again := &File{path: "again"}
		if err := again.parse(out.Bytes()); err != nil || !slices.Equal(again.names, x.names) {
			t.Fatalf("read again: %v, %v", again.names, err)
		}
		for _, want := range tensors {
			got, err := again.Tensor(want.Name)
			if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("written and read: %+v, %v, want %+v", got, err, want)
			}
		}
	})
}

// checkElements runs every accessor: it gives as many elements as the shape has, or an
// InputError.
func checkElements(t *testing.T, x *Tensor) {
	t.Helper()
	want := 1
	for _, e := range x.Shape {
		want *= e
	}
	count := func(name string, n int, err error) {
		var bad *formats.InputError
		if err != nil && !errors.As(err, &bad) || err == nil && (n != want || n != x.Len()) {
			t.Fatalf("%s of %s %v: %d elements, %v", name, x.DType, x.Shape, n, err)
		}
	}
	f32, err := x.Float32s()
	count("Float32s", len(f32), err)
	f64, err64 := x.Float64s()
	count("Float64s", len(f64), err64)
	for i := range f64 {
		if err == nil && err64 == nil && float32(f64[i]) != f32[i] && f32[i] == f32[i] {
			t.Fatalf("element %d is %v and %v", i, f32[i], f64[i])
		}
	}
	i64, err := x.Int64s()
	count("Int64s", len(i64), err)
	i32, err := x.Int32s()
	count("Int32s", len(i32), err)
	u64, err := x.Uint64s()
	count("Uint64s", len(u64), err)
	u8, err := x.Uint8s()
	count("Uint8s", len(u8), err)
}

// The densest header there is, tensors without bytes, costs a bounded multiple of its size.
func TestHeaderAllocation(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 20000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	b.WriteByte('}')
	content := file(uint64(b.Len()), b.String(), 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	x := &File{path: "x"}
	err := x.parse(content)
	runtime.ReadMemStats(&after)
	ratio := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(content))
	t.Logf("%d bytes: %.1f bytes allocated a byte", len(content), ratio)
	if err != nil || ratio > 48 {
		t.Errorf("parse: %v, %.1f bytes allocated for each byte of the header, want at most 48", err, ratio)
	}
}
