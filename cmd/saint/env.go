package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/samplers"
)

// env is what a command may touch of the world outside: tests give buffers.
type env struct {
	Stdout, Stderr io.Writer
	Terminal       bool // stderr is one: progress is rewritten in place
	Getenv         func(string) string
	Args           []string

	// Set by setup from the flags that every command has.
	verbose  bool
	quiet    bool
	json     bool
	jsonLog  bool // stderr has objects alone
	log      *slog.Logger
	progress *progress.Reporter
	started  time.Time
}

// commonFlags are those of every command; they may also stand in front of its name.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "print results as JSON, one object a line"},
		&cli.BoolFlag{Name: "quiet", Usage: "print warnings and errors only"},
		&cli.BoolFlag{Name: "v", Usage: "explain more: debug log, causes of errors"},
		&cli.StringFlag{Name: "log_format", Value: logText, Usage: "`FORM` of the log: text, or json for one object a line"},
	}
}

// setup prepares logs and progress.
func (e *env) setup(c *cli.Context) error {
	format := c.String("log_format")
	if format != logText && format != logJSON {
		return usagef("--log_format is %q, want %s or %s", format, logText, logJSON)
	}
	e.json, e.quiet, e.verbose = c.Bool("json"), c.Bool("quiet"), c.Bool("v")
	level, mode := slog.LevelInfo, progress.Lines
	if e.Terminal {
		mode = progress.Terminal
	}
	if e.verbose {
		level = slog.LevelDebug
	}
	if e.quiet {
		level, mode = slog.LevelWarn, progress.Off
	}
	if format == logJSON {
		e.log, e.jsonLog = slog.New(slog.NewJSONHandler(e.Stderr, &slog.HandlerOptions{Level: level})), true
		e.progress = progress.New(logLines{e.log}, min(mode, progress.Lines), 0)
		return nil
	}
	e.progress = progress.New(e.Stderr, mode, 0)
	e.log = slog.New(&lineHandler{w: e.progress, level: level})
	return nil
}

// printJSON writes one line of results.
func (e *env) printJSON(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = e.Stdout.Write(append(line, '\n'))
	return err
}

// printf writes results for people.
func (e *env) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(e.Stdout, format, args...)
	return err
}

// cacheDir is where runs share what is dear to compute: SAINT_CACHE, else the user's cache
// folder; "" if there is none.
func (e *env) cacheDir() string {
	if dir := e.Getenv("SAINT_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "saint")
}

// prepareOptions is how commands prepare samplers: with what earlier runs have left.
func (e *env) prepareOptions(workers int, noCache bool) samplers.PrepareOptions {
	o := samplers.PrepareOptions{Workers: workers, Warn: func(err error) { e.log.Warn(err.Error()) }}
	if !noCache {
		o.CacheDir = e.cacheDir()
	}
	return o
}
