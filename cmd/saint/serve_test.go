//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lockedBuffer takes what a process prints while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// service is 'saint serve' as a process of its own.
type service struct {
	*process
	source string
	ended  chan struct{}
}

// startService waits until the service listens; listen "" is any free port.
func startService(t *testing.T, listen string, args ...string) *service {
	t.Helper()
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	for range 50 {
		p := &process{}
		out := &lockedBuffer{}
		p.Cmd = startProcess(t, out, &p.stderr, append([]string{"serve", "--listen", listen, "--json"}, args...)...)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = p.Wait() // the tests look at the exit code
		}()
		for !strings.Contains(out.String(), "\n") {
			select {
			case <-ended:
			case <-time.After(time.Millisecond):
				continue
			}
			break
		}
		var line serveLine
		if err := json.Unmarshal([]byte(out.String()), &line); err == nil {
			s := &service{process: p, source: line.Source, ended: ended}
			t.Cleanup(func() {
				_ = p.Process.Kill()
				<-ended
			})
			return s
		}
		time.Sleep(20 * time.Millisecond) // somebody holds the port
	}
	t.Fatal("the service does not start")
	return nil
}

func serveArgs(config string) []string {
	return []string{"--data_prefix", "synth:tiny", "--train_config", config}
}

func remoteArgs(config, dir, source string) []string {
	return []string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir, "--gpu", "-1", "--source", source}
}

func TestRemoteTrainingIsLocalTraining(t *testing.T) {
	config := writeConfig(t, "softmax", "6")
	want, _ := train(t, config, "--seed", "3")
	a, b := startService(t, "", serveArgs(config)...), startService(t, "", serveArgs(config)...)
	for name, source := range map[string]string{"one": a.source, "two": a.source + "," + strings.TrimPrefix(b.source, "grpc://")} {
		dir := filepath.Join(t.TempDir(), name)
		o := must(t, append(remoteArgs(config, dir, source), "--seed", "3", "--json", "--baseline")...)
		if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
			t.Errorf("%s: last.safetensors of remote training differs from that of local training", name)
		}
		if got := o.last(t); got["type"] != "result" {
			t.Errorf("%s: the last line is %v, want a result", name, got)
		}
	}
	interrupted := filepath.Join(t.TempDir(), "resumed")
	must(t, append(remoteArgs(config, interrupted, a.source), "--seed", "3", "--epochs", "2")...)
	must(t, "train", "--resume", interrupted, "--epochs", "6", "--source", b.source)
	if !bytes.Equal(lastOf(t, interrupted), lastOf(t, want)) {
		t.Error("a run resumed at another service ends in other parameters")
	}
	codes, _ := train(t, config, "--n_bits", "2")
	remote := filepath.Join(t.TempDir(), "codes")
	must(t, append(remoteArgs(config, remote, a.source), "--n_bits", "2")...)
	if !bytes.Equal(lastOf(t, remote), lastOf(t, codes)) {
		t.Error("last.safetensors of remote training with codes differs from that of local training")
	}
	other := writeConfig(t, "softmax", "6")
	saint(t, "train", "--data_prefix", "synth:tiny?seed=2", "--train_config", other, "--run_dir", filepath.Join(t.TempDir(), "x"), "--source", a.source, "--quiet").
		fails(t, exitInput, "serves other data")
	if err := a.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventuallyEnds(t, a, exitDone)
}

// A service with another configuration is found out before there is a run folder.
func TestServiceOfAnotherConfiguration(t *testing.T) {
	config := writeConfig(t, "softmax", "6")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, "", serveArgs(config)...)
	for _, tc := range []struct{ old, other, want string }{
		{"sample_coverage: ", "sample_coverage: 1", "normalisation has key"},
		{"num_root: ", "num_root: 1", "it samples by"},
	} {
		if !strings.Contains(string(text), tc.old) {
			t.Fatalf("the configuration has no %q:\n%s", tc.old, text)
		}
		other := writeFile(t, "other.yml", strings.Replace(string(text), tc.old, tc.other, 1))
		dir := filepath.Join(t.TempDir(), "run")
		saint(t, append(remoteArgs(other, dir, s.source), "--quiet")...).fails(t, exitInput, tc.want, "same configuration")
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a run folder was made", tc.want)
		}
	}
}

