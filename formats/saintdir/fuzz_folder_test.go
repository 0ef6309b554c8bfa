package saintdir

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

// fuzzArray returns an array of one of all types with the elements in body, in rows of that
// many columns; 0: of one dimension.
func fuzzArray(kind uint8, columns int, body []byte) []byte {
	h := npy.Header{DType: npy.DType(kind%uint8(npy.Bytes)) + 1, BigEndian: kind&64 != 0, Fortran: kind&128 != 0}
	h.ItemSize = h.DType.Size()
	h.BigEndian = h.BigEndian && h.ItemSize > 1
	if h.Shape = []int{len(body) / h.ItemSize}; columns > 0 {
		h.Shape = []int{h.Shape[0] / columns, columns}
	}
	var b bytes.Buffer
	npy.WriteHeader(&b, h) // a buffer takes all
	b.Write(body[:h.DataSize()])
	return b.Bytes()
}

// checkFileError wants an InputError of one line about a file.
func checkFileError(t *testing.T, path string, err error) {
	t.Helper()
	var in *formats.InputError
	if !errors.As(err, &in) || !strings.HasPrefix(err.Error(), path) || strings.ContainsAny(err.Error(), "\r\n") {
		t.Fatalf("error %q, want an InputError of one line about %s", err, path)
	}
}

// FuzzRoleArrays reads role.npz with any arrays: it is accepted, or not, as the same role.json
// is, with the same nodes.
func FuzzRoleArrays(f *testing.F) {
	const i64, i32, u8 = 4, 3, 5 // kinds
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0}, []byte{2, 0, 0, 0}, []byte{}, uint8(i32-1), uint8(i32-1), uint8(i64-1))
	f.Add([]byte{5, 3, 4}, []byte{1, 2}, []byte{0, 9}, uint8(u8), uint8(u8), uint8(u8))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1}, []byte{}, []byte{}, uint8(64+i64-1), uint8(11), uint8(11))
	dir := f.TempDir()
	packed, text := filepath.Join(dir, roleFileNPZ), filepath.Join(dir, roleFile)
	f.Fuzz(func(t *testing.T, tr, va, te []byte, k0, k1, k2 uint8) {
		var entries [3][]byte
		var lists [3]string
		plain := true
		for i, body := range [][]byte{tr, va, te} {
			var ok bool
			entries[i] = fuzzArray([...]uint8{k0, k1, k2}[i], 0, body)
			lists[i], ok = roleList(t, entries[i])
			plain = plain && ok
		}
		writeArchive(t, packed, roleKeys[:], entries[:])
		json := fmt.Sprintf(`{"tr":%s,"va":%s,"te":%s}`, lists[0], lists[1], lists[2])
		if err := os.WriteFile(text, []byte(json), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readRoles(packed)
		want, wantErr := readRoles(text)
		if (err == nil) != (plain && wantErr == nil) {
			t.Fatalf("arrays: %v; %s: %v", err, json, wantErr)
		}
		if err != nil {
			checkFileError(t, packed, err)
		}
		if wantErr != nil {
			checkFileError(t, text, wantErr)
		}
		if err == nil {
			sameRoles(t, got, want)
		}
	})
}

// roleList returns the elements of an array as a JSON list, and whether a role may have them.
func roleList(t *testing.T, file []byte) (string, bool) {
	t.Helper()
	a, err := npy.Read(bytes.NewReader(file), npy.Source{Size: int64(len(file))})
	if err != nil {
		t.Fatal(err)
	}
	v, err := a.Int64s()
	return strings.ReplaceAll(fmt.Sprint(v), " ", ","), err == nil && (isInteger(a.Header().DType) || len(v) == 0)
}

