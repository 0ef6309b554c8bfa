package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// asMain makes the test binary behave as saint itself, for tests of signals.
const asMain = "SAINT_TEST_AS_MAIN"

// asMeasured makes the test binary behave as saint and write its peak of memory to that file.
const asMeasured = "SAINT_TEST_PEAK"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	if file := os.Getenv(asMeasured); file != "" {
		mainMeasured(file)
	}
	code := m.Run()
	if _, err := os.Stat("runs"); err == nil {
		fmt.Fprintln(os.Stderr, "FAIL: a test has left runs in the folder of the package; give it --run_dir or t.Chdir")
		code = max(code, 1)
	}
	os.Exit(code)
}

// mainMeasured is main for measured.
func mainMeasured(file string) {
	e := &env{Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
	code := run(context.Background(), e, os.Args)
	if os.WriteFile(file, strconv.AppendInt(nil, ownPeak(), 10), 0o600) != nil {
		os.Exit(99)
	}
	os.Exit(code)
}

// ownPeak is peakRSS without what the process that started this one had.
func ownPeak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok && err == nil {
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err == nil {
			return kib << 10
		}
	}
	if runtime.GOOS == "linux" {
		return 0
	}
	return peakRSS()
}

// outcome is what a command line left behind.
type outcome struct {
	args           []string
	code           int
	stdout, stderr string
}

// saint runs one command line in this process with a cache folder of the test's own.
func saint(t *testing.T, args ...string) outcome {
	t.Helper()
	return saintIn(t.Context(), t, false, args...)
}

func saintIn(ctx context.Context, t *testing.T, terminal bool, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cache := t.TempDir()
	e := &env{Stdout: &stdout, Stderr: &stderr, Terminal: terminal, Getenv: func(name string) string {
		if name == "SAINT_CACHE" {
			return cache
		}
		return ""
	}}
	code := run(ctx, e, append([]string{"saint"}, args...))
	return outcome{args, code, stdout.String(), stderr.String()}
}

// must runs a command line that has to succeed.
func must(t *testing.T, args ...string) outcome {
	t.Helper()
	o := saint(t, args...)
	if o.code != exitDone {
		t.Fatalf("saint %s: exit %d, stderr:\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	return o
}

// fails checks that a command line ends with code, prints nothing and says why in exactly
// one line that contains every one of want.
func (o outcome) fails(t *testing.T, code int, want ...string) {
	t.Helper()
	line := strings.Join(o.args, " ")
	if o.code != code {
		t.Errorf("saint %s: exit %d, want %d; stderr %q", line, o.code, code, o.stderr)
	}
	if o.stdout != "" {
		t.Errorf("saint %s: stdout %q, want nothing", line, o.stdout)
	}
	if !strings.HasPrefix(o.stderr, "saint: ") || strings.Count(o.stderr, "\n") != 1 {
		t.Errorf("saint %s: stderr %q, want one line that begins with \"saint: \"", line, o.stderr)
	}
	for _, w := range want {
		if !strings.Contains(o.stderr, w) {
			t.Errorf("saint %s: stderr %q, want %q in it", line, o.stderr, w)
		}
	}
}

// objects decodes the lines of a --json output.
func (o outcome) objects(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, line := range strings.Split(strings.TrimSuffix(o.stdout, "\n"), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("saint %s: line %q: %v", strings.Join(o.args, " "), line, err)
		}
		all = append(all, m)
	}
	return all
}

// last returns the last of the JSON lines.
func (o outcome) last(t *testing.T) map[string]any {
	t.Helper()
	all := o.objects(t)
	return all[len(all)-1]
}

// smallConfig trains in milliseconds; %s stand for the loss and the last epoch.
const smallConfig = `network:
  - dim: 16
    aggr: concat
    loss: LOSS
    arch: '1-0'
    act: relu
    bias: norm
params:
  - lr: 0.01
    dropout: 0.1
    sample_coverage: 10
phase:
  - end: END
    sampler: rw
    num_root: 150
    depth: 2
`

// writeConfig writes a small configuration.
func writeConfig(t *testing.T, loss, end string) string {
	t.Helper()
	return writeFile(t, "small.yml", strings.NewReplacer("LOSS", loss, "END", end).Replace(smallConfig))
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lastOf returns the final parameters of a run.
func lastOf(t *testing.T, runDir string) []byte {
	t.Helper()
	return readFile(t, runDir, "checkpoints", "last.safetensors")
}

// info returns run.json.
func info(t *testing.T, runDir string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(readFile(t, runDir, "run.json"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// train trains a small network for epochs on the tiny graph and returns the run folder.
func train(t *testing.T, config string, flags ...string) (dir string, o outcome) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	args := append([]string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir, "--gpu", "-1"}, flags...)
	return dir, must(t, args...)
}
