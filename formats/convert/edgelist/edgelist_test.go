package edgelist

import (
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/tables"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/synth"
)

func put(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	goodEdges  = "src,dst\nbob,ann\nann,10\n10,9\n9,\"c,d\"\n"
	goodLabels = "id,label\nann,cat\nbob,dog\n10,cat\n9,emu\n\"c,d\",dog\n"
	goodFeats  = "id,x,y\n9,1,2\n10,3,4\nann,5,6\nbob,7,8\n\"c,d\",9,1e1\n"
	goodSplit  = "id,role\n9,train\n10,train\nann,val\nbob,test\n"
)

func TestRead(t *testing.T) {
	got, err := Read(t.Context(), put(t, "e.csv", goodEdges), Options{
		Features: put(t, "f.csv", goodFeats), Labels: put(t, "l.csv", goodLabels),
		Split: assemble.Split{Path: put(t, "s.csv", goodSplit)}, GraphOptions: assemble.GraphOptions{Undirected: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &formats.RawDataset{
		Name: "e",
		Full: &formats.Graph{Indptr: []int64{0, 2, 4, 6, 7, 8}, Indices: []int32{1, 4, 0, 2, 1, 3, 2, 0}},
		// Both are 0 and 1, the nodes 9 and 10.
		Train:      &formats.Graph{Indptr: []int64{0, 1, 2, 2, 2, 2}, Indices: []int32{1, 0}},
		Features:   []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		Dim:        2,
		Labels:     formats.Labels{NumClasses: 3, Class: []int32{2, 0, 0, 1, 1}},
		TrainNodes: []int32{0, 1}, ValNodes: []int32{2}, TestNodes: []int32{3},
	}
	if !reflect.DeepEqual(got.Data, want) {
		t.Errorf("Read = %+v %+v, want %+v %+v", got.Data, got.Data.Full, want, want.Full)
	}
	if ids := []string{"9", "10", "ann", "bob", "c,d"}; !reflect.DeepEqual(got.IDs, ids) {
		t.Errorf("ids = %q, want %q", got.IDs, ids)
	}
	if names := []string{"cat", "dog", "emu"}; !reflect.DeepEqual(got.LabelNames, names) {
		t.Errorf("labels = %q, want %q", got.LabelNames, names)
	}
}

func TestOrderOfLinesDoesNotMatter(t *testing.T) {
	read := func(edges string) *formats.RawDataset {
		got, err := Read(t.Context(), put(t, "e.csv", edges), Options{
			Labels: put(t, "l.csv", goodLabels), Split: assemble.Split{Fractions: assemble.Fractions{0.5, 0.25, 0.25}, Seed: 7},
		})
		if err != nil {
			t.Fatal(err)
		}
		return got.Data
	}
	a, b := read(goodEdges), read("source\ttarget\n9\tc,d\n10\t9\n\nbob\tann\nann\t10\n")
	if !reflect.DeepEqual(a, b) {
		t.Errorf("another order of lines gives %+v, want %+v", b, a)
	}
}

func TestRowsAndWeights(t *testing.T) {
	dir := t.TempDir()
	x, y := filepath.Join(dir, "x.npy"), filepath.Join(dir, "y.npy")
	npy.WriteFile(x, []int{3, 1}, []float32{1, 2, 3})
	npy.WriteFile(y, []int{3, 2}, []uint8{0, 1, 1, 1, 0, 0})
	path := filepath.Join(dir, "e.txt.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte("# a comment\n0 1  0.5\n2 1 2\n0 1 1\n"))
	z.Close()
	f.Close()
	got, err := Read(t.Context(), path, Options{
		Features: x, Labels: y, Weight: "3", GraphOptions: assemble.GraphOptions{TargetRows: true}, Split: assemble.Split{Path: put(t, "role.json", `{"tr":[0,1],"va":[2],"te":[]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &formats.Graph{Indptr: []int64{0, 0, 2, 2}, Indices: []int32{0, 2}, Weights: []float32{1.5, 2}}
	if !reflect.DeepEqual(got.Data.Full, want) || got.IDs != nil || !got.Data.Labels.IsMulti() {
		t.Errorf("Read = %+v ids %q, want %+v and no ids", got.Data.Full, got.IDs, want)
	}
}

func TestParquetEdges(t *testing.T) {
	raw, err := synth.Generate(t.Context(), "tiny", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tables")
	if err := tables.Write(t.Context(), dir, raw, tables.Parquet, assemble.Reports{}); err != nil {
		t.Fatal(err)
	}
	y := filepath.Join(t.TempDir(), "y.npy")
	npy.WriteFile(y, []int{raw.Full.NumNodes()}, raw.Labels.Class)
	got, err := Read(t.Context(), filepath.Join(dir, "edges.parquet"), Options{
		Labels: y, Split: assemble.Split{Fractions: assemble.Fractions{0.6, 0.2, 0.2}, Seed: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Data.Full.Fingerprint() != raw.Full.Fingerprint() {
		t.Errorf("%d edges, want the %d of the table", got.Data.Full.NumEdges(), raw.Full.NumEdges())
	}
}

func TestBadFiles(t *testing.T) {
	tests := []struct {
		name, edges, labels, feats, split string
		file, want                        string
	}{
		{"no label file", goodEdges, "", "", "", "", "no file of labels"},
		{"binary", "\x93NUMPY\x01\x00", goodLabels, "", "", "e.csv", "this is no text"},
		{"one column", "1\n2\n", goodLabels, "", "", "e.csv:1", "want at least 2"},
		{"ragged", "1,2\n3,4,5\n", goodLabels, "", "", "e.csv:2", "3 columns, but earlier lines have 2"},
		{"empty id", "1,2\n,4\n", goodLabels, "", "", "e.csv:2", "empty node id"},
		{"open quote", "1,2\n\"3,4\n", goodLabels, "", "", "e.csv:2", "not closed"},
		{"after quote", "1,2\n\"3\"x,4\n", goodLabels, "", "", "e.csv:2", "follows the closing quote"},
		{"no edges", "", "id,label\n", "", "", "e.csv", "no edges"},
		{"node twice", goodEdges, "a,1\na,2\n", "", "", "l.csv:2", "comes twice"},
		{"class not 0 or 1", goodEdges, "a,1,0\nb,1,2\n", "", "", "l.csv:2", "want 0 or 1"},
		{"no labels", goodEdges, "id,label\n", "", "", "l.csv", "no node has a label"},
		{"far labels", goodEdges, "a,1\nb,9000000000\n", "", "", "l.csv", "are more than"},
		{"no number", goodEdges, goodLabels, "id,x\nann,cold\n", "", "f.csv:2", "want a number"},
		{"not finite", goodEdges, goodLabels, "id,x\nann,nan\n", "", "f.csv:2", "want a finite number"},
		{"missing features", goodEdges, goodLabels, "id,x\nann,1\n", "", "f.csv", "has no features"},
		{"bad role", goodEdges, goodLabels, goodFeats, "id,role\nann,boss\n", "s.csv:2", "want train, val or test"},
		{"nobody trains", goodEdges, goodLabels, goodFeats, "id,role\nann,test\n", "s.csv", "no training nodes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Split: assemble.Split{Fractions: assemble.Fractions{1, 0, 0}}}
			for _, f := range []struct {
				to         *string
				name, text string
			}{{&o.Labels, "l.csv", test.labels}, {&o.Features, "f.csv", test.feats}, {&o.Split.Path, "s.csv", test.split}} {
				if f.text != "" {
					*f.to = put(t, f.name, f.text)
				}
			}
			_, err := Read(t.Context(), put(t, "e.csv", test.edges), o)
			var in *formats.InputError
			if err == nil || test.file != "" && !errors.As(err, &in) || !strings.Contains(err.Error(), test.file) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read = %v, want %s: …%s", err, test.file, test.want)
			}
		})
	}
}

func TestFolder(t *testing.T) {
	_, err := Read(t.Context(), put(t, "e.csv", goodEdges), Options{Labels: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "this is a folder") {
		t.Errorf("Read = %v, want this is a folder", err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := Read(ctx, put(t, "e.csv", goodEdges), Options{Labels: put(t, "l.csv", goodLabels), Split: assemble.Split{Fractions: assemble.Fractions{1, 0, 0}}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Read after cancel = %v, want context.Canceled", err)
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{goodEdges, goodLabels, goodFeats, "\"a\"\"b\" 1\n", "# c\n1;2\n3;4"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var id ids
		err := eachLine(t.Context(), "f", strings.NewReader(string(text)), textOptions{}, idFirst, func(r row) error {
			word, err := r.text(0)
			if err == nil {
				var v int32
				v, err = id.intern(word)
				id.note([]int32{v})
			}
			if err == nil {
				_, err = r.float(1)
			}
			return err
		})
		count := id.count()
		if id.number(); len(id.names) != count {
			t.Errorf("%d numbers for %d ids (%v)", len(id.names), count, err)
		}
	})
}

func TestLabelsOfOtherIDsAreNoticed(t *testing.T) {
	edges, labels := put(t, "e.csv", "src,dst\n0,1\n1,0\n1,2\n2,1\n"), put(t, "y.csv", "id,label\n0,0\n1,1\n2,0\n7,1\n9,0\n")
	var got []string
	o := Options{Labels: labels, Split: assemble.Split{Fractions: [3]float64{0.4, 0.3, 0.3}}}
	o.Warn = func(line string) { got = append(got, line) }
	if _, err := Read(t.Context(), edges, o); err != nil {
		t.Fatal(err)
	}
	want := labels + ": 2 of 5 labelled nodes have no edge; are its ids those of the edges?"
	if !slices.Contains(got, want) {
		t.Errorf("Read warns %q, want %q among it", got, want)
	}
}
