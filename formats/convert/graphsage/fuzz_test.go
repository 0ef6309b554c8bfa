package graphsage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
	"github.com/saint-gnn/saint/formats/npy"
)

// FuzzRead reads any bytes in place of each file: the result is valid or the error says where
// what is wrong, and what is accepted is the same once it was written.
func FuzzRead(f *testing.F) {
	feats := converttest.Array(f, []int{2, 1}, []float32{1, 2})
	f.Add([]byte(goodGraph), []byte(goodIDs), []byte(goodClasses), []byte{}, uint8(0))
	f.Add([]byte(goodGraph), []byte(goodIDs), []byte(goodClasses), feats, uint8(1))
	f.Add([]byte(`{"directed":true,"edges":[{"source":0,"target":1}],"nodes":[{"id":0,"val":0,"test":0},{"id":1}]}`), []byte(`{"0":0,"1":1}`), []byte(`{"0":[0,1],"1":[1,1]}`), feats, uint8(2))
	dir, out := f.TempDir(), filepath.Join(f.TempDir(), "out")
	f.Fuzz(func(t *testing.T, graph, ids, classes, feats []byte, links uint8) {
		converttest.Put(t, dir, map[string][]byte{"d" + graphSuffix: graph, "d" + idSuffix: ids, "d" + classSuffix: classes, "d" + featsSuffix: feats})
		o := ReadOptions{Links: []Links{LinksAuto, LinksAreIDs, LinksArePositions}[links%3]}
		raw, err := Read(t.Context(), filepath.Join(dir, "d"), o)
		if !converttest.Check(t, dir, raw, err) {
			return
		}
		defer os.RemoveAll(out)
		if err := Write(t.Context(), out, "x", raw, assemble.Reports{}); err != nil {
			t.Fatal(err)
		}
		again, err := Read(t.Context(), out, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		converttest.Same(t, again, raw)
	})
}

// FuzzWrite writes any data set and reads it again.
func FuzzWrite(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{5, 1, 2, 1, 255, 15, 3, 0, 7, 1, 9, 200, 0, 0, 128, 63})
	f.Add([]byte{11, 3, 3, 2, 255, 255, 1, 1, 2, 2, 4, 4})
	out := filepath.Join(f.TempDir(), "out")
	f.Fuzz(func(t *testing.T, data []byte) {
		defer os.RemoveAll(out)
		raw := converttest.FromBytes(data, false)
		if err := Write(t.Context(), out, "x", raw, assemble.Reports{}); err != nil {
			t.Fatal(err)
		}
		if _, err := npy.ReadFile(filepath.Join(out, "x"+featsSuffix)); err != nil {
			t.Fatal(err)
		}
		again, err := Read(t.Context(), out, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		converttest.Same(t, again, raw)
	})
}
