//go:build cudafake

package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeConfig is a network that a driver without a GPU trains within seconds.
const fakeConfig = `network:
  - dim: 8
    arch: '1-0'
    act: relu
params:
  - lr: 0.01
    dropout: 0.1
    sample_coverage: 2
phase:
  - end: 1
    sampler: rw
    num_root: 120
    depth: 1
`

// fakeRun trains and returns the last line and the folder.
func fakeRun(t *testing.T, args ...string) (map[string]any, string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "fake.yml")
	if err := os.WriteFile(config, []byte(fakeConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	lines := must(t, append([]string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir, "--no_cache", "--json"}, args...)...).objects(t)
	return lines[len(lines)-1], dir
}

// Two GPUs train as one that takes two subgraphs for every update.
func TestFakeGPUsTogether(t *testing.T) {
	t.Setenv("SAINT_FAKE_GPUS", "2")
	two, dir := fakeRun(t, "--gpu", "0,1")
	one, _ := fakeRun(t, "--gpu", "0", "--accumulate", "2")
	dual, _ := fakeRun(t, "--dualGPU")
	for _, key := range []string{"val_f1_micro", "test_f1_micro"} {
		for what, other := range map[string]map[string]any{"accumulated": one, "--dualGPU": dual} {
			if a, b := two[key].(float64), other[key].(float64); math.Abs(a-b) > 0.01 {
				t.Errorf("%s = %v with two GPUs, %v %s", key, a, b, what)
			}
		}
	}
	if d := two["device"].(string); !strings.Contains(d, "cuda:0") || !strings.Contains(d, "cuda:1") {
		t.Errorf("device %q, want both GPUs", d)
	}
	if text := string(readFile(t, dir, "config.yml")); !strings.Contains(text, "accumulate: 2\n") {
		t.Errorf("config.yml has no accumulate: 2:\n%s", text)
	}
	must(t, "train", "--resume", dir, "--gpu", "0", "--epochs", "1")
	saint(t, "train", "--resume", dir, "--gpu", "0", "--accumulate", "4").fails(t, exitUsage, "was started otherwise")
	saint(t, "train", "--resume", dir, "--gpu", "0,1,2").fails(t, exitDevice, "--gpu 2")
	for _, n := range []string{"1", "3"} {
		saint(t, "train", "--data_prefix", "synth:tiny", "--train_config", filepath.Join(dir, "config.yml"), "--gpu", "0,1", "--accumulate", n).
			fails(t, exitUsage, "accumulate is "+n+", want a multiple of 2")
	}
}

// Products of half the width train and score like others, and the library is named.
func TestFakeMatmul(t *testing.T) {
	_, dir := fakeRun(t, "--gpu", "0", "--amp")
	if text := string(readFile(t, dir, "config.yml")); !strings.Contains(text, "system:\n  - matmul: bf16\n") {
		t.Errorf("config.yml has no matmul: bf16:\n%s", text)
	}
	if o := must(t, "eval", dir, "--gpu", "0"); !strings.Contains(o.stderr, "dense products libcublas.so.12 12.0.0, bf16") {
		t.Errorf("eval tells %q", o.stderr)
	}
	if o := must(t, "eval", dir, "--gpu", "0", "--matmul", "tf32"); !strings.Contains(o.stderr, ", tf32") {
		t.Errorf("eval --matmul tf32 tells %q", o.stderr)
	}
	saint(t, "eval", dir, "--gpu", "0,1").fails(t, exitUsage, "only 'saint train' uses several")
	if o := must(t, "eval", dir, "--gpu", "-1"); strings.Contains(o.stderr, "matmul") {
		t.Errorf("eval on the CPU tells %q", o.stderr)
	}
	if o := must(t, "eval", dir, "--gpu", "-1", "--matmul", "tf32"); !strings.Contains(o.stderr, "matmul tf32 is for GPUs") {
		t.Errorf("eval on the CPU tells %q", o.stderr)
	}
}

