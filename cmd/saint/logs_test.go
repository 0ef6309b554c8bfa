package main

import (
	"bytes"
	"context"
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
