package saintdir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

// sample is a path 0-1-2-3 with a self loop at 1; nodes 0 and 1 train, node 4 has no role,
// no edge and no label.
func sample() *formats.RawDataset {
	full := &formats.Graph{Indptr: []int64{0, 1, 4, 6, 7, 7}, Indices: []int32{1, 0, 1, 2, 1, 3, 2}}
	train := []int32{0, 1}
	return &formats.RawDataset{
		Name: "sample", Full: full, Train: formats.Induced(full, train),
		Features: []float32{1, 5, 3, 5, 7, 5, 9, 5, 2, 6}, Dim: 2,
		Labels:     formats.Labels{NumClasses: 3, Class: []int32{0, 1, 2, 0, -1}, Offset: -3},
		TrainNodes: train, ValNodes: []int32{2}, TestNodes: []int32{3},
	}
}

func multiLabel() *formats.RawDataset {
	d := sample()
	d.Labels = formats.Labels{NumClasses: 2, Multi: []uint8{0, 1, 1, 0, 1, 1, 0, 0, 0, 1}}
	return d
}

func weightedGraph() *formats.RawDataset {
	d := sample()
	d.Full.Weights = []float32{1, 2, 3, 0, 5, 0.25, 7}
	d.Train = formats.Induced(d.Full, d.TrainNodes)
	return d
}

