package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer"
)

func keys(m map[string]any) []string {
	var k []string
	for name := range m {
		k = append(k, name)
	}
	slices.Sort(k)
	return k
}

func sorted(words string) []string {
	w := strings.Fields(words)
	slices.Sort(w)
	return w
}

var (
	epochKeys  = sorted("type epoch phase train_loss train_f1_micro val_f1_micro val_f1_macro val_loss seconds")
	resultKeys = sorted(`type best_epoch epochs val_f1_micro val_f1_macro test_f1_micro test_f1_macro last_test_f1_micro train_seconds
		sample_wait_seconds norm_seconds eval_seconds load_seconds total_seconds peak_rss_bytes device run_dir`)
)

func TestTrainJSON(t *testing.T) {
	dir, o := train(t, writeConfig(t, "softmax", "4"), "--json", "--quiet")
	if o.stderr != "" {
		t.Errorf("--quiet: stderr %q, want nothing", o.stderr)
	}
	lines := o.objects(t)
	if len(lines) != 5 {
		t.Fatalf("got %d lines, want 4 epochs and a result:\n%s", len(lines), o.stdout)
	}
	for i, l := range lines[:4] {
		if l["type"] != "epoch" || l["epoch"] != float64(i) || l["phase"] != 0.0 || !slices.Equal(keys(l), epochKeys) {
			t.Errorf("line %d = %v, want epoch %d with the keys %v", i, l, i, epochKeys)
		}
	}
	r := lines[4]
	if !slices.Equal(keys(r), resultKeys) {
		t.Errorf("result has the keys %v, want %v", keys(r), resultKeys)
	}
	if device, _ := r["device"].(string); !strings.HasPrefix(device, "cpu") || r["epochs"] != 4.0 || r["run_dir"] != dir || r["type"] != "result" {
		t.Errorf("result = %v, want 4 epochs on the cpu in %s", r, dir)
	}
	best := lines[int(r["best_epoch"].(float64))]
	if r["val_f1_micro"] != best["val_f1_micro"] {
		t.Errorf("val_f1_micro = %v, want that of epoch %v, %v", r["val_f1_micro"], r["best_epoch"], best["val_f1_micro"])
	}
	if got := string(readFile(t, dir, "metrics.jsonl")); got != o.stdout {
		t.Errorf("metrics.jsonl =\n%swant what --json printed:\n%s", got, o.stdout)
	}
}

func TestRunFolder(t *testing.T) {
	config := writeConfig(t, "softmax", "2")
	logs := t.TempDir()
	o := must(t, "train", "--data_prefix", "synth:tiny?seed=3", "--train_config", config, "--dir_log", logs, "--seed", "7", "--json")
	found, err := filepath.Glob(filepath.Join(logs, "runs", "synth-tiny-seed-3-small-*T*Z"))
	if err != nil || len(found) != 1 {
		entries, _ := os.ReadDir(filepath.Join(logs, "runs"))
		t.Fatalf("run folders = %v, want one synth-tiny-seed-3-small-<UTC time>", entries)
	}
	dir := found[0]
	if got := o.last(t)["run_dir"]; got != dir {
		t.Errorf("run_dir = %v, want %s", got, dir)
	}
	for _, name := range []string{
		"run.json", "config.yml", "metrics.jsonl", "norm/phase0.safetensors", "checkpoints/best.safetensors", "checkpoints/last.safetensors",
		"checkpoints/last.state.safetensors",
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	i := info(t, dir)
	for key, want := range map[string]any{"state": "done", "seed": 7.0, "data_prefix": "synth:tiny?seed=3", "version": version, "train_config": config} {
		if i[key] != want {
			t.Errorf("run.json: %s = %v, want %v", key, i[key], want)
		}
	}
	for _, key := range []string{"device", "isa", "data_fingerprint", "config_hash", "command", "started", "ended"} {
		if i[key] == nil || i[key] == "" {
			t.Errorf("run.json has no %s", key)
		}
	}
	must(t, "config", "check", filepath.Join(dir, "config.yml"))
}

func TestRunFolderErrors(t *testing.T) {
	tmp := t.TempDir()
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	config := writeConfig(t, "softmax", "1")
	run := func(dir string, flags ...string) outcome {
		return saint(t, append([]string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir}, flags...)...)
	}
	run(tmp).fails(t, exitUsage, "not empty", "--run_dir")
	run(tmp, "--runs", "2").fails(t, exitUsage, "not empty")
	run(file).fails(t, exitFailure, "run folder", file)
	run(filepath.Join(file, "below")).fails(t, exitFailure, "run folder", file)
	if err := os.Mkdir(filepath.Join(tmp, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	if o := run(filepath.Join(tmp, "empty")); o.code != exitDone {
		t.Errorf("an empty folder: exit %d, %s", o.code, o.stderr)
	}
	run(filepath.Join(tmp, "empty")).fails(t, exitUsage, "--resume", "--run_dir")
}

func TestTableForPeople(t *testing.T) {
	_, o := train(t, writeConfig(t, "softmax", "3"))
	for _, want := range []string{"val F1 micro", "best validation", "final weights", "peak memory", "run folder "} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("stdout has no %q:\n%s", want, o.stdout)
		}
	}
	for _, want := range []string{" data synth:tiny: 2000 nodes", " device cpu", " epoch 0: ", " epoch 2: "} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("stderr has no %q:\n%s", want, o.stderr)
		}
	}
	if strings.Contains(o.stderr, "\x1b") {
		t.Errorf("stderr is no terminal but has escapes:\n%q", o.stderr)
	}
	j := &job{env: &env{Stdout: &bytes.Buffer{}}}
	out := &trainOutput{job: j, known: true, published: 0.981}
	if err := out.printRows("title", nil); err != nil {
		t.Fatal(err)
	}
	if got := j.env.Stdout.(*bytes.Buffer).String(); !strings.Contains(got, "published") || !strings.Contains(got, "0.9810") {
		t.Errorf("the table of known data has no published score:\n%s", got)
	}
}

