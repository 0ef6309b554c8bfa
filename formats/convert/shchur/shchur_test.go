package shchur

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/npz"
)

func vector[T any](name string, v ...T) npz.Entry {
	return npz.Entry{Name: name, Shape: []int{len(v)}, Data: v}
}

func good() []npz.Entry {
	return []npz.Entry{
		vector[float32]("adj_data", 1, 1, 1), vector[int32]("adj_indices", 1, 2, 3), vector[int32]("adj_indptr", 0, 1, 2, 3, 3),
		vector[int64]("adj_shape", 4, 4), vector[float32]("attr_data", 5, 7), vector[int32]("attr_indices", 2, 0),
		vector[int32]("attr_indptr", 0, 1, 1, 2, 2), vector[int64]("attr_shape", 4, 3), vector[int64]("labels", 0, 1, 1, 2),
	}
}

func archive(t testing.TB, entries []npz.Entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "photo.npz")
	if err := npz.WriteFile(path, true, entries); err != nil {
		t.Fatal(err)
	}
	return path
}

var split = assemble.Split{Fractions: assemble.Fractions{0.5, 0.25, 0.25}, Seed: 3}

func TestRead(t *testing.T) {
	path := archive(t, good())
	got, err := Read(t.Context(), path, Options{Split: split, GraphOptions: assemble.GraphOptions{Undirected: true}})
	if err != nil {
		t.Fatal(err)
	}
	full := &formats.Graph{Indptr: []int64{0, 1, 3, 5, 6}, Indices: []int32{1, 0, 2, 1, 3, 2}}
	if x := []float32{0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 0, 0}; !reflect.DeepEqual(got.Full, full) || !reflect.DeepEqual(got.Features, x) {
		t.Errorf("Read = %+v, %v, want %+v, %v", got.Full, got.Features, full, x)
	}
	if len(got.TrainNodes) != 2 || len(got.ValNodes) != 1 || len(got.TestNodes) != 1 {
		t.Errorf("split %v %v %v, want 2, 1 and 1 nodes", got.TrainNodes, got.ValNodes, got.TestNodes)
	}
	again, err := Read(t.Context(), path, Options{Split: split, GraphOptions: assemble.GraphOptions{Undirected: true}})
	if err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("the same seed gives %+v, %v, want %+v", again, err, got)
	}
}

func TestBadArchives(t *testing.T) {
	tests := []struct {
		name, array string
		with        npz.Entry
		want        string
	}{
		{"not square", "adj_shape", vector[int64]("", 4, 5), "want a square matrix"},
		{"huge shape", "adj_shape", vector[int64]("", 1<<40, 1<<40), "want two numbers below"},
		{"negative shape", "adj_shape", vector[int64]("", -4, 4), "want two numbers below"},
		{"short indptr", "adj_indptr", vector[int32]("", 0, 3), "2 row starts, want 5"},
		{"falling indptr", "adj_indptr", vector[int32]("", 0, 3, 2, 3, 3), "row 1 starts at 3 and ends at 2"},
		{"indptr end", "adj_indptr", vector[int32]("", 0, 1, 2, 3, 9), "rows go from 0 to 9"},
		{"column", "adj_indices", vector[int32]("", 1, 2, 4), "entry 2 has column 4"},
		{"labels", "labels", vector[int64]("", 0, 1), "labels of 2 nodes"},
		{"text labels", "labels", npz.Entry{Data: "four"}, "want numbers"},
		{"wide features", "attr_shape", vector[int64]("", 4, 1<<31-1), "too sparse"},
		{"feature values", "attr_data", vector[float32]("", 5), "want 2 values"},
		{"feature rows", "attr_shape", vector[int64]("", 3, 3), "want 4 for 3 rows"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entries := good()
			for i := range entries {
				if entries[i].Name == test.array {
					test.with.Name = test.array
					entries[i] = test.with
				}
			}
			path := archive(t, entries)
			_, err := Read(t.Context(), path, Options{Split: split})
			var in *formats.InputError
			if !errors.As(err, &in) || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read = %v, want %s: …%s", err, path, test.want)
			}
		})
	}
}
