package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shortBench makes measurements short for the test.
func shortBench(t *testing.T) {
	before := benchTimes
	benchTimes.peak, benchTimes.least, benchTimes.sample, benchTimes.few = time.Millisecond, time.Millisecond, 2*time.Millisecond, time.Millisecond
	t.Cleanup(func() { benchTimes = before })
}

func TestBenchAll(t *testing.T) {
	shortBench(t)
	table := filepath.Join(t.TempDir(), "bench.md")
	o := must(t, "bench", "all", "--preset", "tiny", "--threads", "2", "--repeats", "2", "--shapes", "40x32x48", "--markdown", table, "--json")
	lines := o.objects(t)
	m := lines[0]
	if m["type"] != "machine" || m["cpu"] == "" || m["threads"] != 2.0 || !(m["peak_flops"].(float64) > 0) || !(m["peak_bytes_per_s"].(float64) > 0) {
		t.Errorf("the first line is %v, want the machine", m)
	}
	kinds := map[string]int{}
	for _, l := range lines[1:] {
		kind, _, _ := strings.Cut(l["name"].(string), "/")
		kinds[kind]++
		value, low, high := l["value"].(float64), l["low"].(float64), l["high"].(float64)
		if l["type"] != "bench" || !(0 < low && low <= value && value <= high) || l["unit"] == "" || l["repeats"].(float64) > 2 {
			t.Errorf("figure %v, want a positive median between the extremes", l)
		}
		share, has := l["share_of_peak"].(float64)
		between := strings.HasSuffix(l["name"].(string), "between operations") // time without work has no rate
		if wants := kind != "norm" && kind != "load" && !between; wants != has || has && !(share > 0) {
			t.Errorf("%v: share of peak %v, %t", l["name"], share, has)
		}
	}
	want := map[string]int{"gemm": 6, "spmm": 4, "step": 2, "sample": 2, "norm": 1, "eval": 2, "load": 1}
	for kind, n := range want {
		if kinds[kind] != n {
			t.Errorf("%d figures of %s, want %d", kinds[kind], kind, n)
		}
	}
	if kinds["ops"] < 10 {
		t.Errorf("%d operations of a step, want more", kinds["ops"])
	}
	text := string(readFile(t, table))
	if !strings.HasPrefix(text, "# ") || strings.Count(text, "\n| ") != len(lines)-1+len(kinds) {
		t.Errorf("the table is\n%s", text)
	}
}

func TestBenchTable(t *testing.T) {
	shortBench(t)
	one := must(t, "bench", "step", "--preset", "tiny", "--threads", "1", "--repeats", "1", "--json").stdout
	two := must(t, "bench", "gemm", "--shapes", "8x8x8", "--threads", "1", "--repeats", "1", "--json").stdout
	dir := t.TempDir()
	a, b := writeFile(t, "a.jsonl", one), writeFile(t, "b.jsonl", two)
	text := must(t, "bench", "table", a, b, a).stdout
	if strings.Count(text, "\n## ") != 2 || strings.Count(text, "| step/tiny rw | 1 |") != 1 || strings.Index(text, "## gemm") > strings.Index(text, "## step") {
		t.Errorf("the table of two files is\n%s", text)
	}
	out := filepath.Join(dir, "t.md")
	must(t, "bench", "table", a, b, "--out", out)
	if got := string(readFile(t, out)); got != text {
		t.Errorf("--out holds\n%s\nwant\n%s", got, text)
	}
	machine, _, _ := strings.Cut(two, "\n")
	other := strings.Replace(machine, `"threads":1`, `"threads":3`, 1)
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", "what threads\n", "b.jsonl:1: not a line of a benchmark"},
		{"empty", "", "b.jsonl: holds no figures"},
		{"no machine", `{"type":"bench","name":"x"}`, "b.jsonl:1: a figure before the line of its machine"},
		{"another machine", other, "a table is of one machine"},
		{"another type", machine + "\n{\"type\":\"epoch\"}", `b.jsonl:2: type "epoch"`},
		{"a long line", strings.Repeat("x", 1<<17), "b.jsonl:1: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			saint(t, "bench", "table", a, writeFile(t, "b.jsonl", tc.text)).fails(t, exitInput, tc.want)
		})
	}
	saint(t, "bench", "table").fails(t, exitUsage, "at least one file")
	saint(t, "bench", "table", "nowhere.jsonl").fails(t, exitInput, "nowhere.jsonl: cannot be read")
}

