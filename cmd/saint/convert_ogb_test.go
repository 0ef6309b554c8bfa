package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeGzip writes text to a .gz file below dir.
func writeGzip(t *testing.T, dir, name, text string) {
	t.Helper()
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	z.Write([]byte(text))
	z.Close()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// smallSet writes a set of 400 nodes in the benchmark's CSV form with so many tasks (1: a
// class of 3).
func smallSet(t *testing.T, name, split string, tasks int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	random := rand.New(rand.NewPCG(1, 1))
	const n, m = 400, 2000
	var edges, edgeFeats, feats, labels strings.Builder
	var roles [3]strings.Builder
	for range m {
		fmt.Fprintf(&edges, "%d,%d\n", random.IntN(n), random.IntN(n))
		fmt.Fprintf(&edgeFeats, "%.3f,%.3f\n", random.Float64(), random.Float64())
	}
	for v := range n {
		fmt.Fprintf(&feats, "%.3f,%.3f\n", float64(v%3)+random.NormFloat64(), random.NormFloat64())
		fmt.Fprintf(&roles[min(2, v%5/2)], "%d\n", v)
		if tasks == 1 {
			fmt.Fprintf(&labels, "%d\n", v%3)
			continue
		}
		fmt.Fprintf(&labels, "%d%s\n", random.IntN(2), strings.Repeat(fmt.Sprintf(",%d", v%2), tasks-1))
	}
	writeGzip(t, dir, "raw/edge.csv.gz", edges.String())
	writeGzip(t, dir, "raw/node-label.csv.gz", labels.String())
	writeGzip(t, dir, "raw/num-node-list.csv.gz", fmt.Sprintln(n))
	writeGzip(t, dir, "raw/num-edge-list.csv.gz", fmt.Sprintln(m))
	if tasks > 1 {
		writeGzip(t, dir, "raw/edge-feat.csv.gz", edgeFeats.String())
	} else {
		writeGzip(t, dir, "raw/node-feat.csv.gz", feats.String())
	}
	for i, role := range []string{"train", "valid", "test"} {
		writeGzip(t, dir, "split/"+split+"/"+role+".csv.gz", roles[i].String())
	}
	return dir
}

func TestConvertOGB(t *testing.T) {
	for _, c := range []struct {
		in, split, out, loss, metric string
		tasks                        int
	}{
		{"products", "sales_ranking", "ogbn-products", "softmax", "test_accuracy", 1},
		{"ogbn_proteins", "species", "ogbn-proteins", "sigmoid", "test_rocauc", 3},
	} {
		t.Run(c.in, func(t *testing.T) {
			in, out := smallSet(t, c.in, c.split, c.tasks), filepath.Join(t.TempDir(), "deep", c.out)
			o := must(t, "convert", "ogb", "--in", in, "--out", out, "--json")
			got := o.last(t)
			for key, want := range map[string]any{"type": "convert", "format": "ogb", "dataset": c.out, "nodes": 400.0, "features": 2.0, "undirected": true, "train": 160.0, "split": c.split} {
				if got[key] != want {
					t.Errorf("%s is %v, want %v", key, got[key], want)
				}
			}
			if !strings.Contains(o.stderr, "this is not "+c.out+" as published") {
				t.Errorf("stderr %q lacks the warning about other sizes", o.stderr)
			}
			run := must(t, "train", "--data_prefix", out, "--train_config", writeConfig(t, c.loss, "2"), "--gpu", "-1", "--run_dir", filepath.Join(t.TempDir(), "run"), "--json")
			if _, ok := run.last(t)[c.metric]; !ok {
				t.Errorf("training does not report %s: %v", c.metric, run.last(t))
			}
		})
	}
}

func TestConvertOGBText(t *testing.T) {
	in := smallSet(t, "mine", "any", 1)
	o := must(t, "convert", "ogb", "--in", in, "--out", filepath.Join(t.TempDir(), "x"), "--directed", "--split", "any", "--memory", "1GiB", "--num_cpu_core", "2")
	for _, want := range []string{"400 nodes", "(directed: as in the file)", "2 features", "3 classes", "160/160/80 training/validation/test nodes (split any)"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("stdout %q lacks %q", o.stdout, want)
		}
	}
}

