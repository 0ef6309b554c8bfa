package npz

import (
	"archive/zip"
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats/npy"
)

// fuzzTypes are the types that FuzzCSR gives its arrays.
var fuzzTypes = [...]npy.DType{
	npy.Int32, npy.Int64, npy.Bool, npy.Float32, npy.Uint8, npy.Int8, npy.Uint16, npy.Uint32, npy.Uint64, npy.Float16, npy.Float64, npy.Bytes,
}

// fuzzArray returns the file of an array of one dimension with the elements in body.
func fuzzArray(t *testing.T, kind uint8, body []byte) []byte {
	t.Helper()
	h := npy.Header{DType: fuzzTypes[int(kind&15)%len(fuzzTypes)], BigEndian: kind&16 != 0}
	h.ItemSize = h.DType.Size()
	h.BigEndian = h.BigEndian && h.ItemSize > 1
	h.Shape = []int{len(body) / h.ItemSize}
	if kind&32 != 0 {
		h.Shape = append(h.Shape, 1)
	}
	var b bytes.Buffer
	if err := npy.WriteHeader(&b, h); err != nil {
		t.Fatal(err)
	}
	b.Write(body[:len(body)/h.ItemSize*h.ItemSize])
	return b.Bytes()
}

// stored packs members as they are, so that what the fuzzer changes is not hidden behind a
// checksum.
func stored(t *testing.T, members map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"indices", "indptr", "format", "shape", "data"} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(members[name])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzCSR reads matrices of any content in intact archives: exactly the valid ones are
// accepted, and they are read again as they were written.
func FuzzCSR(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, []byte{1, 1, 1}, int64(2), int64(3), uint8(0), uint8(0), uint8(2), "csr")
	f.Add([]byte{0, 1, 1}, []byte{0}, []byte{0, 0, 128, 63}, int64(2), int64(1), uint8(4), uint8(5), uint8(3), "csr")
	f.Add([]byte{0, 2, 1}, []byte{0}, []byte{0, 60}, int64(2), int64(1), uint8(4), uint8(4), uint8(9), "csc")
	f.Add(make([]byte, 8), []byte{}, []byte{}, int64(0), int64(math.MaxInt32), uint8(1), uint8(1), uint8(10), "csr\x00")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, indptr, indices, data []byte, rows, cols int64, pk, ik, dk uint8, format string) {
		var shape, name bytes.Buffer
		npy.Write(&shape, []int{2}, []int64{rows, cols})
		npy.WriteHeader(&name, npy.Header{DType: npy.Bytes, ItemSize: max(1, len(format))})
		name.WriteString(format)
		if format == "" {
			name.WriteByte(0)
		}
		p, i, d := fuzzArray(t, pk, indptr), fuzzArray(t, ik, indices), fuzzArray(t, dk, data)
		file := stored(t, map[string][]byte{"indptr": p, "indices": i, "data": d, "shape": shape.Bytes(), "format": name.Bytes()})
		a, err := list("x", bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		m, err := readCSR(a)
		valid := string(bytes.TrimRight([]byte(format), "\x00")) == "csr" && validCSR(p, i, d, rows, cols)
		if err != nil {
			checkError(t, err)
			if valid {
				t.Fatalf("a valid matrix is refused: %v", err)
			}
			return
		}
		if !valid {
			t.Fatalf("a bad matrix is accepted: %+v", m)
		}
		values, err := m.readData(a)
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, filepath.Join(dir, "m.npz"), m, values, pk&64 != 0)
	})
}

// validCSR says in the plainest words what a matrix is.
func validCSR(indptr, indices, data []byte, rows, cols int64) bool {
	ints := func(b []byte, whole bool) ([]int64, npy.Header) {
		a, err := npy.Read(bytes.NewReader(b), npy.Source{Size: int64(len(b))})
		if err != nil {
			return nil, npy.Header{}
		}
		h := a.Header()
		v, err := a.Int64s()
		if whole && (err != nil || h.DType == npy.Bool || h.DType >= npy.Float16) {
			return nil, npy.Header{}
		}
		return v, h
	}
	p, ph := ints(indptr, true)
	i, ih := ints(indices, true)
	_, dh := ints(data, false)
	if len(ph.Shape) != 1 || len(ih.Shape) != 1 || len(dh.Shape) != 1 || !dh.DType.Numeric() || dh.Shape[0] != len(i) {
		return false
	}
	if rows < 0 || cols < 0 || cols > math.MaxInt32 || int64(len(p)) != rows+1 || p[0] != 0 || p[rows] != int64(len(i)) {
		return false
	}
	return slices.IsSorted(p) && !slices.ContainsFunc(i, func(c int64) bool { return c < 0 || c >= cols })
}

// checkRoundTrip writes a matrix that was read and reads it again.
func checkRoundTrip(t *testing.T, path string, m *CSR, values []float32, compress bool) {
	t.Helper()
	if err := WriteCSR(path, m.Rows, m.Cols, m.Indptr, m.Indices, values, compress); err != nil {
		t.Fatal(err)
	}
	again, err := ReadCSR(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Data()
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b }
	if err != nil || again.Rows != m.Rows || again.Cols != m.Cols || !slices.Equal(again.Indptr, m.Indptr) ||
		!slices.Equal(again.Indices, m.Indices) || !slices.EqualFunc(got, values, same) {
		t.Fatalf("written and read: %+v, %v, %v, want %+v, %v", again, got, err, m, values)
	}
}
