package edgelist

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

// quotedWord writes a word so that nothing in it means anything.
func quotedWord(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// canonical writes what was read as four files in their plainest form.
func canonical(r *Result) map[string][]byte {
	d := r.Data
	var edges, labels, feats, split strings.Builder
	edges.WriteString("src,dst,weight\n")
	width := 1
	if d.Labels.IsMulti() {
		width = d.Labels.NumClasses
	}
	labels.WriteString("id" + strings.Repeat(",label", width) + "\n")
	feats.WriteString("id" + strings.Repeat(",x", d.Dim) + "\n")
	split.WriteString("id,role\n")
	roles := (&assemble.Roles{Train: d.TrainNodes, Val: d.ValNodes, Test: d.TestNodes}).Of(len(r.IDs))
	for v, id := range r.IDs {
		id = quotedWord(id)
		for k := d.Full.Indptr[v]; k < d.Full.Indptr[v+1]; k++ {
			w := float32(1)
			if d.Full.Weights != nil {
				w = d.Full.Weights[k]
			}
			fmt.Fprintf(&edges, "%s,%s,%v\n", id, quotedWord(r.IDs[d.Full.Indices[k]]), w)
		}
		fmt.Fprintf(&split, "%s,%s\n", id, roles[v])
		feats.WriteString(id)
		for _, x := range d.Features[v*d.Dim : (v+1)*d.Dim] {
			feats.WriteString("," + strconv.FormatFloat(float64(x), 'g', -1, 64))
		}
		feats.WriteString("\n")
		switch l := &d.Labels; {
		case l.IsMulti():
			labels.WriteString(id)
			for _, bit := range l.Row(int32(v)) {
				fmt.Fprintf(&labels, ",%d", bit)
			}
			labels.WriteString("\n")
		case l.Class[v] >= 0 && r.LabelNames != nil:
			fmt.Fprintf(&labels, "%s,%s\n", id, quotedWord(r.LabelNames[int64(l.Class[v])+l.Offset]))
		case l.Class[v] >= 0:
			fmt.Fprintf(&labels, "%s,%d\n", id, int64(l.Class[v])+l.Offset)
		}
	}
	return map[string][]byte{"e.csv": []byte(edges.String()), "l.csv": []byte(labels.String()), "s.csv": []byte(split.String()), "f.csv": []byte(feats.String())}
}

// FuzzRead reads any text in place of each file: a mistake is named with its file, and what is
// accepted is the same when it is written in the plainest form and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(goodEdges), []byte(goodLabels), []byte(goodFeats), []byte(goodSplit), uint8(0))
	f.Add([]byte("1 2 0.5\n2 3 1e-3\n% c\n"), []byte("1\t0\t1\n3\t1\t1\n"), []byte{}, []byte("1;train\n3;dev\n"), uint8(1))
	f.Add([]byte("\xef\xbb\xbf\"a\"\"b\",1\n# c\nx, 2 \n"), []byte("node,class\n1,-1\nx,4\n\"a\"\"b\",9\n"), []byte{}, []byte{}, uint8(2))
	f.Add([]byte("u|v\n007|7\n"), []byte("7,a\n007,b"), []byte("7 1\n007 2\n"), []byte{}, uint8(8+4))
	dir := f.TempDir()
	read := func(t *testing.T, files map[string][]byte, o Options) (*Result, error) {
		t.Helper()
		converttest.Put(t, dir, files)
		o.Labels = filepath.Join(dir, "l.csv")
		if len(files["f.csv"]) > 0 {
			o.Features = filepath.Join(dir, "f.csv")
		}
		if len(files["s.csv"]) > 0 {
			o.Split.Path = filepath.Join(dir, "s.csv")
		}
		r, err := Read(t.Context(), filepath.Join(dir, "e.csv"), o)
		var raw *formats.RawDataset
		if err == nil {
			raw = r.Data
		}
		converttest.Check(t, dir, raw, err)
		return r, err
	}
	f.Fuzz(func(t *testing.T, edges, labels, feats, split []byte, flags uint8) {
		if len(edges) == 0 || len(labels) == 0 {
			return
		}
		o := Options{Split: assemble.Split{Fractions: assemble.Fractions{0.5, 0.25, 0.25}, Seed: 1}}
		o.Undirected, o.DropSelfLoops, o.TargetRows = flags&2 != 0, flags&16 != 0, flags&32 != 0
		if flags&1 != 0 {
			o.Weight = "3"
		}
		if flags&4 != 0 {
			o.Header = HeaderYes
		}
		if flags&8 != 0 {
			o.Delimiter = '|'
		}
		r, err := read(t, map[string][]byte{"e.csv": edges, "l.csv": labels, "f.csv": feats, "s.csv": split}, o)
		if err != nil {
			return
		}
		if n := r.Data.Full.NumNodes(); len(r.IDs) != n {
			t.Fatalf("%d ids of %d nodes", len(r.IDs), n)
		}
		again, err := read(t, canonical(r), Options{Weight: "weight", Header: HeaderYes, Delimiter: ','})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again.IDs, r.IDs) {
			t.Fatalf("ids written and read = %q, want %q", again.IDs, r.IDs)
		}
		converttest.Same(t, again.Data, r.Data)
	})
}
