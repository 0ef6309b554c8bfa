//go:build unix

package main

import (
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServiceMetrics: a service tells what it has done, and whether it may be sent clients.
func TestServiceMetrics(t *testing.T) {
	config := writeConfig(t, "softmax", "1")
	addr := freePort(t)
	s := startService(t, "", append(serveArgs(config), "--metrics_listen", addr)...)
	if status, text := ask(t, addr, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz = %d %q, want 200", status, text)
	}
	dir := filepath.Join(t.TempDir(), "run")
	must(t, append(remoteArgs(config, dir, s.source), "--seed", "3")...)
	saint(t, "train", "--data_prefix", "synth:tiny?seed=2", "--train_config", config, "--run_dir", filepath.Join(t.TempDir(), "x"), "--source", s.source, "--quiet").
		fails(t, exitInput, "serves other data")
	for _, name := range []string{"streams_total", "subgraphs_total", "sent_bytes_total", "wait_seconds_total", "normalisations_total"} {
		if v := scrape(addr, "saint_service_"+name); !(v > 0) {
			t.Errorf("saint_service_%s = %v after a run, want more than 0", name, v)
		}
	}
	if v := scrape(addr, "saint_service_streams_failed_total"); v != 0 {
		t.Errorf("saint_service_streams_failed_total = %v, want 0", v)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventuallyEnds(t, s, exitDone)
}

// TestServiceIsNotReady: while data is loaded and while draining, /healthz says yes and /readyz no.
func TestServiceIsNotReady(t *testing.T) {
	e := quietEnv(io.Discard)
	e.log = slog.New(slog.DiscardHandler)
	m, err := newMetrics("127.0.0.1:0", e)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	for _, step := range []struct {
		do   func()
		want int
		says string
	}{
		{func() {}, http.StatusServiceUnavailable, "loading data"},
		{m.ready, http.StatusOK, "ok"},
		{func() { m.notReady("draining") }, http.StatusServiceUnavailable, "draining"},
	} {
		step.do()
		if status, text := ask(t, m.server.Addr(), "/readyz"); status != step.want || !strings.Contains(text, step.says) {
			t.Errorf("/readyz = %d %q, want %d %q", status, text, step.want, step.says)
		}
		if status, text := ask(t, m.server.Addr(), "/healthz"); status != http.StatusOK {
			t.Errorf("/healthz = %d %q, want 200", status, text)
		}
	}
}

func ask(t *testing.T, addr, path string) (status int, text string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
