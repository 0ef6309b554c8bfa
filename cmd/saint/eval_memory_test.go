package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestEvalMemory: a bound changes no figure; one that is too small, or no size, is said before
// anything is trained.
func TestEvalMemory(t *testing.T) {
	train := func(more ...string) outcome {
		args := []string{"train", "--data_prefix", "synth:tiny", "--train_config", "demo/tiny_rw.yml", "--epochs", "1", "--gpu", "-1", "--run_dir", filepath.Join(t.TempDir(), "run")}
		return saint(t, append(args, more...)...)
	}
	train("--eval_memory", "much").fails(t, exitUsage, `--eval_memory is "much"`)
	train("--eval_memory", "10KiB", "--quiet").fails(t, exitUsage, "(--eval_memory): evaluating this network on 2000 nodes takes at least ")
	dir := filepath.Join(t.TempDir(), "run")
	must(t, "train", "--data_prefix", "synth:tiny", "--train_config", "demo/tiny_rw.yml", "--epochs", "1", "--gpu", "-1", "--run_dir", dir, "--eval_memory", "1GiB")
	free := must(t, "eval", dir, "--json").stdout
	if got := must(t, "eval", dir, "--json", "--eval_memory", "8MiB").stdout; got != free || !strings.Contains(got, "f1_micro") {
		t.Errorf("eval with --eval_memory 8MiB prints %s, want %s", got, free)
	}
	saint(t, "eval", dir, "--eval_memory", "1KiB", "--quiet").fails(t, exitUsage, "(--eval_memory)")
}
