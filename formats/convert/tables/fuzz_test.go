package tables

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

// FuzzRead reads any bytes as the two tables: the result is valid, or the error says where
// what is wrong.
func FuzzRead(f *testing.F) {
	for _, format := range []Format{Parquet, Arrow} {
		dir := folder(f, format)
		nodes, err := os.ReadFile(filepath.Join(dir, nodesName+"."+string(format)))
		if err != nil {
			f.Fatal(err)
		}
		edges, err := os.ReadFile(filepath.Join(dir, edgesName+"."+string(format)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(nodes, edges, true)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, nodes, edges []byte, weights bool) {
		// The bytes say what they are, not the names.
		converttest.Put(t, dir, map[string][]byte{nodesName + ".parquet": nodes, edgesName + ".parquet": edges})
		raw, err := Read(t.Context(), dir, ReadOptions{EdgeWeight: weights})
		converttest.Check(t, dir, raw, err)
	})
}

// FuzzWrite writes any data set and reads it again.
func FuzzWrite(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{5, 1, 2, 1, 255, 15, 3, 0, 7, 1, 9, 200, 0, 0, 128, 63}, true)
	f.Add([]byte{11, 3, 3, 2, 255, 255, 1, 1, 2, 2, 4, 4}, false)
	out := filepath.Join(f.TempDir(), "out")
	f.Fuzz(func(t *testing.T, data []byte, arrow bool) {
		defer os.RemoveAll(out)
		raw, format := converttest.FromBytes(data, false), Parquet
		if arrow {
			format = Arrow
		}
		if err := Write(t.Context(), out, raw, format, assemble.Reports{}); err != nil {
			t.Fatal(err)
		}
		again, err := Read(t.Context(), out, ReadOptions{EdgeWeight: raw.Full.Weights != nil})
		if err != nil {
			t.Fatal(err)
		}
		converttest.Same(t, again, raw)
	})
}