// sampleFiles holds the bytes of sample's files: writing them anew, safely, for every test
// would take most of the tests' time.
var sampleFiles = sync.OnceValues(func() (map[string][]byte, error) {
	root, err := os.MkdirTemp("", "saintdir")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	dir := filepath.Join(root, "sample")
	if err := Write(dir, sample()); err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	for _, name := range []string{fullFile, trainFile, roleFile, labelFile, featsFile} {
		if content[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return content, nil
})

// sampleFolder returns a new folder that holds sample.
func sampleFolder(t testing.TB) string {
	t.Helper()
	content, err := sampleFiles()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range content {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// folderOf writes d as a new folder of the name sample.
func folderOf(t testing.TB, d *formats.RawDataset) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sample")
	if err := Write(dir, d); err != nil {
		t.Fatal(err)
	}
	return dir
}

func gatherAll(t *testing.T, x formats.FeatureStore) []float32 {
	t.Helper()
	ids := make([]int32, x.Rows())
	for i := range ids {
		ids[i] = int32(i)
	}
	m := make([]float32, x.Rows()*x.Dim())
	if err := x.Gather(m, ids); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWriteThenLoadIsPrepare(t *testing.T) {
	tests := []struct {
		name string
		make func() *formats.RawDataset
		o    Options
	}{
		{"single-label", sample, Options{}},
		{"multi-label", multiLabel, Options{}},
		{"weighted", weightedGraph, Options{EdgeWeight: true}},
		{"no weights, but asked for", sample, Options{EdgeWeight: true}},
		{"mapped features", sample, Options{MaxResident: -1}},
		{"no validation and test nodes", func() *formats.RawDataset {
			d := sample()
			d.ValNodes, d.TestNodes = nil, nil
			return d
		}, Options{}},
		{"classes that nobody has", func() *formats.RawDataset {
			d := sample()
			d.Labels = formats.Labels{NumClasses: 9, Class: []int32{2, 2, 4, 5, 5}, Offset: 4}
			return d
		}, Options{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := folderOf(t, test.make())
			test.o.Warn = func(s string) { t.Errorf("unexpected warning: %s", s) }
			got, err := Load(dir, test.o)
			if err != nil {
				t.Fatal(err)
			}
			want, err := test.make().Prepare()
			if err != nil {
				t.Fatal(err)
			}
			if (got.Close != nil) != (test.o.MaxResident < 0) {
				t.Errorf("Close is set: %t", got.Close != nil)
			}
			compare(t, got, want)
		})
	}
}

// compare checks that got has everything that want has, and closes it.
func compare(t *testing.T, got, want *formats.Dataset) {
	t.Helper()
	if x, y := gatherAll(t, got.Features), gatherAll(t, want.Features); !slices.Equal(x, y) {
		t.Errorf("features = %v, want %v", x, y)
	}
	if got.Close != nil {
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
	got.Features, want.Features, got.Close = nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("data set = %+v, want %+v", got, want)
	}
}

func TestLoadRawIsWhatWasWritten(t *testing.T) {
	want := sample()
	want.Features[3] = -1e-20
	got, err := LoadRaw(folderOf(t, want), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("LoadRaw = %+v, want %+v", got, want)
	}
}

func TestWriteIsDeterministicAndComplete(t *testing.T) {
	a, b := folderOf(t, multiLabel()), folderOf(t, multiLabel())
	entries, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		x, _ := os.ReadFile(filepath.Join(a, e.Name()))
		y, _ := os.ReadFile(filepath.Join(b, e.Name()))
		if !slices.Equal(x, y) {
			t.Errorf("%s differs between two writes of the same data", e.Name())
		}
	}
	if want := []string{fullFile, trainFile, labelFile, featsFile, roleFile}; !slices.Equal(names, want) {
		t.Errorf("folder holds %v, want %v", names, want)
	}
	text, _ := os.ReadFile(filepath.Join(a, roleFile))
	if want := `{"tr": [0,1],"va": [2],"te": [3]}` + "\n"; string(text) != want {
		t.Errorf("%s = %s, want %s", roleFile, text, want)
	}
	text, _ = os.ReadFile(filepath.Join(folderOf(t, sample()), labelFile))
	if want := "{\n\"0\":-3,\n\"1\":-2,\n\"2\":-1,\n\"3\":-3\n}\n"; string(text) != want {
		t.Errorf("%s = %q, want %q", labelFile, text, want)
	}
	if err := Write(a, sample()); err == nil || !strings.Contains(err.Error(), "exists and is not empty") {
		t.Errorf("Write into a full folder = %v, want an error that says so", err)
	}
	dir := filepath.Join(t.TempDir(), "bad")
	bad := sample()
	bad.TrainNodes = nil
	if err := Write(dir, bad); err == nil {
		t.Error("Write of a bad data set = nil, want an error")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused data set left a folder")
	}
}

// files overrides files of a folder: text for JSON, entries for npz, array for npy. The
// value nil removes the file.
type files map[string]any

type array struct {
	shape []int
	data  any
}

// csr are the entries of a matrix file.
func csr(rows, cols int, indptr, indices, data any) []npz.Entry {
	return []npz.Entry{
		{Name: "format", Data: "csr"},
		{Name: "shape", Shape: []int{2}, Data: []int64{int64(rows), int64(cols)}},
		{Name: "indptr", Shape: []int{reflect.ValueOf(indptr).Len()}, Data: indptr},
		{Name: "indices", Shape: []int{reflect.ValueOf(indices).Len()}, Data: indices},
		{Name: "data", Shape: []int{reflect.ValueOf(data).Len()}, Data: data},
	}
}

func put(path string, b *bytes.Buffer) error { return os.WriteFile(path, b.Bytes(), 0o600) }

func (f files) apply(t *testing.T, dir string) {
	t.Helper()
	for name, content := range f {
		path := filepath.Join(dir, name)
		var err error
		switch c := content.(type) {
		case nil:
			err = os.Remove(path)
		case string:
			err = os.WriteFile(path, []byte(c), 0o600)
		case []npz.Entry:
			var b bytes.Buffer
			err = errors.Join(npz.Write(&b, true, c), put(path, &b))
		case array:
			var b bytes.Buffer
			err = errors.Join(npy.Write(&b, c.shape, c.data), put(path, &b))
		default:
			t.Fatalf("%s: no way to write a %T", name, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadAccepts(t *testing.T) {
	base, err := sample().Prepare()
	if err != nil {
		t.Fatal(err)
	}
	rows := &formats.Labels{NumClasses: 2, Multi: []uint8{0, 1, 1, 0, 1, 1, 0, 0, 0, 0}}
	tests := []struct {
		name     string
		files    files
		warnings []string        // parts of the warnings, in order
		labels   *formats.Labels // what the labels become; nil: the fingerprint stays, unless warned
	}{
		{name: "white space", files: files{
			roleFile:  "\n {\t\"va\" : [ 2 ] ,\r\n \"te\":[3], \"tr\": [ 1,\n0 ] } \n",
			labelFile: " { \"3\" : -3 , \"2\": -1 ,\n\"1\":-2,\"0\"\n:\n-3 }",
		}},
		{name: "integral floats", files: files{
			roleFile:  `{"tr":[0.0,1],"va":[2.0],"te":[0.3e1]}`,
			labelFile: `{"0":-3.0,"1":-2.0,"2":-10e-1,"3":-3}`,
		}},
		{name: "role.npz", files: files{roleFile: nil, roleFileNPZ: []npz.Entry{
			{Name: "tr", Shape: []int{2}, Data: []int64{1, 0}},
			{Name: "va", Shape: []int{1}, Data: []uint8{2}},
			{Name: "te", Shape: []int{1}, Data: []int32{3}},
		}}},
		{name: "labels.npy", files: files{
			labelFile: nil, labelFileNPY: array{[]int{5}, []int64{0, 1, 2, 0, -1}},
		}, labels: &formats.Labels{NumClasses: 3, Class: []int32{0, 1, 2, 0, -1}}},
		{name: "labels.npy of rows", files: files{
			labelFile: nil, labelFileNPY: array{[]int{5, 2}, []uint8{0, 1, 1, 0, 1, 1, 0, 0, 0, 0}},
		}, labels: rows},
		{name: "short labels.npy", files: files{
			labelFile: nil, labelFileNPY: array{[]int{4}, []int8{7, 8, 9, 7}},
		}, labels: &formats.Labels{NumClasses: 3, Class: []int32{0, 1, 2, 0, -1}, Offset: 7}},
		{name: "rows in any order and form", files: files{
			labelFile: `{"3":[0,0], "1":[1.0, false],"2":[true,1],"0":[0 , 1]}`,
		}, labels: rows},
		{name: "truth values as labels", files: files{labelFile: `{"0":true,"1":false,"2":true,"3":false}`}, labels: &formats.Labels{NumClasses: 2, Class: []int32{1, 0, 1, 0, -1}}},
		{name: "label -1", files: files{labelFile: `{"0":-1,"1":1,"2":0,"3":0}`}, warnings: []string{"label -1 counts as a class"}},
		{name: "both forms", files: files{
			labelFileNPY: "not read", roleFileNPZ: "not read",
		}, warnings: []string{"both role.json and role.npz", "both class_map.json and labels.npy"}},
		{name: "float64 features in Fortran order", files: files{
			featsFile: "\x93NUMPY\x01\x00\x76\x00" + fmt.Sprintf("%-117s\n", "{'descr': '<f8', 'fortran_order': True, 'shape': (5, 2), }") +
				"\x00\x00\x00\x00\x00\x00\xf0\x3f" + "\x00\x00\x00\x00\x00\x00\x08\x40" + "\x00\x00\x00\x00\x00\x00\x1c\x40" +
				"\x00\x00\x00\x00\x00\x00\x22\x40" + "\x00\x00\x00\x00\x00\x00\x00\x40" +
				strings.Repeat("\x00\x00\x00\x00\x00\x00\x14\x40", 4) + "\x00\x00\x00\x00\x00\x00\x18\x40",
		}},
		{name: "unsorted and repeated edges", files: files{
			fullFile: csr(5, 5, []int64{0, 1, 5, 8, 9, 9}, []int64{1, 2, 1, 0, 1, 3, 1, 3, 2}, make([]float64, 9)),
		}, warnings: []string{"2 entries repeat an edge"}},
		{name: "training edge that the full graph lacks", files: files{
			trainFile: csr(5, 5, []int32{0, 2, 3, 3, 3, 3}, []int32{0, 1, 0}, []bool{true, true, true}),
		}, warnings: []string{"1 edges are not in adj_full.npz, the first is (0, 0)"}},
		{name: "no training edges", files: files{
			trainFile: csr(5, 5, make([]int32, 6), []int32{}, []float32{}),
		}, warnings: []string{"no edges"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := sampleFolder(t)
			test.files.apply(t, dir)
			var warnings []string
			ds, err := Load(dir, Options{Warn: func(s string) { warnings = append(warnings, s) }})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(warnings, test.warnings, strings.Contains) {
				t.Errorf("warnings = %q, want %q", warnings, test.warnings)
			}
			switch {
			case test.labels != nil && !reflect.DeepEqual(&ds.Labels, test.labels):
				t.Errorf("labels = %+v, want %+v", ds.Labels, test.labels)
			case test.labels == nil && test.warnings == nil && ds.Fingerprint != base.Fingerprint:
				t.Errorf("fingerprint = %s, want %s", ds.Fingerprint, base.Fingerprint)
			}
		})
	}
}

func TestEmptyRolesInArchive(t *testing.T) {
	dir := sampleFolder(t)
	files{roleFile: nil, roleFileNPZ: []npz.Entry{
		{Name: "tr", Shape: []int{2}, Data: []int64{0, 1}},
		{Name: "va", Shape: []int{0}, Data: []float64{}},
		{Name: "te", Shape: []int{0}, Data: []int32{}},
	}}.apply(t, dir)
	ds, err := Load(dir, Options{})
	if err != nil || len(ds.TrainNodes) != 2 || len(ds.ValNodes)+len(ds.TestNodes) != 0 {
		t.Errorf("Load = %+v, %v, want 2 training nodes and no others", ds, err)
	}
}

func TestWeightsOfRepeatedEdgesAreSummed(t *testing.T) {
	dir := folderOf(t, weightedGraph())
	files{
		fullFile: csr(5, 5, []int64{0, 1, 5, 8, 9, 9}, []int64{1, 2, 1, 0, 1, 3, 1, 3, 2}, []float64{1, 0, 1, 2, 2, 0.125, 5, 0.125, 7}),
	}.apply(t, dir)
	got, err := Load(dir, Options{EdgeWeight: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := weightedGraph().Full; !reflect.DeepEqual(got.Full, want) {
		t.Errorf("graph = %v, want %v", got.Full, want)
	}
}

func TestMissingFolderNamesTheDownload(t *testing.T) {
	tests := []struct{ dir, want string }{
		{"flickr", "saint download flickr"},
		{"data/PPI-large/", "saint download ppi-large"},
		{"ogbn-papers100m", "saint download ogbn-papers100M"},
		{"mine", "a data set is a folder that holds adj_full.npz"},
	}
	for _, test := range tests {
		_, err := Load(filepath.Join(t.TempDir(), test.dir), Options{})
		var in *formats.InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Load(%s) = %v, want an InputError with %q", test.dir, err, test.want)
		}
	}
}

func TestReadFeaturesInSegments(t *testing.T) {
	path := filepath.Join(t.TempDir(), featsFile)
	want := make([]float32, 100*3)
	for i := range want {
		want[i] = float32(i)
	}
	if err := npy.WriteFile(path, []int{100, 3}, want); err != nil {
		t.Fatal(err)
	}
	for _, segment := range []int{1, 12, 500, 1200, 1 << 20} {
		f, err := openFeatures(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.read(segment); err != nil || !slices.Equal(got, want) {
			t.Errorf("read(%d) gives other values (%v)", segment, err)
		}
	}
	f, err := openFeatures(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read(12); err == nil {
		t.Error("read of a file that vanishes = nil, want an error")
	}
}