func TestPublished(t *testing.T) {
	for _, tc := range []struct {
		data, config string
		want         float64
		known        bool
	}{
		{"ppi", "table2/ppi2_rw.yml", 0.981, true},
		{"ppi", "./train_config/table2/ppi2_rw.yml", 0.981, true},
		{"flickr", "table2/ppi2_rw.yml", 0, false},
		{"synth:tiny", "demo/tiny_rw.yml", 0, false},
		{"ppi", "xtable2/ppi2_rw.yml", 0, false},
	} {
		if got, known := publishedF1(tc.data, tc.config); got != tc.want || known != tc.known {
			t.Errorf("publishedF1(%s, %s) = %v, %v, want %v, %v", tc.data, tc.config, got, known, tc.want, tc.known)
		}
	}
}

func TestProgressOnATerminal(t *testing.T) {
	o := saintIn(t.Context(), t, true, "train", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--run_dir", filepath.Join(t.TempDir(), "run"))
	if o.code != exitDone || !strings.Contains(o.stderr, "\r\x1b[Ktrain ") || !strings.Contains(o.stderr, "steps/s") || !strings.Contains(o.stderr, "ETA") {
		t.Errorf("exit %d, stderr %q, want a rewritten line with rate and ETA", o.code, o.stderr)
	}
	if strings.Contains(o.stdout, "\x1b") {
		t.Errorf("stdout has escapes: %q", o.stdout)
	}
}

func TestRuns(t *testing.T) {
	config := writeConfig(t, "softmax", "2")
	dir, o := train(t, config, "--runs", "3", "--seed", "5", "--json", "--baseline")
	var test []float64
	for _, l := range o.objects(t) {
		if l["type"] != "result" {
			continue
		}
		if want := 5 + float64(len(test)); l["seed"] != want {
			t.Errorf("seed = %v, want %v", l["seed"], want)
		}
		test = append(test, l["test_f1_micro"].(float64))
	}
	s := o.last(t)
	if len(test) != 3 || s["type"] != "summary" || s["runs"] != 3.0 || s["run_dir"] != dir || s["baseline_test_f1_micro_mean"] == nil {
		t.Fatalf("got %d results and %v, want 3 and a summary", len(test), s)
	}
	mean := (test[0] + test[1] + test[2]) / 3
	std := math.Sqrt(((test[0]-mean)*(test[0]-mean) + (test[1]-mean)*(test[1]-mean) + (test[2]-mean)*(test[2]-mean)) / 2)
	if math.Abs(s["test_f1_micro_mean"].(float64)-mean) > 1e-12 || math.Abs(s["test_f1_micro_std"].(float64)-std) > 1e-12 {
		t.Errorf("summary = %v, want mean %v and deviation %v", s, mean, std)
	}
	one, _ := train(t, config, "--seed", "6")
	if !bytes.Equal(lastOf(t, filepath.Join(dir, "seed-6")), lastOf(t, one)) {
		t.Error("the second of three runs differs from a run of its own with the same seed")
	}
	_, o = train(t, config, "--runs", "2")
	for _, want := range []string{"seed 1", "seed 2", "mean", "standard deviation", "2 runs"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the table of two runs has no %q:\n%s", want, o.stdout)
		}
	}
}

