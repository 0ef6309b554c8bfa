package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// slowValue decodes one number the plain way: an int64, an uint64 or a float64.
func slowValue(dt DType, bigEndian bool, raw []byte) any {
	var u uint64
	for i, b := range raw {
		if bigEndian {
			u = u<<8 | uint64(b)
		} else {
			u |= uint64(b) << (8 * i)
		}
	}
	switch dt {
	case Bool:
		return int64(min(u, 1))
	case Int8:
		return int64(int8(u))
	case Int16:
		return int64(int16(u))
	case Int32:
		return int64(int32(u))
	case Int64:
		return int64(u)
	case Float16:
		sign, exponent, fraction := 1-2*float64(u>>15), int(u>>10&31), float64(u&1023)
		switch exponent {
		case 0:
			return sign * math.Ldexp(fraction, -24)
		case 31:
			if fraction != 0 {
				return math.NaN()
			}
			return math.Inf(int(sign))
		}
		return sign * math.Ldexp(1024+fraction, exponent-25)
	case Float32:
		return float64(math.Float32frombits(uint32(u)))
	case Float64:
		return math.Float64frombits(u)
	}
	return u
}

// slowInt returns v as a whole number, if it is one.
func slowInt(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v), true
	case uint64:
		return new(big.Int).SetUint64(v), true
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, false
		}
		i, accuracy := big.NewFloat(v).Int(nil)
		return i, accuracy == big.Exact
	}
	return nil, false
}

func slowFloats(v any) (float32, float64) {
	switch v := v.(type) {
	case int64:
		return float32(v), float64(v)
	case uint64:
		return float32(v), float64(v)
	case float64:
		return float32(v), v
	}
	return 0, 0
}

// sameFloat compares bits, but any NaN is as good as another.
func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

// checkInts compares what an accessor gives with the whole numbers of values that fit between
// lo and hi; one that does not must be an error.
func checkInts[D integer](t *testing.T, values []any, got []D, err error, lo int64, hi int64) {
	t.Helper()
	fits := true
	for i, v := range values {
		want, ok := slowInt(v)
		ok = ok && want.IsInt64() && want.Int64() >= lo && want.Int64() <= hi
		fits = fits && ok
		if ok && err == nil && int64(got[i]) != want.Int64() {
			t.Fatalf("element %d = %d, want %v", i, got[i], v)
		}
	}
	if fits != (err == nil) {
		t.Fatalf("%T of %v: error %v, want one: %t", got, values, err, !fits)
	}
	checkInput(t, err)
}

func checkInput(t *testing.T, err error) {
	t.Helper()
	var bad *formats.InputError
	if err != nil && !errors.As(err, &bad) {
		t.Fatalf("error %v is no InputError", err)
	}
}

