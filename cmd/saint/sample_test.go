package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats/arrowrec"
	trainconfig "github.com/saint-gnn/saint/train_config"
)

func TestSampleIsTheSameForAnyWorkers(t *testing.T) {
	var want string
	for _, workers := range []string{"1", "2", "4"} {
		path := filepath.Join(t.TempDir(), "s.arrow")
		args := []string{"sample", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--count", "7", "--num_cpu_core", workers, "--quiet"}
		o := must(t, append(args, "--out", path)...)
		sum := sha256.Sum256(readFile(t, path))
		got := hex.EncodeToString(sum[:])
		if o.stdout != got+"  "+path+"\n" || o.stderr != "" {
			t.Errorf("%s workers: stdout %q, stderr %q, want the sum of the file, %s", workers, o.stdout, o.stderr, got)
		}
		if alone := must(t, args...).stdout; alone != got+"\n" {
			t.Errorf("without --out: %q, want the same sum %s alone", alone, got)
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s workers: %s, one worker: %s", workers, got, want)
		}
		checkStream(t, path, 7)
	}
	o := must(t, "sample", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--seed", "2", "--count", "7", "--json")
	l := o.last(t)
	if l["sha256"] == want || l["count"] != 7.0 || !slices.Equal(keys(l), sorted("type count nodes edges bytes sha256")) {
		t.Errorf("seed 2: %v, want 7 other subgraphs", l)
	}
}

func checkStream(t *testing.T, path string, count int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := arrowrec.NewReader(f, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for ; ; n++ {
		if _, err := r.Next(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
	}
	if m := r.Meta(); n != count || m.Dataset != "synth:tiny" || m.Seed != 1 {
		t.Errorf("%s holds %d subgraphs of %+v, want %d of synth:tiny", path, n, m, count)
	}
}

func TestSampleFeatures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.arrow")
	plain := must(t, "sample", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--json").last(t)
	more := must(t, "sample", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--features", "--out", path, "--json").last(t)
	if plain["nodes"] != more["nodes"] || more["bytes"].(float64) < plain["bytes"].(float64)+4*16*plain["nodes"].(float64) {
		t.Errorf("with features %v, without %v, want 16 float32 a node more", more, plain)
	}
	checkStream(t, path, int(more["count"].(float64)))
}

func TestConfigCheck(t *testing.T) {
	list := strings.Fields(must(t, "config", "list").stdout)
	if len(list) < 34 || !slices.Equal(list, trainconfig.Names()) {
		t.Fatalf("config list printed %d files, want the %d built in", len(list), len(trainconfig.Names()))
	}
	if got := must(t, "config", "list", "--json").objects(t); len(got) != len(list) || got[0]["file"] != list[0] {
		t.Errorf("config list --json = %v", got)
	}
	for _, name := range list {
		o := must(t, "config", "check", name, "--json")
		if l := o.last(t); l["trainable"] != true || o.stderr != "" {
			t.Errorf("config check %s: trainable %v, stderr %q, want true and nothing", name, l["trainable"], o.stderr)
		}
	}
	o := must(t, append([]string{"config", "check"}, list...)...)
	if got := strings.Count(o.stdout, "\n# ") + 1; got != len(list) {
		t.Errorf("config check of all files printed %d, want %d", got, len(list))
	}
	resolved := writeFile(t, "again.yml", must(t, "config", "check", "rw.yml", "--data_prefix", "./data/ppi").stdout)
	again := must(t, "config", "check", resolved, "--json").last(t)
	if want := must(t, "config", "check", "table2/ppi2_rw.yml", "--json").last(t); again["hash"] != want["hash"] {
		t.Errorf("the resolved configuration has the hash %v, want that of its source, %v", again["hash"], want["hash"])
	}
}

func TestBadConfigs(t *testing.T) {
	good := strings.NewReplacer("LOSS", "softmax", "END", "2").Replace(smallConfig)
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown key", "num_root", "num_rot", `bad.yml:15:5: unknown key "num_rot" in phase 1; did you mean "num_root"?`},
		{"unknown sampler", "sampler: rw", "sampler: rww", "bad.yml:14:14: "},
		{"wrong type", "dim: 16", "dim: wide", "bad.yml:2:10: dim: want an integer"},
		{"bad value", "lr: 0.01", "lr: -1", "bad.yml:9:9: "},
		{"bad loss", "loss: softmax", "loss: hinge", "bad.yml:4:11: "},
		{"sampler's own value", "depth: 2", "depth: -2", "bad.yml:16:12: "},
		{"no YAML", "phase:", "phase: [", "bad.yml:"},
		{"empty", good, "", "bad.yml: the file is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bad := writeFile(t, "bad.yml", strings.Replace(good, tc.old, tc.new, 1))
			saint(t, "config", "check", bad).fails(t, exitUsage, tc.want)
			saint(t, "train", "--data_prefix", "synth:tiny", "--train_config", bad, "--run_dir", filepath.Join(t.TempDir(), "run"), "--quiet").fails(t, exitUsage, tc.want)
		})
	}
	saint(t, "config", "check", t.TempDir()).fails(t, exitUsage, "is a folder")
}

func TestSamplersAndVersion(t *testing.T) {
	o := must(t, "samplers", "--json")
	names := map[string]bool{}
	for _, l := range o.objects(t) {
		names[l["name"].(string)] = true
	}
	text := must(t, "samplers").stdout
	for _, n := range []string{"node", "edge", "edge_bernoulli", "rw", "mrw", "full_batch", "vanilla_node_python", "cluster_gcn"} {
		if !names[n] || !strings.Contains(text, n+" ") {
			t.Errorf("samplers does not list %s", n)
		}
	}
	if l := must(t, "version", "--json").last(t); l["type"] != "version" || l["version"] != version || l["isa"] == "" {
		t.Errorf("version = %v", l)
	}
	if got := must(t, "--version").stdout; got != must(t, "version").stdout || !strings.HasPrefix(got, "saint "+version) {
		t.Errorf("--version printed %q", got)
	}
}

func TestSynthJSON(t *testing.T) {
	out := filepath.Join(t.TempDir(), "tiny")
	l := must(t, "synth", "synth:tiny", "--out", out, "--seed", "3", "--json").last(t)
	if l["type"] != "synth" || l["nodes"] != 2000.0 || l["seed"] != 3.0 || l["out"] != out {
		t.Errorf("synth = %v", l)
	}
	file := writeFile(t, "file", "")
	saint(t, "synth", "tiny", "--out", file).fails(t, exitFailure, file)
	saint(t, "synth", "tiny", "--out", filepath.Join(file, "below")).fails(t, exitFailure, file)
}
