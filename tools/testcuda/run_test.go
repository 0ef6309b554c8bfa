// Package testcuda has the script of 'make test-cuda'; its tests run it with programs that only pretend.
package testcuda

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// saintText pretends to be the program: one GPU, on which runs end with the score GPU_F1.
const saintText = `#!/bin/sh
case $1 in
devices)
  [ -n "$NO_GPU" ] && echo "gpu    none: libcuda.so.1: not here" && exit 0
  echo "gpu 0  Some GPU 80GB, compute capability 9.0, CUDA 13.0"
  ;;
train)
  f1=0.5
  case "$*" in *"--gpu 0"*) f1=${GPU_F1:-0.501} ;; esac
  echo '{"type":"result","test_f1_micro": '$f1', "train_seconds": 1.5e+00, "sample_wait_seconds": 0, "eval_seconds": 1, "total_seconds": 3}'
  ;;
bench)
  echo '{"type":"figure"}'
  case "$*" in *tf32*) if [ -n "$HANG" ]; then exec sleep 60; fi ;; esac
  ;;
*) exit 9 ;;
esac
`

// testsText pretends to be the tests: products fail where FAIL is set.
const testsText = `#!/bin/sh
case "$*" in
*Products*)
  echo "NOTE Dense products: none."
  [ -n "$FAIL" ] && echo "--- FAIL: TestHardwareProducts" && exit 1
  ;;
*Speed*) echo "TABLE | Axpby | 1 | 2 | 3 % | |" ;;
esac
echo PASS
`

func TestScript(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	tests := []struct {
		name, parts, env string
		code             int
		says, table      string // parts of what is printed and written, at each " … "
	}{
		{"no GPU", "tests", "NO_GPU=1", 4, "no GPU: libcuda.so.1: not here", ""},
		{"no such part", "test", "", 2, "there is no part test", ""},
		{"all of the tests", "tests", "", 0, "==> operations … passed … ==> share of bandwidth … gpu-some-gpu-80gb.md", "# Some GPU 80GB … | products of cuBLAS against the CPU, and again to the bit | passed | … | Axpby | 1 | 2 | 3 % | | … * Dense products: none."},
		{"a failure hides nothing", "products speed parity", "FAIL=1", 1, "--- FAIL: TestHardwareProducts … failed (1) … ==> share of bandwidth … passed … ==> ppi-like", "| failed (1) | … | share of bandwidth | passed | … | ppi-like: F1 within 0.003 of the CPU's | passed |"},
		{"other scores", "parity", "GPU_F1=0.51", 1, "F1 0.5 and 0.51 … failed", "| failed (1) |"},
		{"another exponent", "whole", "GPU_F1=5.01e-01", 0, "F1 5.01e-01, 1.50 s of training", "| a whole run | passed |"},
		{"a command that hangs", "bench", "HANG=1 LIMIT=1", 1, "matmul fp32 … passed … stopped after 1 seconds … failed (124) … matmul bf16 … passed", "tf32 | failed (124) | … bf16 | passed |"},
		{"no time", "ops speed", "BUDGET=5", 0, "left out, the time of 5 seconds is spent", "* share of bandwidth: left out"},
		{"quick", "quick", "BUDGET=300", 0, "==> operations … ==> every kind … ==> share … ==> ppi-like … ==> saint bench, matmul tf32 … ==> a whole run", "| saint bench, matmul tf32 | passed |"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, code, out := runScript(t, shell, tt.parts, tt.env)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			inOrder(t, "what is printed", out, tt.says)
			if tt.table != "" {
				table, err := os.ReadFile(filepath.Join(dir, "out", "gpu-some-gpu-80gb.md"))
				if err != nil {
					t.Fatal(err)
				}
				inOrder(t, "the table", string(table), tt.table)
			}
		})
	}
}

// runScript runs the script in a folder of its own.
func runScript(t *testing.T, shell, parts, env string) (dir string, code int, printed string) {
	t.Helper()
	dir = t.TempDir()
	script, err := os.ReadFile("run.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"run.sh": string(script), "saint": saintText, "cuda.test": testsText} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(shell, append([]string{filepath.Join(dir, "run.sh"), filepath.Join(dir, "out")}, strings.Fields(parts)...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, strings.Fields(env)...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return dir, code, string(out)
}

// inOrder checks that text has the parts of want, which " … " is between, in their order.
func inOrder(t *testing.T, what, text, want string) {
	t.Helper()
	rest := text
	for _, part := range strings.Split(want, " … ") {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%s has no %q where it is due:\n%s", what, part, text)
			return
		}
		rest = after
	}
}