// FuzzElements reads arrays of every type, byte order, order and rank and compares each
// accessor with a decoder that takes one element after the other.
func FuzzElements(f *testing.F) {
	f.Add(uint8(Float32), uint8(0), uint8(2), []byte{0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 192, 255, 1, 0, 0, 0})
	f.Add(uint8(Int64), uint8(1), uint8(1), []byte{128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 127, 255, 255, 255})
	f.Add(uint8(Uint64), uint8(2), uint8(3), bytes.Repeat([]byte{255}, 48))
	f.Add(uint8(Float16), uint8(3), uint8(2), []byte{60, 0, 188, 0, 0, 1, 124, 0, 126, 0, 3, 255})
	f.Add(uint8(Float64), uint8(6), uint8(2), make([]byte, 64))
	f.Add(uint8(Bool), uint8(0), uint8(2), []byte{0, 1, 2, 255})
	f.Add(uint8(Uint16), uint8(1), uint8(1), []byte{0, 1, 255, 255})
	f.Add(uint8(Unicode), uint8(1), uint8(2), []byte{0, 0, 0, 'a', 0, 1, 0, 0, 0, 0, 216, 0})
	f.Add(uint8(Bytes), uint8(0), uint8(3), []byte("csr"))
	f.Fuzz(func(t *testing.T, dtype, flags, rows uint8, body []byte) {
		h := Header{DType: DType(dtype%uint8(Unicode) + 1), BigEndian: flags&1 != 0, Fortran: flags&2 != 0}
		h.ItemSize = h.DType.Size()
		if h.BigEndian && (h.ItemSize == 1) {
			h.BigEndian = false
		}
		if !h.DType.Numeric() {
			h.ItemSize *= int(flags>>4) + 1
		}
		count, n := len(body)/h.ItemSize, max(1, int(rows%9))
		switch flags >> 2 & 3 {
		case 0:
			h.Shape = []int{count}
		case 1:
			h.Shape = []int{n, count / n}
		case 2:
			h.Shape = []int{count / n, n}
		default:
			h.Shape = []int{2, n, count / n / 2}
		}
		count = h.Len()
		body = body[:count*h.ItemSize]
		var file bytes.Buffer
		if err := WriteHeader(&file, h); err != nil {
			t.Fatal(err)
		}
		file.Write(body)
		a, err := Read(bytes.NewReader(file.Bytes()), Source{Path: "x", Size: int64(file.Len())})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Header(); got.String() != h.String() || got.Fortran != h.Fortran || got.BigEndian != h.BigEndian || got.ItemSize != h.ItemSize {
			t.Fatalf("header %+v, want %+v", got, h)
		}
		if !h.DType.Numeric() {
			checkStrings(t, a, &h, body)
			return
		}
		inFile := make([]any, count)
		for i := range inFile {
			inFile[i] = slowValue(h.DType, h.BigEndian, body[i*h.ItemSize:(i+1)*h.ItemSize])
		}
		values := make([]any, count)
		for i := range values {
			values[i] = inFile[slowIndex(i, &h)]
		}
		checkAccessors(t, a, values)
		checkReader(t, file.Bytes(), inFile, int(rows)%5+1)
		checkMatrix(t, &File{header: a.Header(), path: "x", data: body}, values)
	})
}

// slowIndex returns where in the file the element stands that is the i-th in C order.
func slowIndex(i int, h *Header) int {
	if !h.Fortran {
		return i
	}
	index := make([]int, len(h.Shape))
	for k := len(h.Shape) - 1; k >= 0; k-- {
		index[k] = i % h.Shape[k]
		i /= h.Shape[k]
	}
	at, stride := 0, 1
	for k, d := range h.Shape {
		at += index[k] * stride
		stride *= d
	}
	return at
}

