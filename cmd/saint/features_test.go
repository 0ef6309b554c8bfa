package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// A run on features in half precision says so, is evaluated and resumed on them, and is the same for
// any number of workers.
func TestTrainOnHalfFeatures(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	want, _ := train(t, config, "--feature_dtype", "f16", "--epochs", "4", "--num_cpu_core", "1")
	dir, out := train(t, config, "--feature_dtype", "f16", "--epochs", "2", "--num_cpu_core", "3")
	if !strings.Contains(out.stderr, "features are stored in half precision (f16)") {
		t.Errorf("the log does not say how far features were rounded:\n%s", out.stderr)
	}
	if text := string(readFile(t, dir, "config.yml")); !strings.Contains(text, "system:\n  - feature_dtype: f16\n") {
		t.Errorf("config.yml has no feature_dtype: f16:\n%s", text)
	}
	saint(t, "train", "--resume", dir, "--feature_dtype", "f32").fails(t, exitUsage, "is resumed with its own")
	must(t, "train", "--resume", dir, "--epochs", "4")
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Error("2 + 2 epochs on features in half precision differ from 4")
	}
	plain, _ := train(t, config, "--epochs", "4")
	if bytes.Equal(lastOf(t, dir), lastOf(t, plain)) {
		t.Error("half precision of the features changed nothing")
	}
	saint(t, "train", "--resume", plain, "--feature_dtype", "f16").fails(t, exitUsage, "is resumed with its own")
	a, b := must(t, "eval", dir, "--json"), must(t, "eval", dir, "--json", "--feature_dtype", "f32")
	if a.stdout == b.stdout {
		t.Error("scores on features of either type are the same to the last digit")
	}
	must(t, "predict", dir, "--probabilities", "--out", filepath.Join(t.TempDir(), "p.npy"))
	must(t, "plan", "--data_prefix", "synth:tiny", "--train_config", config, "--feature_dtype", "f16")
	for _, c := range []struct{ flags, want string }{
		{"--feature_dtype f8", `--feature_dtype is "f8", want f32 or f16`},
		{"--feature_dtype f16 --dtype d", "dtype d is double precision"},
	} {
		args := append([]string{"train", "--data_prefix", "synth:tiny", "--train_config", config}, strings.Fields(c.flags)...)
		saint(t, args...).fails(t, exitUsage, c.want)
	}
}

// Features from a folder are the same in half precision as generated ones, and what is out of range
// is said with its column.
func TestHalfFeaturesOfFolder(t *testing.T) {
	config, data := writeConfig(t, "softmax", "2"), filepath.Join(t.TempDir(), "tiny")
	must(t, "synth", "tiny", "--out", data)
	want, _ := train(t, config, "--feature_dtype", "f16")
	dir := filepath.Join(t.TempDir(), "run")
	must(t, "train", "--data_prefix", data, "--train_config", config, "--feature_dtype", "f16", "--run_dir", dir)
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Error("a folder trains differently than the graph that was written to it")
	}
	path := filepath.Join(data, "feats.npy")
	x, shape := readFeatures(t, path)
	raw, err := saintdir.LoadRaw(data, saintdir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x[(int(raw.TestNodes[0])+1)*shape[1]-1] = 1e8 // a training node would enlarge the deviation
	if err := npy.WriteFile(path, shape, x); err != nil {
		t.Fatal(err)
	}
	saint(t, "train", "--data_prefix", data, "--train_config", config, "--feature_dtype", "f16").fails(t, exitInput, "feats.npy: column 15 is", "beyond float16")
}

func readFeatures(t *testing.T, path string) ([]float32, []int) {
	t.Helper()
	f, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := f.Header()
	x := make([]float32, h.Shape[0]*h.Shape[1])
	if err := f.ReadRows(x, 0, h.Shape[0]); err != nil {
		t.Fatal(err)
	}
	return x, h.Shape
}
