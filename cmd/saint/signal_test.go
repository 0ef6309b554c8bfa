//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process runs saint as a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{}
	p.Cmd = startProcess(t, &p.stdout, &p.stderr, args...)
	return p
}

func startProcess(t *testing.T, stdout, stderr io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), asMain+"=1", "SAINT_CACHE="+t.TempDir())
	c.Stdout, c.Stderr = stdout, stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// wait returns the exit code, -1 after a killing signal.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// waitFor waits until a file exists.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for range 2000 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s does not appear", path)
}

func trainArgs(config, dir string) []string {
	return []string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir, "--checkpoint_every", "20ms"}
}

func TestInterruptAndResume(t *testing.T) {
	config := writeConfig(t, "softmax", longRun)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		var flags []string
		if sig == syscall.SIGINT {
			flags = []string{"--n_bits", "1", "--act_group", "100"}
		}
		want, _ := train(t, config, flags...)
		dir := filepath.Join(t.TempDir(), "run")
		p := start(t, append(trainArgs(config, dir), flags...)...)
		waitFor(t, filepath.Join(dir, "checkpoints", "best.safetensors"))
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(t); code != exitInterrupted {
			t.Fatalf("%v: exit %d, want 130; stderr:\n%s", sig, code, p.stderr.String())
		}
		line := p.stderr.String()
		line = line[strings.LastIndexByte(strings.TrimSuffix(line, "\n"), '\n')+1:]
		resume := "saint train --resume " + dir + "\n"
		if !strings.HasPrefix(line, "saint: interrupted") || !strings.HasSuffix(line, resume) || p.stdout.Len() > 0 {
			t.Errorf("%v: the last line is %q, want the one that resumes: %q; stdout %q, want nothing", sig, line, resume, p.stdout.String())
		}
		if got := info(t, dir)["state"]; got != "interrupted" {
			t.Errorf("%v: state %v, want interrupted", sig, got)
		}
		must(t, strings.Fields(resume)[1:]...)
		if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
			t.Errorf("%v: the resumed run ends in other parameters", sig)
		}
		if got := info(t, dir)["state"]; got != "done" {
			t.Errorf("%v: state %v after resuming, want done", sig, got)
		}
	}
}

func TestKillAndResume(t *testing.T) {
	testKillAndResume(t)
}

// Compressed runs too end with the same bits, wherever they are killed.
func TestKillAndResumeCompressed(t *testing.T) {
	testKillAndResume(t, "--n_bits", "2", "--kept_frac", "0.5")
}

func testKillAndResume(t *testing.T, flags ...string) {
	t.Helper()
	config := writeConfig(t, "softmax", longRun)
	want, whole := train(t, config, append(flags, "--json")...)
	dir := filepath.Join(t.TempDir(), "run")
	args := append(trainArgs(config, dir), flags...)
	kills := 0
	for range 5 {
		p := start(t, args...)
		waitFor(t, filepath.Join(dir, "run.json"))
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond) // any moment must do
		if err := p.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if p.wait(t) == -1 {
			kills++
			if got := info(t, dir)["state"]; got != "running" && got != "done" {
				t.Errorf("state %v after a kill, want running", got)
			}
		}
		args = []string{"train", "--resume", dir, "--checkpoint_every", "20ms"}
	}
	o := must(t, "train", "--resume", dir, "--json")
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Errorf("after %d kills the parameters differ from those of a run without", kills)
	}
	if !bytes.Equal(readFile(t, dir, "checkpoints", "best.safetensors"), readFile(t, want, "checkpoints", "best.safetensors")) {
		t.Errorf("after %d kills the best parameters differ from those of a run without", kills)
	}
	for _, key := range []string{"best_epoch", "val_f1_micro", "test_f1_micro", "last_test_f1_micro"} {
		if got, want := o.last(t)[key], whole.last(t)[key]; got != want {
			t.Errorf("%s = %v after kills, want %v", key, got, want)
		}
	}
	t.Logf("killed %d times", kills)
}

func TestKilledBaselineIsResumed(t *testing.T) {
	config := writeConfig(t, "softmax", longRun)
	want, _ := train(t, config, "--baseline")
	dir := filepath.Join(t.TempDir(), "run")
	p := start(t, append(trainArgs(config, dir), "--baseline")...)
	waitFor(t, filepath.Join(dir, "baseline", "checkpoints", "last.state.safetensors"))
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitInterrupted {
		t.Fatalf("exit %d, want 130; stderr:\n%s", code, p.stderr.String())
	}
	if o := must(t, "train", "--resume", dir); !strings.Contains(o.stdout, "features only") {
		t.Errorf("the resumed run prints no baseline:\n%s", o.stdout)
	}
	if !bytes.Equal(lastOf(t, filepath.Join(dir, "baseline")), lastOf(t, filepath.Join(want, "baseline"))) {
		t.Error("the resumed baseline ends in other parameters")
	}
}

func TestThreadsDoNotChangeABit(t *testing.T) {
	config := writeConfig(t, "softmax", "3")
	want, _ := train(t, config)
	for _, threads := range []string{"1", "3"} {
		dir := filepath.Join(t.TempDir(), "run")
		t.Setenv("GOMAXPROCS", threads)
		if p := start(t, trainArgs(config, dir)...); p.wait(t) != exitDone {
			t.Fatalf("%s threads: stderr:\n%s", threads, p.stderr.String())
		}
		if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
			t.Errorf("%s threads: last.safetensors differs", threads)
		}
	}
}

func TestInterruptedRunsTellTheRest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	p := start(t, append(trainArgs(writeConfig(t, "softmax", longRun), dir), "--runs", "3", "--quiet")...)
	waitFor(t, filepath.Join(dir, "seed-1", "checkpoints", "best.safetensors"))
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code := p.wait(t)
	if want := "--resume " + filepath.Join(dir, "seed-1") + ", and begin the other runs with --seed 2 --runs 2\n"; code != exitInterrupted || !strings.HasSuffix(p.stderr.String(), want) {
		t.Errorf("exit %d, stderr %q, want 130 and an end of %q", code, p.stderr.String(), want)
	}
}

func TestSecondInterruptExitsAtOnce(t *testing.T) {
	// Reading a pipe that nobody writes to cannot be cancelled, so that the first signal
	// alone would wait for ever.
	pipe := filepath.Join(t.TempDir(), "config.yml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	p := start(t, "train", "--data_prefix", "synth:tiny", "--train_config", pipe)
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns once the process reads
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 {
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	begin := time.Now()
	if code := p.wait(t); code != exitInterrupted || p.stderr.Len() > 0 {
		t.Errorf("exit %d, stderr %q, want 130 at once", code, p.stderr.String())
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
}