func TestConvertOGBErrors(t *testing.T) {
	in := smallSet(t, "mine", "any", 1)
	full := t.TempDir()
	file := writeFile(t, "file", "x")
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "--in is missing"},
		{[]string{"--in", in}, exitUsage, "--out is missing"},
		{[]string{"--in", in, "--out", full}, exitUsage, "exists and is not empty"},
		{[]string{"--in", in, "--out", file}, exitUsage, "there is a file of that name"},
		{[]string{"--in", in, "--out", out}, exitUsage, "say --undirected"},
		{[]string{"--in", in, "--out", out, "--directed", "--undirected"}, exitUsage, "exclude each other"},
		{[]string{"--in", in, "--out", out, "--directed", "--split", "time"}, exitUsage, "holds any"},
		{[]string{"--in", in, "--out", out, "--directed", "--rows", "both"}, exitUsage, `--rows is "both"`},
		{[]string{in, "--out", out}, exitUsage, "'saint convert ogb' takes flags only; say --in " + in},
		{[]string{"--in", in, "--out", out, "--directed", "--memory", "many"}, exitUsage, `--memory is "many"`},
		{[]string{"--in", in, "--out", out, "--directed", "--memory", "1KiB"}, exitUsage, "raise --memory"},
		{[]string{"--in", in, "--out", out, "--num_cpu_core", "-1"}, exitUsage, "--num_cpu_core is -1"},
		{[]string{"--in", in + "x", "--out", out}, exitInput, "no such folder or archive"},
	} {
		saint(t, append([]string{"convert", "ogb"}, c.args...)...).fails(t, c.code, c.want)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: %s is there", c.args, out)
		}
	}
	writeGzip(t, in, "raw/edge.csv.gz", "1,2\n3,400\n")
	saint(t, "convert", "ogb", "--directed", "--in", in, "--out", out).fails(t, exitInput, "edge.csv.gz:2:3: node id 400, but there are 400 nodes")
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "512MiB": 512 << 20, "4GiB": 4 << 30, "4g": 4 << 30, "1.5 GiB": 3 << 29, "2T": 2 << 40, "100B": 100} {
		if got, ok := parseSize(text); !ok || got != want {
			t.Errorf("parseSize(%q) = %d, %t, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "0", "nan", "inf", "1e30G", "4XiB", "4GG"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("parseSize(%q) = %d, want none", text, got)
		}
	}
}

// TestTrainArxiv converts the real graph with generated features and trains an epoch on it.
func TestTrainArxiv(t *testing.T) {
	data := os.Getenv("SAINT_TEST_DATA")
	if data == "" || testing.Short() {
		t.Skip("needs SAINT_TEST_DATA, the folder that holds ogbn_arxiv_nofeat, and no -short")
	}
	in := filepath.Join(t.TempDir(), "ogbn_arxiv")
	for _, name := range []string{
		"raw/edge.csv.gz", "raw/node-label.csv.gz", "raw/num-node-list.csv.gz", "raw/num-edge-list.csv.gz",
		"split/time/train.csv.gz", "split/time/valid.csv.gz", "split/time/test.csv.gz",
	} {
		path := filepath.Join(in, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, readFile(t, data, "ogbn_arxiv_nofeat", name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	var feats strings.Builder
	for range 169343 {
		fmt.Fprintf(&feats, "%.4f,%.4f,%.4f\n", random.NormFloat64(), random.NormFloat64(), random.NormFloat64())
	}
	writeGzip(t, in, "raw/node-feat.csv.gz", feats.String())
	out := filepath.Join(t.TempDir(), "ogbn-arxiv")
	must(t, "convert", "ogb", "--in", in, "--out", out)
	o := must(t, "train", "--data_prefix", out, "--train_config", writeConfig(t, "softmax", "1"), "--gpu", "-1", "--epochs", "1",
		"--run_dir", filepath.Join(t.TempDir(), "run"), "--json", "--no_cache")
	if got := o.last(t); got["epochs"] != 1.0 || got["test_accuracy"] == nil {
		t.Errorf("result %v", got)
	}
}