func checkAccessors(t *testing.T, a *Array, values []any) {
	t.Helper()
	f32, err32 := a.Float32s()
	f64, err64 := a.Float64s()
	if err32 != nil || err64 != nil || len(f32) != len(values) || len(f64) != len(values) {
		t.Fatalf("%d and %d floats of %d elements, errors %v, %v", len(f32), len(f64), len(values), err32, err64)
	}
	for i, v := range values {
		if w32, w64 := slowFloats(v); !sameFloat(float64(f32[i]), float64(w32)) || !sameFloat(f64[i], w64) {
			t.Fatalf("element %d = %v and %v, want %v", i, f32[i], f64[i], v)
		}
	}
	i64, err := a.Int64s()
	checkInts(t, values, i64, err, math.MinInt64, math.MaxInt64)
	i32, err := a.Int32s()
	checkInts(t, values, i32, err, math.MinInt32, math.MaxInt32)
	u8, err := a.Uint8s()
	checkInts(t, values, u8, err, 0, math.MaxUint8)
	bools, err := a.Bools()
	checkInts(t, values, u8, err, 0, 1)
	for i, b := range bools {
		if b != (u8[i] == 1) {
			t.Fatalf("element %d = %t, want %d", i, b, u8[i])
		}
	}
	// What was read is written and read again.
	var again bytes.Buffer
	if err := Write(&again, a.Shape(), f64); err != nil {
		t.Fatal(err)
	}
	if n, err := Size(a.Shape(), f64); err != nil || n != int64(again.Len()) {
		t.Fatalf("Size = %d, %v, want %d", n, err, again.Len())
	}
	b, err := Read(&again, Source{Path: "again", Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.Float64s()
	if err != nil || len(back) != len(f64) {
		t.Fatalf("%d values written and read: %d, %v", len(f64), len(back), err)
	}
	for i := range back {
		if !sameFloat(back[i], f64[i]) {
			t.Fatalf("element %d written and read = %v, want %v", i, back[i], f64[i])
		}
	}
}

// checkReader takes the elements step by step in the order of the file.
func checkReader(t *testing.T, file []byte, values []any, step int) {
	t.Helper()
	open := func() *Reader {
		r, err := NewReader(bytes.NewReader(file), Source{Path: "x", Size: int64(len(file))})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	floats, ints := open(), open()
	for at := 0; at < len(values); at += step {
		n := min(step, len(values)-at)
		x, k := make([]float32, n), make([]int32, n)
		if err := floats.Float32s(x); err != nil {
			t.Fatal(err)
		}
		for i, v := range values[at : at+n] {
			if want, _ := slowFloats(v); !sameFloat(float64(x[i]), float64(want)) {
				t.Fatalf("element %d = %v, want %v", at+i, x[i], v)
			}
		}
		if ints == nil {
			continue
		}
		if at%2 == 0 {
			if err := ints.Skip(n); err != nil {
				t.Fatal(err)
			}
			continue
		}
		err := ints.Int32s(k)
		checkInts(t, values[at:at+n], k, err, math.MinInt32, math.MaxInt32)
		if err != nil {
			ints = nil
		}
	}
	if floats.Left() != 0 || floats.Float32s(make([]float32, 1)) == nil {
		t.Fatalf("%d elements left, want none, and an error for more", floats.Left())
	}
}

// checkMatrix reads and gathers rows of a matrix.
func checkMatrix(t *testing.T, x *File, values []any) {
	t.Helper()
	h := x.Header()
	if len(h.Shape) != 2 {
		if err := x.ReadRows(nil, 0, 0); err == nil {
			t.Fatalf("rows of %v: no error", &h)
		}
		return
	}
	rows, cols := h.Shape[0], h.Shape[1]
	lo := rows / 3
	dst := make([]float32, (rows-lo)*cols)
	if err := x.ReadRows(dst, lo, rows); err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, rows)
	for i := range ids {
		ids[i] = int32(rows - 1 - i)
	}
	gathered := make([]float32, rows*cols)
	if err := x.GatherRows(gathered, ids); err != nil {
		t.Fatal(err)
	}
	m, plain := x.Float32Matrix()
	for i, v := range values {
		want, _ := slowFloats(v)
		r, c := i/cols, i%cols
		if r >= lo && !sameFloat(float64(dst[(r-lo)*cols+c]), float64(want)) || !sameFloat(float64(gathered[(rows-1-r)*cols+c]), float64(want)) {
			t.Fatalf("row %d, column %d: %v and %v, want %v", r, c, dst[max(0, r-lo)*cols+c], gathered[(rows-1-r)*cols+c], v)
		}
		if plain && math.Float32bits(m[i]) != math.Float32bits(want) && want == want {
			t.Fatalf("element %d of the matrix = %v, want %v", i, m[i], v)
		}
	}
}

// checkStrings compares strings with their characters.
func checkStrings(t *testing.T, a *Array, h *Header, body []byte) {
	t.Helper()
	got, err := a.Strings()
	checkInput(t, err)
	if err != nil {
		return
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if h.BigEndian {
		order = binary.BigEndian
	}
	for i, s := range got {
		raw := body[i*h.ItemSize : (i+1)*h.ItemSize]
		var want []byte
		if h.DType == Bytes {
			want = raw
		} else {
			for ; len(raw) > 0; raw = raw[4:] {
				want = append(want, string(rune(order.Uint32(raw)))...)
			}
		}
		if want := string(bytes.TrimRight(want, "\x00")); s != want {
			t.Fatalf("string %d = %q, want %q", i, s, want)
		}
	}
	if _, err := a.Float64s(); err == nil {
		t.Fatal("strings are read as numbers")
	}
}
