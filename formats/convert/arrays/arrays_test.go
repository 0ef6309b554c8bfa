package arrays

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

type entries map[string]npz.Entry

func good() entries {
	return entries{
		"edge_index": {Shape: []int{2, 4}, Data: []int64{0, 1, 1, 2, 1, 0, 2, 1}},
		"x":          {Shape: []int{3, 2}, Data: []float64{1, 2, 3, 4, 5, 0.1}},
		"y":          {Shape: []int{3, 1}, Data: []float64{4, 3, -1}},
		"train_mask": {Shape: []int{3, 2}, Data: []bool{true, false, false, true, false, false}},
		"val_mask":   {Shape: []int{3}, Data: []bool{false, true, false}},
	}
}

func archive(t testing.TB, e entries) string {
	t.Helper()
	var list []npz.Entry
	for name, x := range e {
		x.Name = name
		list = append(list, x)
	}
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := npz.WriteFile(path, true, list); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	warnings := 0
	got, err := Read(t.Context(), archive(t, good()), Options{Reports: assemble.Reports{Warn: func(string) { warnings++ }}})
	if err != nil {
		t.Fatal(err)
	}
	want := &formats.RawDataset{
		Name: "a", Full: &formats.Graph{Indptr: []int64{0, 1, 3, 4}, Indices: []int32{1, 0, 2, 1}},
		Train:    &formats.Graph{Indptr: []int64{0, 0, 0, 0}, Indices: []int32{}},
		Features: []float32{1, 2, 3, 4, 5, 0.1}, Dim: 2, Labels: formats.Labels{NumClasses: 2, Class: []int32{1, 0, -1}, Offset: 3},
		TrainNodes: []int32{0}, ValNodes: []int32{1},
	}
	if !reflect.DeepEqual(got, want) || warnings != 1 {
		t.Errorf("Read = %+v %+v and %d warnings, want %+v %+v and 1 (rounding)", got, got.Full, warnings, want, want.Full)
	}
}

func TestBadArrays(t *testing.T) {
	tests := []struct {
		name string
		edit func(e entries)
		want string
	}{
		{"no edges", func(e entries) { delete(e, "edge_index") }, "no such array"},
		{"edges transposed", func(e entries) { e["edge_index"] = npz.Entry{Shape: []int{4, 2}, Data: make([]int64, 8)} }, "want two rows"},
		{"id out of range", func(e entries) { e["edge_index"] = npz.Entry{Shape: []int{2, 1}, Data: []int64{0, 3}} }, "edge 0 is (0, 3), but there are 3 nodes"},
		{"negative id", func(e entries) { e["edge_index"] = npz.Entry{Shape: []int{2, 1}, Data: []int64{0, -1}} }, "edge 0 is (0, -1)"},
		{"huge id", func(e entries) { e["edge_index"] = npz.Entry{Shape: []int{2, 1}, Data: []int64{0, 1 << 40}} }, "want int32"},
		{"no labels", func(e entries) { delete(e, "y") }, "array y is missing"},
		{"labels too short", func(e entries) { e["y"] = npz.Entry{Shape: []int{2}, Data: []int64{0, 1}} }, "labels of 2 nodes, but there are 3"},
		{"half a label", func(e entries) { e["y"] = npz.Entry{Shape: []int{3}, Data: []float32{0, 1.5, 0}} }, "label of node 1 is 1.5"},
		{"label rows", func(e entries) { e["y"] = npz.Entry{Shape: []int{3, 2}, Data: []int64{0, 1, 1, 2, 0, 0}} }, "node 1 has value 2"},
		{"flat features", func(e entries) { e["x"] = npz.Entry{Shape: []int{3}, Data: []float32{0, 1, 1}} }, "want numbers of shape (nodes, features)"},
		{"NaN", func(e entries) { e["x"] = npz.Entry{Shape: []int{3, 1}, Data: []float32{0, 1, float32(nan())}} }, "want a finite number"},
		{"no mask", func(e entries) { delete(e, "train_mask") }, "--split"},
		{"short mask", func(e entries) { e["train_mask"] = npz.Entry{Shape: []int{2}, Data: []bool{true, false}} }, "want bool of shape (3,)"},
		{"overlap", func(e entries) { e["val_mask"] = npz.Entry{Shape: []int{3}, Data: []bool{true, false, false}} }, "in the mask of tr already"},
		{"nobody trains", func(e entries) { e["train_mask"] = npz.Entry{Shape: []int{3}, Data: []bool{false, false, false}} }, "no training nodes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := good()
			test.edit(e)
			path := archive(t, e)
			_, err := Read(t.Context(), path, Options{})
			var in *formats.InputError
			if !errors.As(err, &in) || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read = %v, want %s: …%s", err, path, test.want)
			}
		})
	}
}

// A column is chosen from masks with two dimensions; others may stand beside them.
func TestSplitColumn(t *testing.T) {
	got, err := Read(t.Context(), archive(t, good()), Options{SplitColumn: 1})
	if err == nil || !strings.Contains(err.Error(), "node 1 is in the mask of tr already") {
		t.Errorf("Read = %+v, %v, want column 1 of the training mask, which has node 1", got, err)
	}
	flat := good()
	flat["train_mask"] = npz.Entry{Shape: []int{3}, Data: []bool{true, false, false}}
	if _, err := Read(t.Context(), archive(t, flat), Options{SplitColumn: 1}); err == nil || !strings.Contains(err.Error(), "there is no column 1; leave out --split_column") {
		t.Errorf("Read = %v, want a word about the column", err)
	}
	if _, err := Read(t.Context(), archive(t, flat), Options{}); err != nil {
		t.Errorf("Read = %v", err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