func sameRoles(t *testing.T, got, want *roleSet) {
	t.Helper()
	for i := range got.nodes {
		if !slices.Equal(got.nodes[i], want.nodes[i]) {
			t.Fatalf("role %s = %v, want %v", roleKeys[i], got.nodes[i], want.nodes[i])
		}
	}
	n := int(slices.Max(slices.Concat(got.nodes[0], got.nodes[1], got.nodes[2])))
	if err := got.checkRange(n + 1); err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		checkFileError(t, got.path, got.checkRange(n))
		checkFileError(t, want.path, want.checkRange(n))
	}
}

// writeArchive stores arrays as they are.
func writeArchive(t *testing.T, path string, names []string, arrays [][]byte) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, name := range names {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(arrays[i])
	}
	if err := errors.Join(z.Close(), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// FuzzLabelArray reads labels.npy of any type: what is accepted are the labels of the same
// class_map.json.
func FuzzLabelArray(f *testing.F) {
	f.Add([]byte{0, 2, 1, 255}, uint8(1), uint8(0))
	f.Add([]byte{0, 1, 1, 1, 0, 0}, uint8(0), uint8(2))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255, 255, 255, 255, 255}, uint8(64+4), uint8(0))
	f.Add([]byte{0, 1, 1, 1, 0, 0}, uint8(128+5), uint8(3))
	dir := f.TempDir()
	array, text := filepath.Join(dir, labelFileNPY), filepath.Join(dir, labelFile)
	f.Fuzz(func(t *testing.T, body []byte, kind, columns uint8) {
		if err := os.WriteFile(array, fuzzArray(kind, int(columns%6), body), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := readLabels(array)
		if err != nil {
			checkFileError(t, array, err)
			return
		}
		json, roles := labelText(l)
		if json == "" {
			return // nobody has a label, so nobody may have a role either
		}
		if err := os.WriteFile(text, []byte(json), 0o600); err != nil {
			t.Fatal(err)
		}
		same, err := readLabels(text)
		if err != nil {
			t.Fatal(err)
		}
		n := l.entries()
		got, err := l.place(n, roles)
		want, wantErr := same.place(n, roles)
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
			t.Fatalf("labels %+v, %v, want %+v, %v", got, err, want, wantErr)
		}
	})
}

// labelText returns the class map of the same labels, "" if there are none, and roles for all
// who have one.
func labelText(l *labelSet) (string, *roleSet) {
	var json strings.Builder
	roles := &roleSet{}
	for v := range l.entries() {
		var label string
		switch {
		case l.classes > 0:
			label = strings.ReplaceAll(fmt.Sprint(widen(l.bits[v*l.classes:(v+1)*l.classes])), " ", ",")
		case l.class[v] == unlabelled:
			continue
		default:
			label = fmt.Sprint(l.class[v])
		}
		roles.nodes[v%3] = append(roles.nodes[v%3], int32(v))
		fmt.Fprintf(&json, "%c\"%d\":%s", "{,"[min(1, json.Len())], v, label)
	}
	if json.Len() == 0 {
		return "", roles
	}
	return json.String() + "}", roles
}

func widen(b []uint8) []int {
	out := make([]int, len(b))
	for i, x := range b {
		out[i] = int(x)
	}
	return out
}

