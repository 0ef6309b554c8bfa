package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// Values of --log_format.
const (
	logText = "text"
	logJSON = "json"
)

// logLines logs lines of progress, so that a log of objects has nothing else in it.
type logLines struct{ log *slog.Logger }

// Write logs one line.
func (l logLines) Write(p []byte) (int, error) {
	l.log.Info(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// lineHandler writes records as lines for people: the time of day, a word for all but
// ordinary messages, the message, and attributes as key=value.
type lineHandler struct {
	w     io.Writer
	level slog.Level
	group string // prefix of keys, with its dot
	attrs string // of the logger, ready to append
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle writes one record with one Write, so that lines never mix.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	if !r.Time.IsZero() {
		b.WriteString(r.Time.Format("15:04:05 "))
	}
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	case r.Level < slog.LevelInfo:
		b.WriteString("debug: ")
	}
	b.WriteString(oneLine(r.Message))
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.group, a)
		return true
	})
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

// WithAttrs and WithGroup return handlers that add to every record.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		writeAttr(&b, h.group, a)
	}
	next := *h
	next.attrs = b.String()
	return &next
}

// WithGroup prefixes the keys that follow.
func (h *lineHandler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.group += name + "."
	}
	return &next
}

func writeAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, sub := range v.Group() {
			writeAttr(b, group, sub)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	text := v.String()
	if v.Kind() == slog.KindFloat64 {
		text = strconv.FormatFloat(v.Float64(), 'g', 4, 64)
	}
	if text == "" || strings.ContainsAny(text, " \t\r\n\"=") {
		text = strconv.Quote(text)
	}
	b.WriteString(" " + group + a.Key + "=" + text)
}

// oneLine joins the lines of a text.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\n\r\t") {
		return s
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\n", "; ")), " ")
}
