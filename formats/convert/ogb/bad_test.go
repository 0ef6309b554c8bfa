package ogb

import (
	"archive/zip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
)

// line replaces line number at (from 1) of a file.
func (f files) line(name string, at int, with string) {
	lines := strings.Split(f[name], "\n")
	lines[at-1] = with
	f[name] = strings.Join(lines, "\n")
}

// cut makes a file a gzip file that ends too early.
func (f files) cut(name string, keep int) {
	raw := f.packed(name)
	f[name] = "raw:" + string(raw[:min(keep, len(raw)-1)])
}

const (
	trainFile = "split/sales_ranking/train.csv.gz"
	validFile = "split/sales_ranking/valid.csv.gz"
	testFile  = "split/sales_ranking/test.csv.gz"
)

func TestBadText(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f files)
		want   string // of the message, behind the folder
	}{
		{"edge file missing", func(f files) { delete(f, edgeFile) }, "neither raw/edge.csv.gz nor raw/data.npz is there"},
		{"label file missing", func(f files) { delete(f, labelFile) }, "missing: raw/node-label.csv.gz"},
		{"counts missing", func(f files) { delete(f, numNodesFile); delete(f, numEdgesFile) }, "missing: raw/num-node-list.csv.gz, raw/num-edge-list.csv.gz"},
		{"features missing", func(f files) { delete(f, nodeFeatFile) }, "node-feat.csv.gz: no such file, and no edge-feat.csv.gz"},
		{"no split", func(f files) { delete(f, trainFile); delete(f, validFile); delete(f, testFile) }, "split: there is no split"},
		{"test file missing", func(f files) { delete(f, testFile) }, "test.csv.gz: no such file"},
		{"pickled split", func(f files) {
			delete(f, trainFile)
			f["split/sales_ranking/split_dict.pt"] = "x"
		}, "split_dict.pt: this is Python's own format; write the CSV files"},
		{"not gzip", func(f files) { f[edgeFile] = "raw:1,2\n" }, "edge.csv.gz: not a gzip file"},
		{"empty file", func(f files) { f[edgeFile] = "raw:" }, "edge.csv.gz: not a gzip file: the file ends within the gzip header"},
		{"truncated", func(f files) { f.cut(edgeFile, 60) }, "the gzip file is truncated here"},
		{"truncated at the end", func(f files) { f.cut(edgeFile, 1<<20) }, "edge.csv.gz:55: the gzip file is truncated here"},
		{"truncated features", func(f files) { f.cut(nodeFeatFile, 1<<20) }, "node-feat.csv.gz:21: the gzip file is truncated here"},
		{"wrong checksum", func(f files) {
			raw := f.packed(labelFile)
			raw[len(raw)-6] ^= 1
			f[labelFile] = "raw:" + string(raw)
		}, "node-label.csv.gz:21: the gzip file is damaged before this line"},
		{"three columns", func(f files) { f.line(edgeFile, 7, "1,2,3") }, "edge.csv.gz:7:4: the line goes on after 2 values, want no more"},
		{"one column", func(f files) { f.line(edgeFile, 7, "12") }, "edge.csv.gz:7:3: the line ends after 1 value, want 2"},
		{"no number", func(f files) { f.line(edgeFile, 3, "1,x2") }, `edge.csv.gz:3:3: "x2" is not a node id`},
		{"half a number", func(f files) { f.line(edgeFile, 3, "1,2x") }, `edge.csv.gz:3:3: "2x" is not a node id`},
		{"a float", func(f files) { f.line(edgeFile, 3, "1.0,2") }, `edge.csv.gz:3:1: "1.0" is not a node id`},
		{"a space", func(f files) { f.line(edgeFile, 3, "1, 2") }, `edge.csv.gz:3:3: " 2" is not a node id`},
		{"negative", func(f files) { f.line(edgeFile, 3, "1,-2") }, "edge.csv.gz:3:3: node id -2, but there are 20 nodes (ids 0 to 19)"},
		{"too large", func(f files) { f.line(edgeFile, 54, "20,2") }, "edge.csv.gz:54:1: node id 20, but there are 20 nodes"},
		{"overflow", func(f files) { f.line(edgeFile, 3, "99999999999999999999999,2") }, "edge.csv.gz:3:1: node id 99999999999999999999999, but"},
		{"empty line", func(f files) { f.line(edgeFile, 3, "") }, "edge.csv.gz:3:1: a node id is missing"},
		{"fewer edges", func(f files) { f[numEdgesFile] = "55\n" }, "edge.csv.gz: 54 lines of edges, want 55"},
		{"more edges", func(f files) { f[numEdgesFile] = "53" }, "edge.csv.gz:54: more edges than the 53"},
		{"two graphs", func(f files) { f[numNodesFile] = "10\n10\n" }, "num-node-list.csv.gz: 2 lines, want one"},
		{"no count", func(f files) { f[numNodesFile] = "" }, "num-node-list.csv.gz: 0 lines, want one"},
		{"bad count", func(f files) { f[numNodesFile] = "many" }, `num-node-list.csv.gz:1:1: "many", want a whole number`},
		{"no nodes", func(f files) { f[numNodesFile] = "0" }, "num-node-list.csv.gz: 0 nodes, want 1"},
		{"huge count", func(f files) { f[numNodesFile] = "3000000000" }, "num-node-list.csv.gz: 3000000000 nodes, want 1 to 2147483647"},
		{"long line", func(f files) { f[edgeFile] = "1," + strings.Repeat("0", 3<<20) }, "edge.csv.gz:1: the line is longer than"},
		{"feature no number", func(f files) { f.line(nodeFeatFile, 20, "1,zwei,3") }, `node-feat.csv.gz:20:3: "zwei" is not a number`},
		{"feature nan", func(f files) { f.line(nodeFeatFile, 2, "1,2,nan") }, `node-feat.csv.gz:2:5: "nan" is not a number`},
		{"feature inf", func(f files) { f.line(nodeFeatFile, 2, "1,2,1e39") }, `node-feat.csv.gz:2:5: "1e39" is too great`},
		{"feature columns", func(f files) { f.line(nodeFeatFile, 2, "1,2") }, "node-feat.csv.gz:2:4: the line ends after 2 values, want 3"},
		{"features short", func(f files) { f[nodeFeatFile] = "1,2,3\n" }, "node-feat.csv.gz: 1 lines of features, want 20"},
		{"features long", func(f files) { f[nodeFeatFile] += "1,2,3\n" }, "node-feat.csv.gz:21: features for more than the 20 nodes"},
		{"label no number", func(f files) { f.line(labelFile, 4, "x") }, `node-label.csv.gz:4:1: label "x", want a whole number`},
		{"label fraction", func(f files) { f.line(labelFile, 4, "1.5") }, `node-label.csv.gz:4:1: label "1.5", want a whole number`},
		{"label negative", func(f files) { f.line(labelFile, 4, "-3") }, `node-label.csv.gz:4:1: label "-3", want 0 to`},
		{"label huge", func(f files) { f.line(labelFile, 4, "1e9") }, `node-label.csv.gz:4:1: label "1e9", want 0 to`},
		{"label missing", func(f files) { f.line(labelFile, 4, "nan") }, "node-label.csv.gz:4: node 3 is in split sales_ranking (test) but has no label"},
		{"labels short", func(f files) { f[labelFile] = "1\n2\n" }, "node-label.csv.gz: 2 lines of labels, want 20"},
		{"labels long", func(f files) { f[labelFile] += "1\n2\n" }, "node-label.csv.gz:21: labels for more than the 20 nodes"},
		{"split out of range", func(f files) { f.line(trainFile, 2, "20") }, "train.csv.gz:2:1: node id 20, but there are 20 nodes"},
		{"split twice", func(f files) { f.line(trainFile, 3, "0") }, "train.csv.gz:3: node 0 comes twice"},
		{"splits overlap", func(f files) { f.line(validFile, 2, "0") }, "valid.csv.gz:2: node 0 is in train.csv.gz too"},
		{"empty split", func(f files) { f[trainFile] = "" }, "train.csv.gz: no nodes, want at least one to train on"},
		{"hetero", func(f files) { f["raw/triplet-type-list.csv.gz"] = "a,b,c" }, "several types of nodes and edges"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := products()
			c.change(m.files)
			in := m.folder(t, "products")
			bad(t, in, Options{Workers: 2}, c.want)
		})
	}
}

