package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// raw builds a version-1 file from the text of a header.
func raw(dict string, data int) []byte {
	b := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(dict)))
	return append(append(b, dict...), make([]byte, data)...)
}

func TestHeaderVariants(t *testing.T) {
	tests := []struct {
		name, dict string
		data       int
		want       string
	}{
		{"as NumPy writes", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n", 48, "float32 (3, 4)"},
		{"no last comma", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}", 48, "float32 (3, 4)"},
		{"key order", "{'shape': (2,), 'descr': '<i8', 'fortran_order': True}", 16, "int64 (2,)"},
		{"double quotes", `{"descr": "<u2", "fortran_order": False, "shape": (2,)}`, 4, "uint16 (2,)"},
		{"no spaces", "{'descr':'|b1','fortran_order':False,'shape':(2,),}", 2, "bool (2,)"},
		{"much space", " {\t'descr' :\n'?' , 'fortran_order' :False , 'shape' : ( 2 , ) , }\r\n", 2, "bool (2,)"},
		{"long numbers", "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 1L)}", 24, "float64 (3, 1)"},
		{"scalar", "{'descr': '<f2', 'fortran_order': False, 'shape': ()}", 2, "float16 ()"},
		{"native order", "{'descr': '=i4', 'fortran_order': False, 'shape': (1,)}", 4, "int32 (1,)"},
		{"no order", "{'descr': 'i4', 'fortran_order': False, 'shape': (1,)}", 4, "int32 (1,)"},
		{"strings", "{'descr': '|S3', 'fortran_order': False, 'shape': (2,)}", 6, "bytes (2,)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := raw(tt.dict, tt.data)
			a, err := Read(bytes.NewReader(b), Source{Path: "x", Size: int64(len(b))})
			if err != nil {
				t.Fatal(err)
			}
			if h := a.Header(); h.String() != tt.want {
				t.Errorf("header = %v, want %s", &h, tt.want)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	shape := func(s string) []byte {
		return raw("{'descr': '<f4', 'fortran_order': False, 'shape': "+s+"}", 16)
	}
	descr := func(s string) []byte {
		return raw("{'descr': "+s+", 'fortran_order': False, 'shape': (4,)}", 16)
	}
	long := raw("{}", 0)
	binary.LittleEndian.PutUint16(long[8:], 1000)
	v2 := append([]byte(magic+"\x02\x00\xff\xff\xff\xff"), make([]byte, 100)...)
	tests := []struct {
		name    string
		content []byte
		at      int64 // -1: not checked
		want    string
	}{
		{"empty", nil, 0, "truncated"},
		{"short magic", []byte("\x93NUM"), 4, "truncated"},
		{"wrong magic", []byte("PK\x03\x04 a zip file"), 0, "not a NumPy array file"},
		{"version 0", []byte(magic + "\x00\x00\x00\x00"), 6, "version 0.0"},
		{"version 4", []byte(magic + "\x04\x00\x00\x00\x00\x00"), 6, "version 4.0"},
		{"minor version", []byte(magic + "\x01\x01\x00\x00\x00\x00"), 6, "version 1.1"},
		{"no header length", []byte(magic + "\x02\x00\x00"), 9, "truncated"},
		{"header too long", long, 8, "header length 1000 exceeds the 2 bytes"},
		{"header of 4 GiB", v2, 8, "header length 4294967295, want at most 65535"},
		{"empty header", raw("", 0), 10, "ends too early, want '{'"},
		{"not a dict", raw("('descr',)", 0), 10, `'(', want '{'`},
		{"code", raw("__import__('os')", 0), 10, `'_', want '{'`},
		{"empty dict", raw("{}", 0), 10, `"descr" is missing`},
		{"no shape", raw("{'descr': '<f4', 'fortran_order': False}", 0), 10, `"shape" is missing`},
		{"not closed", raw("{'descr': '<f4'", 0), 25, "ends too early"},
		{"no colon", raw("{'descr' '<f4'}", 0), 19, "want ':'"},
		{"no comma", raw("{'descr': '<f4' 'shape': ()}", 0), 26, "want '}'"},
		{"two commas", raw("{'descr': '<f4',, 'shape': ()}", 0), 26, "want a string in quotes"},
		{"key is a number", raw("{1: 2}", 0), 11, "want a string in quotes"},
		{"unknown key", raw("{'descr': '<f4', 'x': 1}", 0), 27, `unknown key "x"`},
		{"key twice", raw("{'descr': '<f4', 'descr': '<f4'}", 0), 27, "appears twice"},
		{"string not closed", raw("{'descr", 0), 11, "without its closing quote"},
		{"quotes differ", raw(`{'descr": '<f4'}`, 0), -1, "want ':'"},
		{"escape", raw(`{'de\x73cr': '<f4'}`, 0), 14, "inside a string"},
		{"zero byte", raw("{'descr': '<f4\x00'}", 0), 24, "inside a string"},
		{"rest", raw("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", 4), 64, "after the closing brace"},
		{"fortran number", raw("{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", 4), 44, "want True or False"},
		{"fortran lower case", raw("{'descr': '<f4', 'fortran_order': false, 'shape': ()}", 4), 44, "want True or False"},

		{"shape is a number", shape("4"), 60, "want '('"},
		{"shape is a number in parentheses", shape("(4)"), 60, "such as (4,)"},
		{"shape is a list", shape("[4]"), 60, "want '('"},
		{"shape not closed", shape("(4,"), 63, `shape holds "", want a number`},
		{"shape with a hole", shape("(4,,1)"), 63, `shape holds ""`},
		{"negative", shape("(-4, -1)"), 61, "negative number -4"},
		{"leading zero", shape("(2, 02)"), 64, "shape holds 02, want a number without leading zeros"},
		{"float", shape("(4.0,)"), 61, `"4.0", want a number`},
		{"word", shape("(None,)"), 61, `"None", want a number`},
		{"beyond int64", shape("(9223372036854775808,)"), 61, "too large"},
		{"product overflows", shape("(4294967296, 4294967296)"), 60, "too large"},
		{"bytes overflow", shape("(4611686018427387904,)"), 60, "too large"},
		{"overflow beside zero", shape("(0, 4294967296, 4294967296)"), 60, "too large"},
		{"rank", shape("(1" + strings.Repeat(",1", 64) + ")"), 60, "more than 64 dimensions"},
		{"huge", shape("(1000000000000,)"), -1, "truncated or its header is wrong"},
		{"one element too many", shape("(5,)"), -1, "needs 4 more bytes"},
		{"one element too few", shape("(3,)"), -1, "4 bytes follow"},

		{"objects", descr("'|O'"), 20, "Python objects"},
		{"complex", descr("'<c8'"), 20, "not supported"},
		{"date", descr("'<M8[ns]'"), 20, "not supported"},
		{"float128", descr("'<f16'"), 20, "not supported"},
		{"int3", descr("'<i3'"), 20, "not supported"},
		{"leading zero", descr("'<i04'"), 20, "not supported"},
		{"empty type", descr("''"), 20, "not supported"},
		{"order only", descr("'<'"), 20, "not supported"},
		{"wide string", descr("'|S99999999999'"), 20, "not supported"},
		{"structured", descr("[('a', '<f4')]"), 20, "structured arrays"},
		{"descr is a word", descr("None"), 20, "want a string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.npy")
			os.WriteFile(path, tt.content, 0o600)
			_, errRead := ReadFile(path)
			_, errOpen := Open(path)
			if errRead == nil || errOpen == nil || errRead.Error() != errOpen.Error() {
				t.Fatalf("ReadFile: %v\nOpen:     %v\nwant the same error", errRead, errOpen)
			}
			var bad *formats.InputError
			if !errors.As(errRead, &bad) || bad.Path != path || !strings.Contains(errRead.Error(), tt.want) || strings.Contains(errRead.Error(), "\n") {
				t.Fatalf("error = %v, want an InputError with %q", errRead, tt.want)
			}
			if tt.at >= 0 && bad.Offset != tt.at {
				t.Errorf("error = %v, want byte %d", errRead, tt.at)
			}
		})
	}
}

// Every truncation of a good file is an error that names the place, from a file and from a
// stream of unknown length.
func TestTruncated(t *testing.T) {
	var b bytes.Buffer
	Write(&b, []int{2, 3}, []int32{1, 2, 3, 4, 5, 6})
	for n := range b.Len() {
		for _, size := range []int64{int64(n), -1} {
			_, err := Read(bytes.NewReader(b.Bytes()[:n]), Source{Path: "x", Size: size})
			var bad *formats.InputError
			if !errors.As(err, &bad) || bad.Offset < 0 {
				t.Fatalf("first %d bytes, size %d: error = %v, want an InputError with its place", n, size, err)
			}
		}
	}
}

// A stream of unknown length may promise what it likes; memory follows what it delivers.
func TestUnknownLengthAllocation(t *testing.T) {
	b := raw("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", 100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(bytes.NewReader(b), Source{Path: "x", Size: -1})
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("error %v, %d bytes allocated, want an error and less than 1 MiB", err, after.TotalAlloc-before.TotalAlloc)
	}
}

func TestReadHeaderStream(t *testing.T) {
	var b bytes.Buffer
	Write(&b, []int{2}, []int32{1, 2})
	h, err := ReadHeader(&b)
	if err != nil || h.DType != Int32 || h.DataOffset != 128 || b.Len() != 8 {
		t.Errorf("ReadHeader = %+v, %v with %d bytes left, want 8", h, err, b.Len())
	}
	if _, err := ReadHeader(strings.NewReader("x")); err == nil {
		t.Error("ReadHeader of one byte: no error")
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(raw("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 16))
	f.Add(raw("{'descr': '>i8', 'fortran_order': True, 'shape': (3L, 1L)}", 24))
	f.Add(raw("{'descr': '<U2', 'fortran_order': True, 'shape': (2,)}", 16))
	f.Add(raw("{'descr': '|S0', 'fortran_order': True, 'shape': (2,)}", 0))
	f.Add(raw("{'descr': '<f2', 'fortran_order': True, 'shape': (0, 999999999999)}", 0))
	f.Fuzz(func(t *testing.T, content []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, err := Read(bytes.NewReader(content), Source{Path: "x", Size: int64(len(content))})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(8*len(content))+1<<20 {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(content))
		}
		if err != nil {
			var bad *formats.InputError
			if !errors.As(err, &bad) {
				t.Fatalf("error %v is no InputError", err)
			}
			return
		}
		checkReadable(t, a)
	})
}

// checkReadable runs every accessor and writes the header again.
func checkReadable(t *testing.T, a *Array) {
	t.Helper()
	h := a.Header()
	a.Strings()
	if !h.DType.Numeric() {
		return
	}
	v, err := a.Float64s()
	if err != nil || len(v) != h.Len() {
		t.Fatalf("Float64s of %v: %d values, %v", &h, len(v), err)
	}
	a.Int64s()
	a.Int32s()
	a.Uint8s()
	a.Bools()
	if len(h.Shape) == 2 {
		x := &File{header: h, path: "x", data: a.data}
		if err := x.ReadRows(make([]float32, h.Len()), 0, h.Shape[0]); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := WriteHeader(&out, h); err != nil {
		t.Fatal(err)
	}
	again, err := ReadHeader(&out)
	if err != nil || again.String() != h.String() || again.Fortran != h.Fortran || again.BigEndian != h.BigEndian || again.ItemSize != h.ItemSize {
		t.Fatalf("header %+v written and read: %+v, %v", h, again, err)
	}
}
