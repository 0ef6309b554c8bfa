package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/saintdir"
)

var dataFiles = []string{"adj_full.npz", "adj_train.npz", "role.json", "class_map.json", "feats.npy"}

// TestConvertThereAndBack converts a folder into every format and back, which must give the
// same files, and trains on each.
func TestConvertThereAndBack(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "tiny")
	must(t, "synth", "tiny", "--out", data)
	config := writeConfig(t, "softmax", "1")
	want, _ := train(t, config)
	for _, f := range []struct{ name, to, from, flag string }{
		{"graphsage", "to-graphsage", "graphsage", "--name=x"},
		{"cpp", "to-cpp", "cpp", "--edge_weight"},
		{"parquet", "to-tables", "tables", "--format=parquet"},
		{"arrow", "to-tables", "tables", "--format=arrow"},
	} {
		t.Run(f.name, func(t *testing.T) {
			there, back := filepath.Join(dir, f.name), filepath.Join(dir, f.name+"-back")
			must(t, "convert", f.to, "--in", data, "--out", there, f.flag)
			line := must(t, "convert", f.from, "--in", there, "--out", back, "--json").last(t)
			if line["type"] != "convert" || line["nodes"] != 2000.0 || line["train"] != 1200.0 {
				t.Errorf("convert printed %v, want 2000 nodes, 1200 of them for training", line)
			}
			for _, name := range dataFiles {
				if !bytes.Equal(readFile(t, back, name), readFile(t, data, name)) {
					t.Errorf("%s differs after %s and back", name, f.name)
				}
			}
			run := filepath.Join(dir, f.name+"-run")
			must(t, "train", "--data_prefix", back, "--train_config", config, "--run_dir", run, "--gpu=-1")
			if !bytes.Equal(lastOf(t, run), lastOf(t, want)) {
				t.Error("training on the converted folder gives other parameters")
			}
		})
	}
}

// TestConvertArraysAndLists trains on what comes from arrays and from a list of edges.
func TestConvertArraysAndLists(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "tiny")
	must(t, "synth", "tiny", "--out", data)
	raw, err := saintdir.LoadRaw(data, saintdir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	arrays := filepath.Join(dir, "arrays")
	if err := os.Mkdir(arrays, 0o777); err != nil {
		t.Fatal(err)
	}
	n := raw.Full.NumNodes()
	src, dst := raw.Full.Indices, make([]int32, 0, len(raw.Full.Indices))
	for v := range n {
		for range raw.Full.Degree(int32(v)) {
			dst = append(dst, int32(v))
		}
	}
	npy.WriteFile(filepath.Join(arrays, "src.npy"), []int{len(src)}, src)
	npy.WriteFile(filepath.Join(arrays, "dst.npy"), []int{len(dst)}, dst)
	npy.WriteFile(filepath.Join(arrays, "x.npy"), []int{n, raw.Dim}, raw.Features)
	npy.WriteFile(filepath.Join(arrays, "y.npy"), []int{n}, raw.Labels.Class)
	config := writeConfig(t, "softmax", "1")

	out := filepath.Join(dir, "a")
	must(t, "convert", "arrays", "--in", arrays, "--out", out, "--split", filepath.Join(data, "role.json"))
	for _, name := range dataFiles {
		if !bytes.Equal(readFile(t, out, name), readFile(t, data, name)) {
			t.Errorf("%s differs after arrays", name)
		}
	}
	edges := writeFile(t, "edges.csv", "a,b\nb,c\nc,a\nd,a\ne,b\n")
	labels := writeFile(t, "labels.csv", "a,x\nb,y\nc,x\nd,y\ne,x\n")
	list := filepath.Join(dir, "l")
	must(t, "convert", "edgelist", "--in", edges, "--labels", labels, "--out", list)
	if got, want := string(readFile(t, list, "id_map.json")), "{\n\"a\": 0,\n\"b\": 1,\n\"c\": 2,\n\"d\": 3,\n\"e\": 4\n}\n"; got != want {
		t.Errorf("id_map.json = %q, want %q", got, want)
	}
	for _, folder := range []string{out, list} {
		must(t, "train", "--data_prefix", folder, "--train_config", config, "--run_dir", folder+"-run", "--gpu=-1")
	}
}

func TestBadConversions(t *testing.T) {
	dir := t.TempDir()
	out, file := filepath.Join(dir, "out"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		code int
		args []string
		want string
	}{
		{"no --in", exitUsage, []string{"graphsage", "--out", out}, "--in is missing"},
		{"no --out", exitUsage, []string{"cpp", "--in", dir}, "--out is missing"},
		{"links", exitUsage, []string{"graphsage", "--in", dir, "--out", out, "--links", "names"}, "--links"},
		{"labels", exitUsage, []string{"cpp", "--in", dir, "--out", out, "--labels", "some"}, "--labels"},
		{"format", exitUsage, []string{"to-tables", "--in", "synth:tiny", "--out", out, "--format", "csv"}, "--format"},
		{"both directions", exitUsage, []string{"tables", "--in", dir, "--out", out, "--directed", "--undirected"}, "exclude each other"},
		{"fractions", exitUsage, []string{"shchur", "--in", dir, "--out", out, "--split", "0.9,0.9,0"}, "--split"},
		{"one fraction", exitUsage, []string{"shchur", "--in", dir, "--out", out, "--split", "0.5"}, "want three fractions"},
		{"no fraction", exitUsage, []string{"edgelist", "--in", dir, "--labels", dir, "--out", out, "--split", ""}, "--split needs a value"},
		{"below a file", exitUsage, []string{"to-cpp", "--in", dir, "--out", filepath.Join(file, "a", "b")}, "is a file"},
		{"split column", exitUsage, []string{"arrays", "--in", dir, "--out", out, "--split_column", "-1"}, "--split_column is -1"},
		{"no labels", exitUsage, []string{"edgelist", "--in", dir, "--out", out}, "--labels is missing"},
		{"delimiter", exitUsage, []string{"edgelist", "--in", dir, "--out", out, "--labels", "x", "--delimiter", "::"}, "--delimiter"},
		{"no such graph", exitUsage, []string{"to-cpp", "--in", "synth:none", "--out", out}, "--in"},
		{"no such folder", exitInput, []string{"to-cpp", "--in", filepath.Join(dir, "none"), "--out", out}, "no such folder"},
		{"empty folder", exitInput, []string{"cpp", "--in", dir, "--out", out}, "dims.bin: no such file"},
		{"no graph", exitInput, []string{"graphsage", "--in", dir, "--out", out}, "holds 0 files"},
		{"no tables", exitInput, []string{"tables", "--in", dir, "--out", out}, "no table nodes.parquet"},
		{"no archive", exitInput, []string{"shchur", "--in", filepath.Join(dir, "x.npz"), "--out", out}, "no such file"},
		{"no arrays", exitInput, []string{"arrays", "--in", dir, "--out", out}, "no such array"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			saint(t, append([]string{"convert"}, test.args...)...).fails(t, test.code, test.want)
			if _, err := os.Stat(out); err == nil {
				t.Error("the output folder exists after a failure")
			}
		})
	}
}