// bad checks that a conversion fails with an InputError of one line and leaves nothing.
func bad(t *testing.T, in string, o Options, want string) {
	t.Helper()
	parent := t.TempDir()
	_, err := Convert(t.Context(), in, filepath.Join(parent, "out"), o)
	var input *formats.InputError
	if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), in) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Convert: %v,\nwant an InputError in %s with %q", err, in, want)
	}
	if left := names(t, parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBadEdgeFeatures(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f files)
		want   string
	}{
		"short":       {func(f files) { f[edgeFeatFile] = f[edgeFeatFile][:strings.Index(f[edgeFeatFile], "\n")+1] }, "1 lines of edge features, want 54"},
		"long":        {func(f files) { f[edgeFeatFile] += "1,2,3,4,5,6,7,8\n" }, "edge-feat.csv.gz:55: features for more than the 54 edges"},
		"tasks":       {func(f files) { f.line(labelFile, 2, "1") }, "node-label.csv.gz:2:2: the line ends after 1 value, want 112"},
		"task of 2":   {func(f files) { f.line(labelFile, 2, "2"+strings.Repeat(",0", 111)) }, `node-label.csv.gz:2:1: label "2", want 0 to 1`},
		"task absent": {func(f files) { f.line(labelFile, 5, "0,nan"+strings.Repeat(",0", 110)) }, "node-label.csv.gz:5: node 4 lacks value 2"},
	} {
		t.Run(name, func(t *testing.T) {
			m := proteins()
			c.change(m.files)
			bad(t, m.folder(t, "proteins"), Options{}, c.want)
		})
	}
}

