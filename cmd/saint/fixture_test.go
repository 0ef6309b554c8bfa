package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// Sizes of the data set that fixture writes.
const (
	fixtureNodes = 24
	fixtureEdges = 2 * fixtureNodes
)

// ring returns a small data set: a ring of three classes with two features, or of two tasks.
func ring(multi bool) *formats.RawDataset {
	const n = fixtureNodes
	g := &formats.Graph{Indptr: []int64{0}}
	raw := &formats.RawDataset{Name: "ring", Full: g, Dim: 2, Labels: formats.Labels{NumClasses: 3}}
	if multi {
		raw.Labels.NumClasses = 2
	}
	for v := range int32(n) {
		a, b := (v+n-1)%n, (v+1)%n
		g.Indices = append(g.Indices, min(a, b), max(a, b))
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
		raw.Features = append(raw.Features, float32(v%3), float32(v)/10)
		if multi {
			raw.Labels.Multi = append(raw.Labels.Multi, uint8(v&1), uint8(v>>1&1))
		} else {
			raw.Labels.Class = append(raw.Labels.Class, v%3)
		}
		role := []*[]int32{&raw.TrainNodes, &raw.TrainNodes, &raw.ValNodes, &raw.TestNodes}[v%4]
		*role = append(*role, v)
	}
	train := &formats.Graph{Indptr: []int64{0}}
	for v := range int32(n) {
		for _, u := range g.Indices[g.Indptr[v]:g.Indptr[v+1]] {
			if v%4 < 2 && u%4 < 2 {
				train.Indices = append(train.Indices, u)
			}
		}
		train.Indptr = append(train.Indptr, int64(len(train.Indices)))
	}
	raw.Train = train
	return raw
}

// fixture writes the small data set in every format, a configuration and a finished run:
//
//	data, multi      data folders, single-label and multi-label
//	arrayforms       one with labels.npy and role.npz
//	sage, cpp, parquet, arrow, arrays, shchur.npz, edges.csv with labels.csv and feats.csv
//	products, products.zip    the benchmark's form
//	small.yml, run
func fixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	raw := ring(false)
	check(saintdir.Write(at("data"), raw))
	check(saintdir.Write(at("multi"), ring(true)))
	check(os.CopyFS(at("arrayforms"), os.DirFS(at("data"))))
	check(os.Remove(at("arrayforms/class_map.json")))
	check(os.Remove(at("arrayforms/role.json")))
	labels := make([]int64, fixtureNodes)
	for v, c := range raw.Labels.Class {
		labels[v] = int64(c)
	}
	check(npy.WriteFile(at("arrayforms/labels.npy"), []int{fixtureNodes}, labels))
	check(npz.WriteFile(at("arrayforms/role.npz"), true, []npz.Entry{vector("tr", raw.TrainNodes), vector("va", raw.ValNodes), vector("te", raw.TestNodes)}))
	must(t, "convert", "to-graphsage", "--in", at("data"), "--out", at("sage"), "--name", "ring")
	must(t, "convert", "to-cpp", "--in", at("data"), "--out", at("cpp"))
	must(t, "convert", "to-tables", "--in", at("data"), "--out", at("parquet"))
	must(t, "convert", "to-tables", "--in", at("data"), "--out", at("arrow"), "--format", "arrow")
	writeArrays(t, at("arrays"), raw)
	writeBenchmark(t, at("shchur.npz"), raw, nil)
	writeLists(t, dir, raw)
	set := smallSet(t, "products", "sales_ranking", 1)
	check(os.CopyFS(at("products"), os.DirFS(set)))
	check(os.WriteFile(at("products.zip"), zipOf(t, os.DirFS(set), "products"), 0o600))
	text := strings.NewReplacer("LOSS", "softmax", "END", "2", "num_root: 150", "num_root: 6", "sample_coverage: 10", "sample_coverage: 1").Replace(smallConfig)
	check(os.WriteFile(at("small.yml"), []byte(text), 0o600))
	must(t, "train", "--data_prefix", at("data"), "--train_config", at("small.yml"), "--run_dir", at("run"), "--gpu", "-1")
	return dir
}

func vector(name string, v []int32) npz.Entry {
	return npz.Entry{Name: name, Shape: []int{len(v)}, Data: v}
}

