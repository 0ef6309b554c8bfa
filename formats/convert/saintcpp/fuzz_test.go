package saintcpp

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/convert/converttest"
)

// fuzzFiles are the files that FuzzRead changes.
var fuzzFiles = [...]string{
	dimsFile, fullIndptrFile, fullIndicesFile, trainIndptrFile, trainIndicesFile, trainFile, valFile, testFile, labelsFile, featsFile, extraFile,
}

// FuzzRead reads any bytes in place of each file: the result is valid or the error says where
// what is wrong.
func FuzzRead(f *testing.F) {
	for _, multi := range []bool{false, true} {
		source := folder(f, multi)
		var b [len(fuzzFiles)][]byte
		for i, name := range fuzzFiles {
			var err error
			if b[i], err = os.ReadFile(filepath.Join(source, name)); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], false)
		f.Add(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], []byte{}, true)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10 []byte, keep bool) {
		files := map[string][]byte{}
		for i, b := range [][]byte{b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10} {
			files[fuzzFiles[i]] = b
			if i < len(fuzzFiles)-1 && len(b) == 0 {
				os.WriteFile(filepath.Join(dir, fuzzFiles[i]), nil, 0o600)
				delete(files, fuzzFiles[i])
			}
		}
		converttest.Put(t, dir, files)
		raw, err := Read(t.Context(), dir, ReadOptions{NormalizedFeatures: keep})
		converttest.Check(t, dir, raw, err)
	})
}

// FuzzWrite writes any data set and reads it again.
func FuzzWrite(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{5, 1, 2, 0, 255, 15, 3, 0, 7, 1, 9, 200, 0, 0, 128, 63}, true)
	f.Add([]byte{11, 3, 3, 2, 255, 255, 1, 1, 2, 2, 4, 4}, false)
	out := filepath.Join(f.TempDir(), "out")
	f.Fuzz(func(t *testing.T, data []byte, rawFeatures bool) {
		defer os.RemoveAll(out)
		raw := converttest.FromBytes(data, !rawFeatures)
		raw.Full.Weights, raw.Train.Weights = nil, nil // the format has none
		if err := Write(t.Context(), out, raw, WriteOptions{RawFeatures: rawFeatures}); err != nil {
			t.Fatal(err)
		}
		again, err := Read(t.Context(), out, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		converttest.Same(t, again, raw)
	})
}