// Steps as graphs end where others do.
func TestFakeGraphs(t *testing.T) {
	want, _ := fakeRun(t, "--gpu", "0")
	for _, when := range []string{"on", "auto"} {
		got, dir := fakeRun(t, "--gpu", "0", "--graphs", when)
		if text := string(readFile(t, dir, "config.yml")); !strings.Contains(text, "system:\n  - graphs: "+when+"\n") {
			t.Errorf("config.yml has no graphs: %s:\n%s", when, text)
		}
		for _, key := range []string{"val_f1_micro", "test_f1_micro", "test_loss"} {
			if got[key] != want[key] {
				t.Errorf("%s = %v with graphs %s, want %v", key, got[key], when, want[key])
			}
		}
	}
	_, dir := fakeRun(t, "--gpu", "-1", "--graphs", "on")
	if o := must(t, "train", "--data_prefix", "synth:tiny", "--train_config", filepath.Join(dir, "config.yml"), "--gpu", "-1", "--run_dir", filepath.Join(t.TempDir(), "run")); !strings.Contains(o.stderr, "graphs are for GPUs") {
		t.Errorf("graphs on the CPU: %q", o.stderr)
	}
}

// Rows in half precision that steps would need of a service are refused before anything is read or written.
func TestFakeHalfSource(t *testing.T) {
	config := filepath.Join(t.TempDir(), "fake.yml")
	if err := os.WriteFile(config, []byte(fakeConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	saint(t, "train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir, "--gpu", "0", "--feature_dtype", "f16", "--features", "host", "--source", "grpc://localhost:1").
		fails(t, exitUsage, "comes in single precision")
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s was made", dir)
	}
}

// Benchmarks on a GPU print a line for the GPU and one for every figure.
func TestFakeBench(t *testing.T) {
	config := filepath.Join(t.TempDir(), "fake.yml")
	if err := os.WriteFile(config, []byte(fakeConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(t.TempDir(), "t.md")
	for _, c := range []struct {
		args []string
		want string // a figure
	}{
		{[]string{"gemm", "--shapes", "16x16x16", "--matmul", "bf16"}, "gemm/NN given 16x16x16"},
		{[]string{"spmm", "--preset", "tiny", "--train_config", config}, "spmm/tiny full graph"},
		{[]string{"step", "--preset", "tiny", "--train_config", config, "--markdown", table}, "step/tiny rw as graphs"},
		{[]string{"eval", "--preset", "tiny", "--train_config", config}, "eval/tiny"},
	} {
		lines := must(t, append(append([]string{"bench"}, c.args...), "--gpu", "0", "--repeats", "1", "--json")...).objects(t)
		if lines[0]["type"] != "gpu" || lines[0]["copy_bytes_per_s"].(float64) <= 0 || lines[0]["library"] != "libcublas.so.12 12.0.0" {
			t.Errorf("bench %v begins with %v", c.args, lines[0])
		}
		found := false
		for _, l := range lines {
			found = found || l["name"] == c.want && l["value"].(float64) > 0
			if more, ok := l["more"].(map[string]any); ok && c.args[0] == "step" && (more["launches"].(float64) < 10 || more["device_bytes"].(float64) <= 0) {
				t.Errorf("a step has %v", more)
			}
		}
		if !found {
			t.Errorf("bench %v printed no %s: %v", c.args, c.want, lines)
		}
	}
	if text := string(readFile(t, filepath.Dir(table), filepath.Base(table))); !strings.Contains(text, "## step") || !strings.Contains(text, "launches, queued in") {
		t.Errorf("table:\n%s", text)
	}
	line := must(t, "bench", "gemm", "--shapes", "16x16x16", "--matmul", "bf16", "--gpu", "0", "--repeats", "1", "--json").objects(t)[0]
	if line["matmul"] != "bf16" {
		t.Errorf("bench --matmul bf16 begins with %v", line)
	}
	saint(t, "bench", "load", "--gpu", "0").fails(t, exitUsage, "measures the CPU")
	if line := must(t, "bench", "gemm", "--shapes", "16x16x16", "--gpu", "-1", "--repeats", "1", "--json").objects(t)[0]; line["type"] == "gpu" {
		t.Errorf("bench --gpu -1 begins with %v, want the CPU", line)
	}
}