// writeArrays writes the arrays as PyTorch Geometric and DGL name them.
func writeArrays(t *testing.T, dir string, raw *formats.RawDataset) {
	t.Helper()
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write := func(name string, shape []int, data any) {
		if err := npy.WriteFile(filepath.Join(dir, name+".npy"), shape, data); err != nil {
			t.Fatal(err)
		}
	}
	src, dst := raw.Full.Indices, make([]int32, 0, len(raw.Full.Indices))
	for v := range raw.Full.NumNodes() {
		for range raw.Full.Degree(int32(v)) {
			dst = append(dst, int32(v))
		}
	}
	n := raw.Full.NumNodes()
	write("edge_index", []int{2, len(src)}, append(append([]int32(nil), src...), dst...))
	write("x", []int{n, raw.Dim}, raw.Features)
	write("y", []int{n}, raw.Labels.Class)
	for name, nodes := range map[string][]int32{"train_mask": raw.TrainNodes, "val_mask": raw.ValNodes, "test_mask": raw.TestNodes} {
		mask := make([]bool, n)
		for _, v := range nodes {
			mask[v] = true
		}
		write(name, []int{n}, mask)
	}
}

// writeBenchmark writes an archive of the gnn-benchmark's form after change.
func writeBenchmark(t *testing.T, path string, raw *formats.RawDataset, change func(e map[string]*npz.Entry)) {
	t.Helper()
	n, m := raw.Full.NumNodes(), int(raw.Full.NumEdges())
	ones := make([]float32, m)
	for i := range ones {
		ones[i] = 1
	}
	rows := make([]int64, n+1)
	columns := make([]int32, 0, n*raw.Dim)
	for v := range n {
		columns = append(columns, 0, 1)
		rows[v+1] = int64(2 * (v + 1))
	}
	list := []*npz.Entry{
		{Name: "adj_data", Shape: []int{m}, Data: ones},
		{Name: "adj_indices", Shape: []int{m}, Data: append([]int32(nil), raw.Full.Indices...)},
		{Name: "adj_indptr", Shape: []int{n + 1}, Data: append([]int64(nil), raw.Full.Indptr...)},
		{Name: "adj_shape", Shape: []int{2}, Data: []int64{int64(n), int64(n)}},
		{Name: "attr_data", Shape: []int{n * 2}, Data: append([]float32(nil), raw.Features...)},
		{Name: "attr_indices", Shape: []int{n * 2}, Data: columns},
		{Name: "attr_indptr", Shape: []int{n + 1}, Data: rows},
		{Name: "attr_shape", Shape: []int{2}, Data: []int64{int64(n), 2}},
		{Name: "labels", Shape: []int{n}, Data: append([]int32(nil), raw.Labels.Class...)},
	}
	byName := map[string]*npz.Entry{}
	for _, e := range list {
		byName[e.Name] = e
	}
	if change != nil {
		change(byName)
	}
	var entries []npz.Entry
	for _, e := range list {
		if byName[e.Name] != nil {
			entries = append(entries, *e)
		}
	}
	if err := npz.WriteFile(path, true, entries); err != nil {
		t.Fatal(err)
	}
}

// writeLists writes edges, labels, features and roles as text.
func writeLists(t *testing.T, dir string, raw *formats.RawDataset) {
	t.Helper()
	var edges, labels, feats, roles strings.Builder
	edges.WriteString("src,dst\n")
	labels.WriteString("id,label\n")
	feats.WriteString("id,a,b\n")
	role := map[int32]string{}
	for name, nodes := range map[string][]int32{"train": raw.TrainNodes, "val": raw.ValNodes, "test": raw.TestNodes} {
		for _, v := range nodes {
			role[v] = name
		}
	}
	for v := range int32(raw.Full.NumNodes()) {
		for _, u := range raw.Full.Indices[raw.Full.Indptr[v]:raw.Full.Indptr[v+1]] {
			fmt.Fprintf(&edges, "n%d,n%d\n", v, u)
		}
		fmt.Fprintf(&labels, "n%d,%d\n", v, raw.Labels.Class[v])
		fmt.Fprintf(&feats, "n%d,%v,%v\n", v, raw.Features[2*v], raw.Features[2*v+1])
		fmt.Fprintf(&roles, "n%d,%s\n", v, role[v])
	}
	for name, b := range map[string]*strings.Builder{"edges.csv": &edges, "labels.csv": &labels, "feats.csv": &feats, "roles.csv": &roles} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeGzip(t, dir, "edges.csv.gz", edges.String())
}

// zipOf packs a folder under a name.
func zipOf(t *testing.T, folder fs.FS, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(folder, path)
		if err != nil {
			return err
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: name + "/" + path, Method: zip.Deflate})
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// errorLines returns the lines of stderr that are no log.
func errorLines(stderr string) []string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSuffix(stderr, "\n"), "\n") {
		if len(line) < 9 || line[2] != ':' || line[5] != ':' || line[8] != ' ' {
			lines = append(lines, line)
		}
	}
	return lines
}

// tree returns names and digests of all there is below dir, one a line; "absent" if dir is not there.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			fmt.Fprintf(&b, "%s %s\n", name, d.Type())
			return nil
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", name, sha256.Sum256(text))
		return err
	})
	if os.IsNotExist(err) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
