package shchur

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/convert/converttest"
	"github.com/saint-gnn/saint/formats/npy"
)

// FuzzRead reads any bytes in place of each array: the result is valid or the error says
// where what is wrong.
func FuzzRead(f *testing.F) {
	seed := map[string][]byte{}
	for _, e := range good() {
		seed[e.Name] = converttest.Array(f, e.Shape, e.Data)
	}
	dense := converttest.Array(f, []int{4, 2}, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(seed["adj_data"], seed["adj_indices"], seed["adj_indptr"], seed["adj_shape"],
		seed["attr_data"], seed["attr_indices"], seed["attr_indptr"], seed["attr_shape"], seed["labels"], uint8(0))
	f.Add(seed["adj_data"], seed["adj_indices"], seed["adj_indptr"], seed["adj_shape"],
		dense, []byte{}, []byte{}, []byte{}, seed["labels"], uint8(3))
	dir := f.TempDir()
	path := filepath.Join(dir, "a.npz")
	f.Fuzz(func(t *testing.T, data, indices, indptr, shape, attr, attrIndices, attrIndptr, attrShape, labels []byte, flags uint8) {
		if size, err := npy.Read(bytes.NewReader(attrShape), npy.Source{Size: int64(len(attrShape))}); err == nil {
			if v, err := size.Int64s(); err == nil && len(v) == 2 && max(v[0], v[1]) > 1<<12 {
				t.Skip("up to 1 GiB of features are allowed, which takes too long")
			}
		}
		members := map[string][]byte{
			"adj_data": data, "adj_indices": indices, "adj_indptr": indptr, "adj_shape": shape,
			"attr_data": attr, "attr_indices": attrIndices, "attr_indptr": attrIndptr, "attr_shape": attrShape, "labels": labels,
		}
		if len(attrShape) == 0 {
			members["attr_matrix"] = attr
			delete(members, "attr_data")
		}
		converttest.Put(t, dir, map[string][]byte{"a.npz": converttest.Stored(t, members)})
		o := Options{Split: split, EdgeWeight: flags&1 != 0}
		o.Undirected, o.TargetRows = flags&2 != 0, flags&4 != 0
		raw, err := Read(t.Context(), path, o)
		converttest.Check(t, path, raw, err)
	})
}
