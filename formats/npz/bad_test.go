package npz

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

// member is one entry of a zip archive that may lie about itself.
type member struct {
	name    string
	content []byte
	deflate bool
	edit    func(h *zip.FileHeader)
}

func archive(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		packed := m.content
		h := &zip.FileHeader{Name: m.name, CRC32: crc32.ChecksumIEEE(m.content), UncompressedSize64: uint64(len(m.content))}
		if m.deflate {
			h.Method = zip.Deflate
			var d bytes.Buffer
			w, _ := flate.NewWriter(&d, 9)
			w.Write(m.content)
			w.Close()
			packed = d.Bytes()
		}
		h.CompressedSize64 = uint64(len(packed))
		if m.edit != nil {
			m.edit(h)
		}
		w, err := z.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(packed)
	}
	z.Close()
	return b.Bytes()
}

func array(t testing.TB, shape []int, data any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := npy.Write(&b, shape, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadArchives(t *testing.T) {
	good := array(t, []int{4}, []int32{1, 2, 3, 4})
	zeros := array(t, []int{100_000}, make([]uint8, 100_000))
	huge := func(n int) []byte {
		var b bytes.Buffer
		npy.WriteHeader(&b, npy.Header{DType: npy.Uint8, Shape: []int{n}})
		return b.Bytes()
	}
	whole := archive(t, member{name: "a.npy", content: good})
	corrupt := bytes.Replace(bytes.Clone(whole), []byte{3, 0, 0, 0}, []byte{9, 0, 0, 0}, 1)
	at := bytes.Index(corrupt, []byte{1, 0, 0, 0, 2, 0, 0, 0})
	binary.LittleEndian.PutUint32(corrupt[at:], 77)
	tests := []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty file", nil, "not a zip archive"},
		{"text", []byte("hello"), "not a zip archive"},
		{"npy", good, "not a zip archive"},
		{"truncated", whole[:len(whole)-1], "not a zip archive"},
		{"twice", archive(t, member{name: "a", content: good}, member{name: "a.npy", content: good}), "array a appears twice"},
		{"nothing inside", archive(t), "array a is missing; the archive holds nothing"},
		{"other names", archive(t, member{name: "b.npy", content: good}), "array a is missing; the archive holds b"},
		{"line break in a name", archive(t, member{name: "a\n.npy", content: good}), `unprintable name "a\n.npy"`},
		{"folder only", archive(t, member{name: "a.npy/"}), "array a is missing"},
		{"encrypted", archive(t, member{"a.npy", good, false, func(h *zip.FileHeader) { h.Flags |= 1 }}), "is encrypted"},
		{"method", archive(t, member{"a.npy", good, false, func(h *zip.FileHeader) { h.Method = 12 }}), "compression method 12"},
		{"checksum", archive(t, member{"a.npy", good, true, func(h *zip.FileHeader) { h.CRC32++ }}), "checksum"},
		{"changed byte", corrupt, "checksum"},
		{"stored size lies", archive(t, member{"a.npy", good, false, func(h *zip.FileHeader) { h.UncompressedSize64++ }}), "cannot hold the declared"},
		{"packed beyond the file", archive(t, member{"a.npy", good, false, func(h *zip.FileHeader) { h.CompressedSize64, h.UncompressedSize64 = 1<<20, 1<<20 }}), "packed bytes in a file of"},
		{"declares 1 TiB", archive(t, member{"a.npy", huge(1<<40 - 128), true, func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 40 }}), "cannot hold the declared 1099511627776"},
		{"declares 2^63", archive(t, member{"a.npy", good, true, func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 63 }}), "cannot hold the declared"},
		{"declares a little more", archive(t, member{"a.npy", huge(20_000), true, func(h *zip.FileHeader) { h.UncompressedSize64 = 20_128 }}), "the file ends here"},
		{"declares less", archive(t, member{"a.npy", good, true, func(h *zip.FileHeader) { h.UncompressedSize64 -= 4 }}), "needs 4 more bytes"},
		{"unpacks to more", archive(t, member{"a.npy", zeros, true, func(h *zip.FileHeader) { h.UncompressedSize64 = 144 }}), "needs 99984 more bytes"},
		{"more bytes than declared", archive(t, member{"a.npy", append(bytes.Clone(good), 0), true, func(h *zip.FileHeader) { h.UncompressedSize64-- }}), "array a: "},
		{"header needs less than the entry", archive(t, member{name: "a.npy", content: append(bytes.Clone(good), 0)}), "1 bytes follow"},
		{"not an array", archive(t, member{name: "a.npy", content: []byte("hello world")}), "array a: byte 0: not a NumPy array"},
		{"empty member", archive(t, member{name: "a.npy"}), "array a: byte 0: the file ends here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.npz")
			os.WriteFile(path, tt.content, 0o600)
			wantInputError(t, readOne(path, "a"), path, tt.want)
		})
	}
	if err := readOne(filepath.Join(t.TempDir(), "no.npz"), "a"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := readOne(t.TempDir(), "a"); err == nil {
		t.Error("folder: no error")
	}
}

