package ogb

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/converttest"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// fuzzSet converts one set after the other in the same folders.
type fuzzSet struct {
	in, out string
	z       *gzip.Writer
}

func newFuzzSet(f *testing.F) *fuzzSet {
	f.Helper()
	s := &fuzzSet{in: filepath.Join(f.TempDir(), "products"), out: filepath.Join(f.TempDir(), "out"), z: gzip.NewWriter(nil)}
	for _, dir := range []string{"raw", "split/sales_ranking"} {
		if err := os.MkdirAll(filepath.Join(s.in, dir), 0o777); err != nil {
			f.Fatal(err)
		}
	}
	return s
}

// put writes files; those whose names end in .gz are compressed. Empty ones are left out.
func (s *fuzzSet) put(t *testing.T, files map[string][]byte) {
	t.Helper()
	for name, text := range files {
		if strings.HasSuffix(name, ".gz") && len(text) > 0 {
			var b bytes.Buffer
			s.z.Reset(&b)
			if _, err := s.z.Write(text); err != nil {
				t.Fatal(err)
			}
			s.z.Close() // a buffer takes all
			files[name] = b.Bytes()
		}
	}
	converttest.Put(t, s.in, files)
}

// convert returns what was made of the set at path, nil if it was refused as it must be.
func (s *fuzzSet) convert(t *testing.T, path string, o Options) (*formats.RawDataset, *Summary) {
	t.Helper()
	os.RemoveAll(s.out)
	o.Workers, o.Memory = 2, 24<<20
	sum, err := Convert(t.Context(), path, s.out, o)
	if err != nil {
		var bad *formats.InputError
		var option *OptionError
		if !errors.As(err, &bad) && !errors.As(err, &option) || strings.ContainsAny(err.Error(), "\r\n") {
			t.Fatalf("Convert: %q, want an InputError or OptionError of one line", err)
		}
		if bad != nil && !strings.HasPrefix(bad.Path, path) {
			t.Fatalf("Convert: %q, want an error about %s", err, path)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.out), "*")); len(left) > 0 {
			t.Fatalf("left behind after %v: %v", err, left)
		}
		return nil, nil
	}
	raw, err := saintdir.LoadRaw(s.out, saintdir.Options{})
	if err != nil && strings.Contains(err.Error(), "standard deviations") {
		return nil, nil // the features are the set's own
	}
	if err != nil {
		t.Fatalf("the result cannot be loaded: %v", err)
	}
	if raw.Full.NumNodes() != sum.Nodes || raw.Full.NumEdges() != sum.Edges || raw.Train.NumEdges() != sum.TrainEdges || raw.Dim != sum.Features ||
		len(raw.TrainNodes) != sum.Train || len(raw.ValNodes) != sum.Val || len(raw.TestNodes) != sum.Test || raw.Labels.NumClasses != sum.Classes {
		t.Fatalf("Summary %+v of %d nodes, %d and %d edges, %d features, %d classes", sum, raw.Full.NumNodes(), raw.Full.NumEdges(), raw.Train.NumEdges(), raw.Dim, raw.Labels.NumClasses)
	}
	return raw, sum
}

// checkEdges compares a graph with the edges that it was made of.
func checkEdges(t *testing.T, raw *formats.RawDataset, ids []int32, undirected, targetRows bool) {
	t.Helper()
	want := map[[2]int32]bool{}
	for i := 0; i+1 < len(ids); i += 2 {
		u, v := ids[i], ids[i+1]
		if targetRows {
			u, v = v, u
		}
		want[[2]int32{u, v}] = true
		if undirected {
			want[[2]int32{v, u}] = true
		}
	}
	for u := range int32(raw.Full.NumNodes()) {
		for _, v := range raw.Full.Neighbors(u) {
			if !want[[2]int32{u, v}] {
				t.Fatalf("entry (%d, %d) is no edge", u, v)
			}
			delete(want, [2]int32{u, v})
		}
	}
	if len(want) > 0 {
		t.Fatalf("edges %v are missing", want)
	}
}

func fuzzOptions(flags uint8) Options {
	return Options{Direction: Direction(flags & 3 % 3), TargetRows: flags&4 != 0}
}

