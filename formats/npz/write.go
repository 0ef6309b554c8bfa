package npz

import (
	"archive/zip"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/internal/atomicfile"
)

// Entry is one array to write.
type Entry struct {
	Name  string // without .npy
	Shape []int
	Data  any // what npy.Write accepts
}

// WriteFile writes the entries in their order to the archive at path, deflated if compress
// is set; the file is complete or absent. Equal entries give equal bytes: the members bear
// the first day that zip knows, as NumPy's own do.
func WriteFile(path string, compress bool, entries []Entry) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, compress, entries) })
}

// Write is WriteFile for any writer.
func Write(w io.Writer, compress bool, entries []Entry) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.DefaultCompression)
	})
	method := zip.Store
	if compress {
		method = zip.Deflate
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Name == "" || seen[e.Name] {
			return fmt.Errorf("npz: array name %q is empty or appears twice", e.Name)
		}
		seen[e.Name] = true
		member, err := z.CreateHeader(&zip.FileHeader{
			Name: e.Name + ".npy", Method: method, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			return fmt.Errorf("npz: array %s: %w", e.Name, err)
		}
		if err := npy.Write(member, e.Shape, e.Data); err != nil {
			return fmt.Errorf("npz: array %s: %w", e.Name, err)
		}
	}
	return z.Close()
}