func TestBadData(t *testing.T) {
	base := func() map[string]npz.Entry {
		return map[string]npz.Entry{
			"edge_index":     {Shape: []int{2, 3}, Data: []int64{0, 1, 2, 3, 4, 5}},
			"num_nodes_list": {Shape: []int{1}, Data: []int64{20}},
			"num_edges_list": {Shape: []int{1}, Data: []int64{3}},
			"node_feat":      {Shape: []int{20, 1}, Data: make([]float32, 20)},
		}
	}
	for name, c := range map[string]struct {
		change func(e map[string]npz.Entry)
		want   string
	}{
		"no edges":    {func(e map[string]npz.Entry) { delete(e, "edge_index") }, "array edge_index is missing"},
		"other shape": {func(e map[string]npz.Entry) { e["edge_index"] = npz.Entry{Shape: []int{3, 2}, Data: make([]int64, 6)} }, "edge_index is int64 (3, 2), want (2, 3)"},
		"range":       {func(e map[string]npz.Entry) { e["edge_index"].Data.([]int64)[4] = 20 }, "array edge_index: edge 1 has node 20"},
		"negative":    {func(e map[string]npz.Entry) { e["edge_index"].Data.([]int64)[2] = -1 }, "array edge_index: edge 2 has node -1"},
		"huge id":     {func(e map[string]npz.Entry) { e["edge_index"].Data.([]int64)[2] = 1 << 40 }, "element 2 is 1099511627776"},
		"no features": {func(e map[string]npz.Entry) { delete(e, "node_feat") }, "neither node_feat nor edge_feat"},
		"no nodes":    {func(e map[string]npz.Entry) { e["num_nodes_list"].Data.([]int64)[0] = -5 }, "-5 nodes, want 1"},
		"two graphs":  {func(e map[string]npz.Entry) { e["num_nodes_list"] = npz.Entry{Shape: []int{2}, Data: []int64{1, 2}} }, "2 entries, want the size of one graph"},
		"rows": {func(e map[string]npz.Entry) {
			e["node_feat"] = npz.Entry{Shape: []int{5, 4}, Data: make([]float32, 20)}
		}, "node_feat is float32 (5, 4), want 20 rows"},
		"text": {func(e map[string]npz.Entry) { e["node_feat"] = npz.Entry{Data: "abc"} }, "node_feat"},
	} {
		t.Run(name, func(t *testing.T) {
			e := base()
			c.change(e)
			var list []npz.Entry
			for _, key := range []string{"edge_index", "num_nodes_list", "num_edges_list", "node_feat"} {
				if x, ok := e[key]; ok {
					x.Name = key
					list = append(list, x)
				}
			}
			m := papers(t, false)
			m.files[dataFile] = archive(t, true, list...)
			bad(t, m.folder(t, "papers100M-bin"), Options{}, c.want)
		})
	}
	m := papers(t, false)
	m.files[dataFile] = m.files[dataFile][:500]
	bad(t, m.folder(t, "papers100M-bin"), Options{}, "data.npz: not a zip archive")
	bad(t, m.zip(t, "p.zip", "papers100M-bin", zip.Deflate), Options{}, "papers100M-bin/raw/data.npz: not a zip archive")
}