// FuzzText converts the CSV form with any text in every file: it is refused, leaving nothing,
// or the result loads and has exactly the edges of the text.
func FuzzText(f *testing.F) {
	for i, m := range []*mini{products(), proteins()} {
		m.files[testFile] = m.files["split/species/test.csv.gz"] + m.files[testFile]
		m.files[trainFile] = m.files["split/species/train.csv.gz"] + m.files[trainFile]
		f.Add([]byte(m.files[edgeFile]), []byte(m.files[nodeFeatFile]+m.files[edgeFeatFile]), []byte(m.files[labelFile]), []byte(m.files[numNodesFile]),
			[]byte(m.files[numEdgesFile]), []byte(m.files[trainFile]), []byte("2"), []byte(m.files[testFile]), uint8(8*i))
	}
	small := func(feats, labels string, flags uint8) {
		f.Add([]byte("0,1\n1,2\n2,2\n1,0\n"), []byte(feats), []byte(labels), []byte("3"), []byte("4\n"), []byte("0\n2"), []byte("1\n"), []byte("\n"), flags)
	}
	small("1.5\n-2e-3\n7\n", "0\n4\n2\n", 1)
	small("1,2\r\n3,4\r\n5,6\r\n7,8\r\n", "0,1\n1,1\n0,0\n", 8+2)
	s := newFuzzSet(f)
	f.Fuzz(func(t *testing.T, edges, feats, labels, nodes, count, train, valid, test []byte, flags uint8) {
		files := map[string][]byte{
			edgeFile: edges, nodeFeatFile: feats, edgeFeatFile: nil, labelFile: labels, numNodesFile: nodes, numEdgesFile: count,
			trainFile: train, validFile: valid, testFile: test,
		}
		if flags&8 != 0 {
			files[nodeFeatFile], files[edgeFeatFile] = nil, feats
		}
		s.put(t, files)
		o := fuzzOptions(flags)
		raw, sum := s.convert(t, s.in, o)
		if raw == nil {
			return
		}
		ids, bad := slowPairs(string(edges), sum.Nodes)
		if bad != 0 {
			t.Fatalf("line %d of the edges is accepted", bad)
		}
		checkEdges(t, raw, ids, sum.Undirected, o.TargetRows)
	})
}

// FuzzData converts the binary form with any bytes in every array.
func FuzzData(f *testing.F) {
	edges := converttest.Array(f, []int{2, 4}, []int64{0, 1, 2, 1, 1, 2, 2, 0})
	nodes, count := converttest.Array(f, []int{1}, []int64{3}), converttest.Array(f, []int{1}, []int64{4})
	feats := converttest.Array(f, []int{3, 2}, []float32{1, 2, 3, 4, 5, 6})
	labels := converttest.Array(f, []int{3, 1}, []float32{1, 0, 2})
	f.Add(edges, nodes, count, feats, labels, []byte("0\n2\n"), []byte("1\n"), uint8(0))
	f.Add(edges, nodes, count, converttest.Array(f, []int{4, 1}, []float64{1, 2, 3, 4}), converttest.Array(f, []int{3, 2}, []bool{true, false, true, true, false, false}), []byte("0\n2\n"), []byte("1\n"), uint8(8+1))
	s := newFuzzSet(f)
	f.Fuzz(func(t *testing.T, edges, nodes, count, feats, labels, train, valid []byte, flags uint8) {
		name := "node_feat"
		if flags&8 != 0 {
			name = "edge_feat"
		}
		s.put(t, map[string][]byte{
			dataFile:      converttest.Stored(t, map[string][]byte{"edge_index": edges, "num_nodes_list": nodes, "num_edges_list": count, name: feats}),
			labelDataFile: converttest.Stored(t, map[string][]byte{"node_label": labels}),
			trainFile:     train, validFile: valid, testFile: []byte("\n"),
		})
		s.convert(t, s.in, fuzzOptions(flags))
	})
}

// FuzzZip converts archives of any bytes.
func FuzzZip(f *testing.F) {
	pack := func(folder string, m *mini, method uint16) []byte {
		b, err := os.ReadFile(m.zip(f, "x.zip", folder, method))
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	m := products()
	for _, name := range []string{edgeFile, nodeFeatFile, labelFile, numNodesFile, numEdgesFile, trainFile, validFile, testFile} {
		m.files[name] = "raw:" + string(m.packed(name))
	}
	f.Add(pack("products", m, zip.Store))
	f.Add(pack("papers100M-bin", papers(f, false), zip.Store))
	s := newFuzzSet(f)
	dir := filepath.Dir(s.in)
	f.Fuzz(func(t *testing.T, content []byte) {
		converttest.Put(t, dir, map[string][]byte{"x.zip": slices.Clone(content)})
		if len(content) > 0 {
			s.convert(t, filepath.Join(dir, "x.zip"), Options{Direction: Directed})
		}
	})
}
