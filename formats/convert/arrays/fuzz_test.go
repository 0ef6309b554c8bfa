package arrays

import (
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

// FuzzRead reads any bytes in place of each array, as a folder of files and as an archive:
// both give the same, a valid data set or an error that says where what is wrong.
func FuzzRead(f *testing.F) {
	e := good()
	array := func(name string) []byte { return converttest.Array(f, e[name].Shape, e[name].Data) }
	edges, x, y, train, val := array("edge_index"), array("x"), array("y"), array("train_mask"), array("val_mask")
	weights := converttest.Array(f, []int{4}, []float32{1, 2, 3, 0.5})
	f.Add(edges, []byte{}, x, y, train, val, []byte{}, uint8(0))
	f.Add(edges, weights, []byte{}, y, train, val, []byte{}, uint8(3))
	f.Add(edges, weights, x, converttest.Array(f, []int{3, 2}, []bool{true, false, true, true, false, false}), []byte{}, []byte{}, []byte{}, uint8(4))
	dir, archives := f.TempDir(), f.TempDir()
	f.Fuzz(func(t *testing.T, edges, weights, x, y, train, val, test []byte, flags uint8) {
		o := Options{EdgeWeight: flags&1 != 0, SplitColumn: int(flags >> 5)}
		o.Undirected, o.TargetRows = flags&2 != 0, flags&8 != 0
		if flags&4 != 0 {
			o.Split = &assemble.Split{Fractions: assemble.Fractions{0.5, 0.25, 0.25}, Seed: 1}
		}
		members := map[string][]byte{"edge_index": edges, "edge_weight": weights, "x": x, "y": y, "train_mask": train, "val_mask": val, "test_mask": test}
		files := map[string][]byte{}
		for name, b := range members {
			files[name+".npy"] = b
		}
		converttest.Put(t, dir, files)
		raw, err := Read(t.Context(), dir, o)
		ok := converttest.Check(t, dir, raw, err)
		converttest.Put(t, archives, map[string][]byte{"a.npz": converttest.Stored(t, members)})
		path := filepath.Join(archives, "a.npz")
		packed, err := Read(t.Context(), path, o)
		if converttest.Check(t, path, packed, err) != ok {
			t.Fatalf("folder: accepted %t; archive: %v", ok, err)
		}
		if ok {
			converttest.Same(t, packed, raw)
		}
	})
}