// fuzzGraph returns the file of a square matrix whose rows have degrees entries.
func fuzzGraph(t *testing.T, degrees, columns []byte, weights []byte) []byte {
	t.Helper()
	indptr, indices, data := []int64{0}, []int32{}, []float32{}
	for _, d := range degrees {
		for range d % 8 {
			c, w := int32(0), float32(1)
			if len(columns) > 0 {
				c, columns = int32(columns[0]), columns[1:]
			}
			if len(weights) > 0 {
				w, weights = float32(weights[0])/4, weights[1:]
			}
			indices, data = append(indices, c), append(data, w)
		}
		indptr = append(indptr, int64(len(indices)))
	}
	n := int64(len(degrees))
	var b bytes.Buffer
	if err := npz.Write(&b, false, []npz.Entry{
		{Name: "indices", Shape: []int{len(indices)}, Data: indices},
		{Name: "indptr", Shape: []int{len(indptr)}, Data: indptr},
		{Name: "format", Data: "csr"},
		{Name: "shape", Shape: []int{2}, Data: []int64{n, n}},
		{Name: "data", Shape: []int{len(data)}, Data: data},
	}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzFolder loads whole folders: a mistake is named with its file, and what is accepted is
// the same once it was written, and the same whether its features lie in memory or not.
func FuzzFolder(f *testing.F) {
	degrees, columns, weights := []byte{1, 3, 2, 1, 0}, []byte{1, 0, 1, 2, 1, 3, 2}, []byte{4, 8, 12, 0, 20, 1, 28}
	trainDegrees, trainColumns := []byte{1, 2, 0, 0, 0}, []byte{1, 0, 1}
	feats := []byte{0, 0, 128, 63, 0, 0, 160, 64, 0, 0, 64, 64, 0, 0, 160, 64, 0, 0, 224, 64, 0, 0, 160, 64, 0, 0, 16, 65, 0, 0, 160, 64, 0, 0, 0, 64, 0, 0, 192, 64}
	f.Add(degrees, columns, weights, trainDegrees, trainColumns, []byte(goodRoles), []byte(goodLabels), feats, uint8(10), uint8(2))
	f.Add(degrees, columns, []byte{}, trainDegrees, trainColumns, []byte(goodRoles), []byte(`{"0":[0,1],"1":[1,1],"2":[0,0],"3":[1,0]}`), feats[:10], uint8(5), uint8(0x82))
	f.Add([]byte{2, 1}, []byte{1, 1, 0}, []byte{1, 2, 3}, []byte{0, 0}, []byte{}, []byte(`{"tr":[1],"va":[],"te":[]}`), []byte(`{"1":-3}`), []byte{1, 2}, uint8(1), uint8(0x81))
	dir, out := f.TempDir(), filepath.Join(f.TempDir(), "out")
	f.Fuzz(func(t *testing.T, degrees, columns, weights, trainDegrees, trainColumns, roles, labels, feats []byte, kind, flags uint8) {
		for name, b := range map[string][]byte{
			fullFile: fuzzGraph(t, degrees, columns, weights), trainFile: fuzzGraph(t, trainDegrees, trainColumns, nil), roleFile: roles,
			labelFile: labels, featsFile: fuzzArray(kind, int(flags%8), feats),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o := Options{EdgeWeight: flags&128 != 0}
		raw, err := LoadRaw(dir, o)
		ds, prepareErr := Load(dir, o)
		if (err == nil) != (prepareErr == nil) {
			t.Fatalf("LoadRaw: %v, Load: %v", err, prepareErr)
		}
		if err != nil {
			checkFileError(t, dir, err)
			checkFileError(t, dir, prepareErr)
			return
		}
		o.MaxResident = -1
		mapped, err := Load(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer mapped.Close()
		sameDataset(t, "mapped", mapped, ds)
		defer os.RemoveAll(out)
		if err := Write(out, raw); err != nil {
			t.Fatal(err)
		}
		written, err := Load(out, Options{EdgeWeight: raw.Full.Weights != nil || raw.Train.Weights != nil})
		if err != nil {
			t.Fatal(err)
		}
		sameDataset(t, "written and read", written, ds)
	})
}

// sameDataset compares the fingerprint and every feature, bit by bit.
func sameDataset(t *testing.T, what string, got, want *formats.Dataset) {
	t.Helper()
	if got.Fingerprint != want.Fingerprint {
		t.Fatalf("%s: fingerprint %s, want %s", what, got.Fingerprint, want.Fingerprint)
	}
	n, dim := want.NumNodes(), want.Features.Dim()
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	a, b := make([]float32, n*dim), make([]float32, n*dim)
	if err := errors.Join(got.Features.Gather(a, ids), want.Features.Gather(b, ids)); err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if x := b[i]; x-x != 0 || a[i] != x {
			t.Fatalf("%s: feature %d of node %d is %v, want the finite %v", what, i%dim, i/dim, a[i], x)
		}
	}
}