func readOne(path, name string) error {
	a, err := Open(path)
	if err != nil {
		return err
	}
	defer a.Close()
	_, err = a.Read(name)
	return err
}

// Members without the suffix are arrays too.
func TestNamesWithoutSuffix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	os.WriteFile(path, archive(t, member{name: "a", content: array(t, nil, []float32{2})}, member{name: "dir/"}), 0o600)
	if err := readOne(path, "a"); err != nil {
		t.Error(err)
	}
}

func TestTruncatedCSR(t *testing.T) {
	whole, err := os.ReadFile("testdata/csr_float32.npz")
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		_, err := list("x", bytes.NewReader(whole[:n]), int64(n))
		wantInputError(t, err, "x", "not a zip archive")
	}
	// The directory, at the end, is whole; what it points at is not.
	for n := 1; n < len(whole); n++ {
		a, err := list("x", bytes.NewReader(whole[n:]), int64(len(whole)-n))
		if err == nil {
			_, err = readCSR(a)
		}
		if err == nil {
			t.Fatalf("without the first %d bytes: no error", n)
		}
		checkError(t, err)
	}
}

func TestWriteBad(t *testing.T) {
	one := []float32{1}
	for name, entries := range map[string][]Entry{
		"empty name": {{"", nil, one}}, "twice": {{"a", nil, one}, {"a", nil, one}}, "shape": {{"a", []int{2}, one}}, "type": {{"a", nil, 1}},
	} {
		path := filepath.Join(t.TempDir(), "x.npz")
		if err := WriteFile(path, false, entries); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the file exists", name)
		}
	}
	path := filepath.Join(t.TempDir(), "x.npz")
	for name, err := range map[string]error{
		"rows":    WriteCSR(path, 2, 2, []int64{0, 1}, []int32{1}, one, false),
		"column":  WriteCSR(path, 1, 1, []int64{0, 1}, []int32{1}, one, false),
		"values":  WriteCSR(path, 1, 2, []int64{0, 1}, []int32{1}, []float32{1, 2}, false),
		"nothing": WriteCSR(path, 0, 0, nil, nil, one, false),
	} {
		if err == nil {
			t.Errorf("WriteCSR with bad %s: no error", name)
		}
	}
}

func FuzzNpz(f *testing.F) {
	for _, name := range []string{"csr_float32", "csr_bool", "csr_int64_unicode", "coo", "zip64"} {
		b, err := os.ReadFile("testdata/" + name + ".npz")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, err := list("x", bytes.NewReader(content), int64(len(content)))
		var m *CSR
		if err == nil {
			m, err = readCSR(a)
		}
		runtime.ReadMemStats(&after)
		// Unpacked arrays and their conversion to int64, beside buffers of a fixed size.
		if n := after.TotalAlloc - before.TotalAlloc; n > 10*maxRatio*uint64(len(content))+4<<20 {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(content))
		}
		if err != nil {
			checkError(t, err)
			return
		}
		if _, err := m.readData(a); err != nil {
			checkError(t, err)
		}
		if err := m.checkIndices(); err != nil || len(m.Indptr) != m.Rows+1 {
			t.Fatalf("accepted a bad matrix: %v", err)
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var bad *formats.InputError
	if !errors.As(err, &bad) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v is no InputError", err)
	}
}

func BenchmarkReadCSR(b *testing.B) {
	const rows, degree = 100_000, 50
	indptr, indices := make([]int64, rows+1), make([]int32, rows*degree)
	data := make([]bool, rows*degree)
	for i := range indices {
		indices[i] = int32(uint32(i) * 2654435761 % rows)
		data[i] = true
	}
	for i := range indptr {
		indptr[i] = int64(i) * degree
	}
	for name, compress := range map[string]bool{"stored": false, "deflated": true} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "m.npz")
			if err := WriteCSR(path, rows, rows, indptr, indices, data, compress); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(4 * rows * degree)
			for b.Loop() {
				if _, err := ReadCSR(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestReadBeyondMemory: a member that is larger than memory is refused before anything of
// its size is allocated.
func TestReadBeyondMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big.npz")
	if err := WriteFile(path, true, []Entry{{Name: "a", Shape: []int{1000}, Data: make([]float64, 1000)}}); err != nil {
		t.Fatal(err)
	}
	limit := maxBytes
	defer func() { maxBytes = limit }()
	for _, tt := range []struct {
		limit int64
		ok    bool
	}{{4096, false}, {1 << 20, true}} {
		maxBytes = func() int64 { return tt.limit }
		a, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Read("a")
		var in *formats.InputError
		if ok := err == nil; ok != tt.ok || !ok && (!errors.As(err, &in) || !strings.Contains(err.Error(), "than the 4096 that this process may use")) {
			t.Errorf("Read with %d bytes of memory = %v, want success: %v", tt.limit, err, tt.ok)
		}
		a.Close()
	}
}