// TestDamagedMember overwrites where the compressed bytes of a member begin.
func TestDamagedMember(t *testing.T) {
	for name, m := range map[string]*mini{dataFile: papers(t, false), labelDataFile: papers(t, false), edgeFile: products()} {
		path := m.zip(t, "x.zip", "products", zip.Deflate)
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if f.Name == "products/"+name {
				at, err := f.DataOffset()
				if err != nil {
					t.Fatal(err)
				}
				copy(raw[at:], "\xff\xff\xff\xff")
			}
		}
		z.Close()
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		bad(t, path, Options{Direction: Directed}, "products/"+name)
	}
}

// TestMemberBeforeTheFile has an archive in the archive whose directory says that it lies
// further behind, so that its members begin before the file. The copy that is read lies in the
// folder of the result, but the message names the archive.
func TestMemberBeforeTheFile(t *testing.T) {
	m := papers(t, false)
	b := []byte(m.files[dataFile])
	at := b[len(b)-6:] // the offset of the directory; behind it is the length of a comment
	binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+1<<20)
	m.files[dataFile] = string(b)
	bad(t, m.zip(t, "x.zip", "papers100M-bin", zip.Store), Options{}, "papers100M-bin/raw/data.npz: array num_nodes_list: ")
}

func TestBadLabelData(t *testing.T) {
	for name, c := range map[string]struct {
		entry npz.Entry
		want  string
	}{
		"fraction": {npz.Entry{Shape: []int{20, 1}, Data: append(make([]float32, 19), 1.5)}, "label 1.5 of node 19"},
		"rows":     {npz.Entry{Shape: []int{5, 1}, Data: make([]float32, 5)}, "node_label is float32 (5, 1), want 20 rows"},
		"none":     {npz.Entry{Name: "other", Shape: []int{1}, Data: make([]float32, 1)}, "array node_label is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			m := papers(t, false)
			if c.entry.Name == "" {
				c.entry.Name = "node_label"
			}
			m.files[labelDataFile] = archive(t, false, c.entry)
			bad(t, m.folder(t, "papers100M-bin"), Options{}, c.want)
		})
	}
}

