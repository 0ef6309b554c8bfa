package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

func TestLineHandler(t *testing.T) {
	var b bytes.Buffer
	h := slog.Handler(&lineHandler{w: &b, level: slog.LevelInfo})
	h = h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").WithGroup("")
	for _, tc := range []struct {
		level slog.Level
		msg   string
		attrs []slog.Attr
		want  string
	}{
		{slog.LevelInfo, "plain", nil, "plain a=1\n"},
		{slog.LevelWarn, "two\nlines", nil, "warning: two; lines a=1\n"},
		{slog.LevelError, "bad", []slog.Attr{slog.Any("error", errors.New("it broke"))}, "error: bad a=1 g.error=\"it broke\"\n"},
		{slog.LevelInfo, "numbers", []slog.Attr{slog.Float64("x", 0.123456789), slog.Group("sub", slog.String("s", "")), {}}, "numbers a=1 g.x=0.1235 g.sub.s=\"\"\n"},
	} {
		b.Reset()
		var r slog.Record
		r.Level, r.Message = tc.level, tc.msg
		r.AddAttrs(tc.attrs...)
		if err := h.Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if b.String() != tc.want {
			t.Errorf("Handle(%v %q) wrote %q, want %q", tc.level, tc.msg, b.String(), tc.want)
		}
	}
	if h.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("debug messages are written at level info")
	}
}

func TestReport(t *testing.T) {
	cause := formats.BadInput("x.npy", "two\nlines")
	var b bytes.Buffer
	e := &env{Stderr: &b}
	e.report(fmt.Errorf("load: %w", cause))
	if got := b.String(); got != "saint: load: x.npy: two\\nlines\n" {
		t.Errorf("report wrote %q", got)
	}
	b.Reset()
	e.verbose = true
	e.report(fmt.Errorf("load: %w", cause))
	if got := b.String(); !strings.Contains(got, "\n  because (*formats.InputError) x.npy: two\\nlines\n") {
		t.Errorf("report with -v wrote %q, want the cause", got)
	}
	b.Reset()
	e.report(fmt.Errorf("deep: %w", context.Canceled))
	if got := b.String(); !strings.HasPrefix(got, "saint: interrupted\n") {
		t.Errorf("report of an interruption wrote %q", got)
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"run": "run", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'"} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%s) = %s, want %s", in, got, want)
		}
	}
}

// TestLogFormat: with --log_format json, stderr holds objects alone, also for an error.
func TestLogFormat(t *testing.T) {
	config := writeConfig(t, "softmax", "1")
	_, o := train(t, config, "--log_format", "json", "-v")
	lines := strings.Split(strings.TrimSpace(o.stderr), "\n")
	for _, line := range lines {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time == "" || record.Msg == "" || record.Level == "" {
			t.Errorf("stderr holds %q, want a record: %v", line, err)
		}
	}
	if len(lines) < 4 {
		t.Errorf("stderr\n%swant several records", o.stderr)
	}
	o = saint(t, "--log_format", "json", "eval", "/nowhere/run")
	var record struct {
		Level, Msg string
		Exit       int
	}
	if err := json.Unmarshal([]byte(o.stderr), &record); err != nil || record.Level != "ERROR" || record.Exit != exitInput || !strings.Contains(record.Msg, "/nowhere/run") {
		t.Errorf("stderr %q, want one record of the error", o.stderr)
	}
	if _, o := train(t, config, "--log_format", "text"); strings.HasPrefix(o.stderr, "{") {
		t.Errorf("stderr\n%swant text", o.stderr)
	}
}

// TestLogLines: progress reaches a log of objects as records.
func TestLogLines(t *testing.T) {
	var b bytes.Buffer
	w := logLines{slog.New(slog.NewJSONHandler(&b, nil))}
	if n, err := w.Write([]byte("train 3/5 steps\n")); n != 16 || err != nil || !strings.Contains(b.String(), `"msg":"train 3/5 steps"`) {
		t.Errorf("Write = %d, %v, logged %q", n, err, b.String())
	}
}
