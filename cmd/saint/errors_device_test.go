package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func TestAdvice(t *testing.T) {
	dir, err := rundir.Create(filepath.Join(t.TempDir(), "run"), rundir.Info{State: rundir.Running}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	few := fmt.Errorf("epoch 0, step 3: %w", &tensor.OutOfMemoryError{Device: "cuda:0", Asked: 1 << 30})
	lost := fmt.Errorf("epoch 0, step 3: %w", &tensor.LostError{Device: "cuda:0", Err: errors.New("CUDA error 700")})
	check := func(err error, parts ...string) {
		t.Helper()
		got := advise(err, dir)
		for _, p := range parts {
			if !strings.Contains(got.Error(), p) || strings.Contains(got.Error(), "\n") {
				t.Errorf("advise(%v) = %q, want one line with %q", err, got, p)
			}
		}
		if code := exitCode(got); code != exitFailure {
			t.Errorf("exitCode(%v) = %d, want %d", got, code, exitFailure)
		}
	}
	check(&tensor.OutOfMemoryError{Device: "cuda:0", Err: &trainer.MemoryError{Bound: 1, Least: 2}}, "out of memory on cuda:0", "--eval_memory")
	check(few, "1024 MiB asked for", "--cpu_eval", "--features host", "smaller subgraphs", "--n_bits", "--gpu -1")
	check(lost, "cuda:0 is lost: CUDA error 700", "run it again")
	if err := os.WriteFile(dir.StatePath(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(lost, "saint train --resume "+dir.Path)
	if got, want := adviseEvaluation(few).Error(), "--eval_memory, and --gpu -1 uses the CPU"; !strings.Contains(got, want) || strings.Contains(got, "--n_bits") {
		t.Errorf("adviseEvaluation(%v) = %q, want it to end in %q", few, got, want)
	}
	if got, want := adviseEvaluation(lost).Error(), "cuda:0 is lost: CUDA error 700; run it again"; !strings.HasSuffix(got, want) {
		t.Errorf("adviseEvaluation(%v) = %q, want it to end in %q", lost, got, want)
	}
}

// Validating on the CPU is what training on the CPU does anyway.
func TestEvaluatorOnCPU(t *testing.T) {
	b, err := openDevice(-1, tensor.MatmulFP32)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if other, err := evaluator(b, true); err != nil || other != nil {
		t.Errorf("evaluator = %v, %v, want none", other, err)
	}
}
