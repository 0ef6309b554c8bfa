package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	trainconfig "github.com/saint-gnn/saint/train_config"
)

// quietEnv is one that says nothing.
func quietEnv(out io.Writer) *env {
	return &env{Stdout: out, Stderr: io.Discard, Getenv: func(string) string { return "" }, json: true}
}

// disarm makes every command do nothing.
func disarm(commands []*cli.Command) {
	for _, c := range commands {
		c.Action = func(*cli.Context) error { return nil }
		disarm(c.Subcommands)
	}
}

// FuzzArgs takes any command line apart, words separated by new lines: it is a usage error, or
// is put in an order that the library accepts and that stays as it is.
func FuzzArgs(f *testing.F) {
	for _, line := range []string{
		"train --data-prefix synth:tiny --train_config=rw.yml --epochs 3 --json", "--quiet config check x --v", "help convert ogb", "--version",
		"convert edgelist --in x --out y --split 0.6,0.2,0.2 --delimiter tab", "eval -- --odd", "predict DIR --out=x.npy --probabilities=false",
		"train --seed -1", "sample x --gpu -1 --num_root 0x10", "download ogbn-arxiv --h", "inspect --plot=", "synth tiny --seed=18446744073709551615",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		var usage *usageError
		e := quietEnv(io.Discard)
		args := append([]string{"saint"}, strings.Split(line, "\n")...)
		got, err := normalize(newApp(e), args)
		if err != nil {
			if !errors.As(err, &usage) {
				t.Fatalf("normalize(%q): %v, want a usage error", args, err)
			}
			return
		}
		if again, err := normalize(newApp(e), got); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("normalize(%q) = %q, %v, want the same", got, again, err)
		}
		app := newApp(e)
		disarm(app.Commands)
		if err := app.Run(got); err != nil && !errors.As(err, &usage) {
			t.Fatalf("%q: %v, want it accepted or a usage error", got, err)
		}
	})
}

// FuzzConfig checks any configuration as "saint config check" does: samplers and layers are
// built. What is accepted is the same when its resolved form is checked.
func FuzzConfig(f *testing.F) {
	for _, name := range trainconfig.Names() {
		c, err := trainconfig.Load(name, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.Resolved())
	}
	f.Add([]byte("network: [{dim: 65536, arch: 16-0-1, layer: x}]\nparams: [{lr: 1e-3}]\nphase: [{end: 1, sampler: edge, size_subg_edge: 1e3}]\n"))
	path := filepath.Join(f.TempDir(), "c.yml")
	check := func(t *testing.T, text []byte) (configLine, error) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		e := quietEnv(&out)
		e.log = slog.New(slog.DiscardHandler)
		err := checkConfig(e, path, "")
		var line configLine
		if err == nil {
			err = json.Unmarshal(out.Bytes(), &line)
		}
		return line, err
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		line, err := check(t, text)
		if err != nil {
			if code := exitCode(err); code != exitUsage || strings.ContainsAny(oneLine(err.Error()), "\r\n") {
				t.Fatalf("error %q with exit code %d, want a configuration's", err, code)
			}
			return
		}
		again, err := check(t, []byte(line.Resolved))
		if err != nil || again.Resolved != line.Resolved || again.Hash != line.Hash || *again.Trainable != *line.Trainable {
			t.Fatalf("resolved:\n%s\nchecked again: %v\n%s", line.Resolved, err, again.Resolved)
		}
	})
}

// FuzzSize reads numbers of bytes.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"512MiB", "16GiB", "4G", "1000000", "1.5k", "-1", "nan", "1e30", "9223372036854775807", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parseSize(text); ok != (n > 0) {
			t.Fatalf("parseSize(%q) = %d, %t", text, n, ok)
		}
	})
}