func TestBadFolders(t *testing.T) {
	m := products()
	bad(t, filepath.Join(t.TempDir(), "no"), Options{}, "no such folder or archive")
	bad(t, t.TempDir(), Options{}, "there is no raw here")
	bad(t, filepath.Dir(m.folder(t, "products")), Options{}, "there is no raw here, but in products; name that folder")
	bad(t, files{"processed/x": "x"}.folder(t, "products"), Options{}, "processed holds Python's own files")
	bad(t, files{"raw/relations/x": "x"}.folder(t, "ogbn_mag"), Options{}, "several types of nodes")
	file := filepath.Join(t.TempDir(), "products.zip")
	if err := os.WriteFile(file, []byte("PK"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad(t, file, Options{}, "not a zip archive")
}

func TestBadOptions(t *testing.T) {
	m := products()
	two := products()
	two.files["split/other/train.csv.gz"] = "1\n"
	for name, c := range map[string]struct {
		in   string
		o    Options
		want string
	}{
		"unknown name":  {m.folder(t, "mine"), Options{}, "say --undirected"},
		"unknown split": {m.folder(t, "products"), Options{Split: "time"}, "--split time: "},
		"which split":   {two.folder(t, "mine"), Options{Direction: Directed}, "--split is missing"},
		"memory":        {m.folder(t, "products"), Options{Memory: 1000}, "raise --memory"},
	} {
		_, err := Convert(t.Context(), c.in, filepath.Join(t.TempDir(), "out"), c.o)
		var option *OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an OptionError with %q", name, err, c.want)
		}
	}
}

// faulty fails at the k-th write or close of any file.
type faulty struct {
	io.WriteCloser
	left *atomic.Int64
}

func (f faulty) Write(p []byte) (int, error) {
	if f.left.Add(-1) < 0 {
		return 0, syscall.ENOSPC
	}
	return f.WriteCloser.Write(p)
}

func (f faulty) Close() error {
	err := f.WriteCloser.Close()
	if f.left.Add(-1) < 0 {
		return syscall.ENOSPC
	}
	return err
}

func TestDiskFull(t *testing.T) {
	in := products().folder(t, "products")
	for k := 0; ; k++ {
		parent := t.TempDir()
		var left atomic.Int64
		left.Store(int64(k))
		o := Options{Workers: 1, create: func(path string) (io.WriteCloser, error) {
			f, err := os.Create(path)
			return faulty{f, &left}, err
		}}
		_, err := Convert(t.Context(), in, filepath.Join(parent, "out"), o)
		if err == nil {
			if k == 0 {
				t.Fatal("no write failed")
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("k = %d: %v, want %v", k, err, syscall.ENOSPC)
		}
		if got := names(t, parent); len(got) > 0 {
			t.Fatalf("k = %d: left behind %v", k, got)
		}
	}
}

func TestCancelled(t *testing.T) {
	in := products().folder(t, "products")
	for k := 0; ; k++ {
		ctx, cancel := context.WithCancel(t.Context())
		parent := t.TempDir()
		seen := 0
		_, err := Convert(ctx, in, filepath.Join(parent, "out"), Options{Progress: func(Step) {
			if seen++; seen == k {
				cancel()
			}
		}})
		cancel()
		if k > seen {
			break
		}
		if k > 0 && err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled at %d: %v", k, err)
		}
		if left := names(t, parent); err != nil && len(left) > 0 {
			t.Fatalf("cancelled at %d: left behind %v", k, left)
		}
	}
}

// TestLabelsBeyondMemory gives labels in more columns than fit.
func TestLabelsBeyondMemory(t *testing.T) {
	text, binary := proteins(), papers(t, false)
	labels := make([]bool, 112*binary.n)
	binary.files[labelDataFile] = archive(t, true, npz.Entry{Name: "node_label", Shape: []int{binary.n, 112}, Data: labels})
	for name, in := range map[string]string{"text": text.folder(t, "proteins"), "binary": binary.folder(t, "papers100M-bin")} {
		o := Options{Workers: 1, Memory: 17*20 + 8*blockBytes + 8000}
		_, err := Convert(t.Context(), in, filepath.Join(t.TempDir(), "out"), o)
		var option *OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), "labels of 20 nodes in 112 columns") {
			t.Errorf("%s: Convert = %v, want an OptionError about labels", name, err)
		}
	}
}
