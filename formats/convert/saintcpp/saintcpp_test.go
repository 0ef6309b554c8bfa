package saintcpp

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

// folder writes the odd data set.
func folder(t testing.TB, multi bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cpp")
	if err := Write(t.Context(), dir, converttest.Odd(multi), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ints(values ...int32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

func TestBytes(t *testing.T) {
	dir := folder(t, false)
	for name, want := range map[string][]byte{
		dimsFile:         ints(2, 7, 8, 7, 3, 1, 1, 6, 2, 6, 3),
		fullIndptrFile:   ints(0, 3, 4, 5, 6, 6, 8),
		fullIndicesFile:  ints(0, 1, 2, 0, 5, 2, 0, 3),
		trainIndptrFile:  ints(0, 2, 2, 2, 2, 2, 2),
		trainIndicesFile: ints(0, 2),
		trainFile:        ints(0, 1, 2), testFile: ints(5), valFile: ints(3),
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
	labels, err := os.ReadFile(filepath.Join(dir, labelsFile))
	if err != nil {
		t.Fatal(err)
	}
	var got []float64
	for ; len(labels) > 0; labels = labels[8:] {
		got = append(got, math.Float64frombits(binary.LittleEndian.Uint64(labels)))
	}
	if want := []float64{1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0}; !reflect.DeepEqual(got, want) {
		t.Errorf("labels by column = %v, want %v", got, want)
	}
}

func TestWithoutExtraFile(t *testing.T) {
	for _, multi := range []bool{false, true} {
		dir := folder(t, multi)
		if err := os.Remove(filepath.Join(dir, extraFile)); err != nil {
			t.Fatal(err)
		}
		var warnings []string
		o := ReadOptions{}
		o.Warn = func(s string) { warnings = append(warnings, s) }
		got, err := Read(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		for _, v := range got.TrainNodes {
			mean += float64(got.Features[2*v])
		}
		if got.Labels.IsMulti() != multi || math.Abs(mean) > 1e-6 || len(warnings) == 0 {
			t.Errorf("multi-label %t, sum of a standardised column %v, warnings %q; want %t, 0 and warnings", got.Labels.IsMulti(), mean, warnings, multi)
		}
	}
}

func TestOtherOrderOfCounts(t *testing.T) {
	dir := folder(t, true)
	os.WriteFile(filepath.Join(dir, testFile), ints(5, 4), 0o600)
	os.WriteFile(filepath.Join(dir, dimsFile), ints(2, 7, 8, 7, 3, 1, 2, 6, 2, 6, 2), 0o600)
	got, err := Read(t.Context(), dir, ReadOptions{})
	if err != nil || !reflect.DeepEqual(got.TestNodes, []int32{4, 5}) {
		t.Errorf("Read = %+v, %v, want the test nodes 4 and 5", got, err)
	}
}

func TestBadFolders(t *testing.T) {
	dims := func(i int, v int32) []byte {
		d := []int32{2, 7, 8, 7, 3, 1, 1, 6, 2, 6, 3}
		d[i] = v
		return ints(d...)
	}
	tests := []struct {
		name, file string
		bytes      []byte
		in, want   string
	}{
		{"short dims", dimsFile, ints(1, 2), dimsFile, "8 bytes, want 44"},
		{"negative", dimsFile, dims(4, -1), dimsFile, "byte 16: number 4 is -1"},
		{"no nodes", dimsFile, dims(3, 1), dimsFile, "byte 12"},
		{"train rows", dimsFile, dims(1, 8), dimsFile, "byte 4"},
		{"huge features", dimsFile, dims(8, 1<<31-1), extraFile, "for 2147483647 features"},
		{"huge edges", dimsFile, dims(2, 1<<31-1), fullIndptrFile, "the last row ends at 8"},
		{"classes", dimsFile, dims(10, 0), dimsFile, "0 classes"},
		{"label rows", dimsFile, dims(9, 5), dimsFile, "labels of 5 nodes"},
		{"missing", valFile, nil, valFile, "no such file"},
		{"short roles", trainFile, ints(0, 1), trainFile, "8 bytes, but dims.bin says that there are 3"},
		{"role range", testFile, ints(6), testFile, "byte 0: node 6"},
		{"role twice", trainFile, ints(1, 1, 2), trainFile, "comes twice"},
		{"overlap", testFile, ints(0), trainFile, "in roles tr and te"},
		{"first start", fullIndptrFile, ints(1, 3, 4, 5, 6, 6, 8), fullIndptrFile, "byte 0: the first row"},
		{"falling", fullIndptrFile, ints(0, 3, 2, 5, 6, 6, 8), fullIndptrFile, "byte 8: row 1 ends at 2"},
		{"column", fullIndicesFile, ints(0, 1, 2, 0, 6, 2, 0, 3), fullIndicesFile, "byte 16: column 6"},
		{"train edge", trainIndicesFile, ints(0, 3), trainIndicesFile, "leaves the training set"},
		{"label", labelsFile, append(make([]byte, 136), 0, 0, 0, 0, 0, 0, 0, 0x40), labelsFile, "byte 136: class 2 of node 5 is 2"},
		{"NaN", featsFile, append(make([]byte, 88), 0, 0, 0, 0, 0, 0, 0xf8, 0x7f), featsFile, "want a finite number"},
		{"extra: syntax", extraFile, []byte("{"), extraFile, "unexpected EOF"},
		{"extra: key", extraFile, []byte(`{"format":1,"x":2}`), extraFile, "unknown field"},
		{"extra: version", extraFile, []byte(`{"format":2}`), extraFile, "format 2, want 1"},
		{"extra: means", extraFile, []byte(`{"format":1,"labels":"single","mean":[1],"std":[1]}`), extraFile, "for 2 features"},
		{"extra: std", extraFile, []byte(`{"format":1,"labels":"single","mean":[1,1],"std":[1,0]}`), extraFile, "positive"},
		{"extra: size", extraFile, make([]byte, 1<<16), extraFile, "65536 bytes, want at most"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, false)
			path := filepath.Join(dir, test.file)
			if test.bytes == nil {
				os.Remove(path)
			} else {
				os.WriteFile(path, test.bytes, 0o600)
			}
			_, err := Read(t.Context(), dir, ReadOptions{})
			var in *formats.InputError
			if !errors.As(err, &in) || !strings.HasPrefix(err.Error(), filepath.Join(dir, test.in)) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read = %v, want %s: …%s", err, test.in, test.want)
			}
		})
	}
}