func TestBaseline(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	plain, _ := train(t, config)
	dir, o := train(t, config, "--baseline", "--json")
	lines := o.objects(t)
	b, r := lines[len(lines)-2], lines[len(lines)-1]
	if b["type"] != "baseline" || r["type"] != "result" || !slices.Equal(keys(b), resultKeys) || !slices.Equal(keys(r), resultKeys) {
		t.Fatalf("the last lines are %v and %v, want a baseline and a result", b, r)
	}
	if b["run_dir"] != filepath.Join(dir, "baseline") {
		t.Errorf("run_dir of the baseline = %v, want a folder inside %s", b["run_dir"], dir)
	}
	if got, want := b["test_f1_micro"].(float64), r["test_f1_micro"].(float64); got > want-0.1 {
		t.Errorf("test F1 of the features alone = %v, want well below %v", got, want)
	}
	if !bytes.Equal(lastOf(t, dir), lastOf(t, plain)) {
		t.Error("--baseline changes the run itself")
	}
	if got := string(readFile(t, dir, "baseline", "config.yml")); !strings.Contains(got, "arch: '0-0'") {
		t.Errorf("the configuration of the baseline is\n%s\nwant every order 0", got)
	}
	if got := must(t, "eval", filepath.Join(dir, "baseline"), "--json").last(t); got["f1_micro"] != b["test_f1_micro"] {
		t.Errorf("eval of the baseline = %v, want %v", got["f1_micro"], b["test_f1_micro"])
	}
	if _, o := train(t, config, "--baseline"); !strings.Contains(o.stdout, "features only") {
		t.Errorf("the table has no baseline:\n%s", o.stdout)
	}
}

func TestWorkersDoNotChangeABit(t *testing.T) {
	config := writeConfig(t, "softmax", "3")
	one, _ := train(t, config, "--num_cpu_core", "1")
	four, _ := train(t, config, "--num_cpu_core", "4", "--no_cache")
	if !bytes.Equal(lastOf(t, one), lastOf(t, four)) {
		t.Error("last.safetensors differs between 1 and 4 workers")
	}
}

func TestFolderTrainsAsTheGeneratedGraph(t *testing.T) {
	data := filepath.Join(t.TempDir(), "deep", "tiny")
	must(t, "synth", "tiny", "--out", data)
	saint(t, "synth", "tiny", "--out", data).fails(t, exitUsage, "not empty")
	config := writeConfig(t, "softmax", "2")
	want, _ := train(t, config)
	got := filepath.Join(t.TempDir(), "run")
	must(t, "train", "--data-prefix="+data, "--train-config="+config, "--run-dir="+got)
	if !bytes.Equal(lastOf(t, got), lastOf(t, want)) {
		t.Error("last.safetensors of the folder differs from that of synth:tiny")
	}
	if err := os.WriteFile(filepath.Join(data, "feats.npy"), []byte("not numbers"), 0o666); err != nil {
		t.Fatal(err)
	}
	saint(t, "train", "--data_prefix", data, "--train_config", config, "--run_dir", got+"2").fails(t, exitInput, "feats.npy")
	saint(t, "train", "--data_prefix", data+"x", "--train_config", config).fails(t, exitInput, "no such folder")
	saint(t, "train", "--data_prefix", "./data/ppi", "--train_config", "rw.yml").fails(t, exitInput, "saint download ppi")
	saint(t, "eval", got, "--data_prefix", data).fails(t, exitInput, "feats.npy")
}

func TestNoValidationNodes(t *testing.T) {
	data := filepath.Join(t.TempDir(), "tiny")
	must(t, "synth", "tiny", "--out", data)
	role := map[string][]int{}
	if err := json.Unmarshal(readFile(t, data, "role.json"), &role); err != nil {
		t.Fatal(err)
	}
	role["te"] = append(role["te"], role["va"]...)
	role["va"] = []int{}
	text, err := json.Marshal(role)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "role.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	o := must(t, "train", "--data_prefix", data, "--train_config", writeConfig(t, "softmax", "2"), "--run_dir", filepath.Join(t.TempDir(), "run"), "--json")
	if r := o.last(t); r["type"] != "result" || r["last_test_f1_micro"].(float64) < 0.3 {
		t.Errorf("result = %v, want a test score although there is no validation", r)
	}
}

func TestEpochLogIsBearable(t *testing.T) {
	_, o := train(t, writeConfig(t, "softmax", "60"), "--json")
	if n := strings.Count(o.stderr, " epoch "); n > 20 {
		t.Errorf("60 short epochs leave %d lines in the log:\n%s", n, o.stderr)
	}
	if n := strings.Count(o.stdout, `"type":"epoch"`); n != 60 {
		t.Errorf("--json printed %d epochs, want all 60", n)
	}
	if !strings.Contains(o.stderr, "epoch 59: ") || !strings.Contains(o.stderr, "best") {
		t.Errorf("the log lacks the last epoch or the best:\n%s", o.stderr)
	}
}

func TestInterruptedInProcess(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "it's a run")
	o := saintIn(ctx, t, false, "train", "--data_prefix", "synth:tiny", "--train_config", writeConfig(t, "softmax", "2"), "--run_dir", dir, "--quiet")
	o.fails(t, exitInterrupted, "interrupted")
	o = saintIn(ctx, t, false, "sample", "--data_prefix", "synth:tiny", "--train_config", "rw.yml")
	o.fails(t, exitInterrupted, "interrupted")
	err := interrupted(fmt.Errorf("%w after epoch 3", trainer.ErrInterrupted), dir)
	if want := `interrupted after epoch 3; saved, go on with: saint train --resume '`; !strings.HasPrefix(err.Error(), want) || exitCode(err) != exitInterrupted {
		t.Errorf("interrupted = %q, exit %d, want %q…, exit 130", err, exitCode(err), want)
	}
}