func TestBenchText(t *testing.T) {
	shortBench(t)
	dir := t.TempDir()
	o := must(t, "bench", "step", "--preset", "tiny", "--threads", "1", "--repeats", "1", "--markdown", dir)
	if !strings.Contains(o.stdout, "what") || strings.Count(o.stdout, "step/tiny rw") != 1 || !strings.Contains(o.stdout, "GFLOP/s") {
		t.Errorf("stdout is\n%s", o.stdout)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || !strings.HasSuffix(files[0].Name(), "-1.md") {
		t.Errorf("--markdown FOLDER wrote %v, %v, want one file named after the machine", files, err)
	}
}

func TestBenchOfFolder(t *testing.T) {
	shortBench(t)
	dir := filepath.Join(t.TempDir(), "tiny")
	must(t, "synth", "tiny", "--out", dir, "--quiet")
	config := writeConfig(t, "softmax", "2")
	for _, kind := range []string{"load", "sample"} {
		l := must(t, "bench", kind, "--data_prefix", dir, "--train_config", config, "--threads", "1", "--repeats", "1", "--json").last(t)
		if l["type"] != "bench" || !strings.HasPrefix(l["name"].(string), kind+"/tiny") {
			t.Errorf("bench %s of a folder = %v", kind, l)
		}
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
		args string
		want string
	}{
		{"unknown kind", exitUsage, "bench stepp", `unknown command "bench stepp", did you mean step?`},
		{"unknown preset", exitUsage, "bench step --preset flickr-lik", "did you mean flickr-like?"},
		{"no repeats", exitUsage, "bench step --repeats 0", "--repeats is 0, want 1 to"},
		{"threads", exitUsage, "bench step --threads 0", "--threads is 0, want 1 to"},
		{"both data", exitUsage, "bench step --preset tiny --data_prefix synth:tiny", "exclude each other"},
		{"no folder", exitInput, "bench load --data_prefix nowhere", "nowhere"},
		{"configuration", exitUsage, "bench step --preset tiny --train_config none.yml", "none.yml"},
		{"markdown", exitUsage, "bench gemm --markdown nowhere/file.md", "--markdown nowhere/file.md: there is no folder nowhere"},
		{"shapes", exitUsage, "bench gemm --shapes 3x4", `--shapes has "3x4"`},
		{"shapes trailing", exitUsage, "bench gemm --shapes 3x4x5x6", `--shapes has "3x4x5x6"`},
		{"huge shapes", exitUsage, "bench gemm --shapes 99999999x4x5", "want products"},
		{"sizes", exitUsage, "bench cost --sizes 1e5,ten", `--sizes has "ten"`},
		{"size nan", exitUsage, "bench cost --sizes NaN", `--sizes has "NaN"`},
		{"degree", exitUsage, "bench cost --degree 1", "--degree is 1, want 2 to"},
		{"plot", exitUsage, "bench cost --plot cost.pdf", "want a name that ends in .svg or .png"},
		{"export without out", exitUsage, "bench export --preset tiny", "--out is missing"},
		{"export of several", exitUsage, "bench export --out x", "one data set"},
		{"export count", exitUsage, "bench export --out x --preset tiny --count 0", "--count is 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			saint(t, strings.Fields(tc.args)...).fails(t, tc.code, tc.want)
		})
	}
}

func TestBenchCost(t *testing.T) {
	shortBench(t)
	plot := filepath.Join(t.TempDir(), "cost.svg")
	o := must(t, "bench", "cost", "--sizes", "1e4,20000", "--repeats", "1", "--plot", plot, "--json")
	lines := o.objects(t)
	if len(lines) != 1+2*5 || lines[10]["name"] != "cost/mrw 2e+04 nodes" || lines[10]["unit"] != "ms" || lines[1]["name"] != "cost/random read 1e+04 nodes" || lines[1]["unit"] != "ns" {
		t.Errorf("bench cost printed %v", lines)
	}
	if text := string(readFile(t, plot)); !strings.Contains(text, "<svg") || !strings.Contains(text, "mrw") {
		t.Errorf("the plot is %.200s", text)
	}
}

func TestBenchExport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	export := []string{"bench", "export", "--preset", "tiny", "--count", "8", "--threads", "2", "--out"}
	must(t, append(export, dir)...)
	var x expectation
	if err := json.Unmarshal(readFile(t, dir, "expect.json"), &x); err != nil {
		t.Fatal(err)
	}
	if len(x.Losses) != 5 || !(x.Losses[4] < x.Losses[0]) || x.Batches != 8 || !slices.Equal(x.Arch, []int{1, 1, 0}) || x.PerEpoch != 4 {
		t.Errorf("expect.json = %+v", x)
	}
	if !(x.Trained.TestF1 > x.Initial.TestF1) || !(x.Trained.Loss < x.Initial.Loss) {
		t.Errorf("training does not help: %+v before, %+v after", x.Initial, x.Trained)
	}
	for _, name := range []string{"batches.arrows", "init.safetensors", "features.npy", "full_indptr.npy", "train_indices.npy", "labels.npy", "test_nodes.npy"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	saint(t, append(export, dir)...).fails(t, exitUsage, "exists and is not empty")
}