// Ctrl-C ends a run that waits for a service, and the run goes on without one.
func TestInterruptWhileTheServiceIsAway(t *testing.T) {
	config := writeConfig(t, "softmax", longRun)
	want, _ := train(t, config)
	s := startService(t, "", serveArgs(config)...)
	dir := filepath.Join(t.TempDir(), "run")
	p := &process{}
	stderr := &lockedBuffer{}
	p.Cmd = startProcess(t, &p.stdout, stderr, remoteArgs(config, dir, s.source)...)
	waitFor(t, filepath.Join(dir, "checkpoints", "best.safetensors"))
	_ = s.Process.Signal(syscall.SIGKILL)
	for range 2000 {
		if strings.Contains(stderr.String(), "is 'saint serve' running there?") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	begin := time.Now()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitInterrupted {
		t.Fatalf("exit %d, want %d; stderr:\n%s", code, exitInterrupted, stderr.String())
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it ends after %v", took)
	}
	must(t, "train", "--resume", dir)
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Error("the run that goes on without a service ends in other parameters")
	}
}

// eventuallyEnds waits for the exit code.
func eventuallyEnds(t *testing.T, s *service, code int) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the service does not end")
	}
	if s.ProcessState.ExitCode() != code {
		t.Errorf("the service ends with %v, want exit %d; stderr:\n%s", s.ProcessState, code, s.stderr.String())
	}
}

// The service is killed again and again while a run reads from it.
func TestServiceIsKilledDuringTraining(t *testing.T) {
	config := writeConfig(t, "softmax", longRun)
	want, _ := train(t, config)
	s := startService(t, "", serveArgs(config)...)
	dir := filepath.Join(t.TempDir(), "run")
	p := start(t, remoteArgs(config, dir, s.source)...)
	ended := make(chan int, 1)
	go func() { ended <- p.wait(t) }()
	waitFor(t, filepath.Join(dir, "run.json")) // a run does not begin without a service
	kills := 0
	for done := false; !done; {
		select {
		case code := <-ended:
			if code != exitDone {
				t.Fatalf("exit %d after %d kills; stderr:\n%s", code, kills, p.stderr.String())
			}
			done = true
		case <-time.After(150 * time.Millisecond):
			if kills < 5 {
				_ = s.Process.Signal(syscall.SIGKILL)
				kills++
				s = startService(t, strings.TrimPrefix(s.source, "grpc://"), serveArgs(config)...)
			}
		}
	}
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Errorf("after %d kills of the service the parameters differ", kills)
	}
	t.Logf("killed %d times", kills)
}

func TestOneOfTwoServicesIsRemoved(t *testing.T) {
	config := writeConfig(t, "softmax", longRun)
	want, _ := train(t, config)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		a, b := startService(t, "", serveArgs(config)...), startService(t, "", serveArgs(config)...)
		dir := filepath.Join(t.TempDir(), "run")
		p := start(t, remoteArgs(config, dir, a.source+","+strings.TrimPrefix(b.source, "grpc://"))...)
		waitFor(t, filepath.Join(dir, "checkpoints", "best.safetensors"))
		if err := a.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(t); code != exitDone {
			t.Fatalf("%v: exit %d; stderr:\n%s", signal, code, p.stderr.String())
		}
		if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
			t.Errorf("%v: the parameters differ", signal)
		}
	}
}

// Secrets come from files.
func TestServiceWithToken(t *testing.T) {
	config := writeConfig(t, "softmax", "1")
	token, wrong := writeFile(t, "token", "0123456789abcdef0123\n"), writeFile(t, "token", "another-one-0123456789\n")
	s := startService(t, "", append(serveArgs(config), "--token_file", token)...)
	dir := filepath.Join(t.TempDir(), "run")
	saint(t, append(remoteArgs(config, dir, s.source), "--quiet")...).fails(t, exitFailure, "wants a token")
	saint(t, append(remoteArgs(config, dir, s.source), "--source_token_file", wrong, "--quiet")...).fails(t, exitFailure, "wrong token")
	if err := os.Chmod(token, 0o644); err != nil {
		t.Fatal(err)
	}
	o := must(t, append(remoteArgs(config, dir, s.source), "--source_token_file", token)...)
	if warning := "--source_token_file " + token + " can be read by other users"; !strings.Contains(o.stderr, warning) {
		t.Errorf("no warning %q; stderr:\n%s", warning, o.stderr)
	}
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	o = must(t, append(remoteArgs(config, filepath.Join(t.TempDir(), "run"), s.source), "--source_token_file", token)...)
	if strings.Contains(o.stderr, "can be read") {
		t.Errorf("a warning of a private file; stderr:\n%s", o.stderr)
	}
}
