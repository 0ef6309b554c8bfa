//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

// badInput is a command line that must fail. In args and want, IN stands for a folder with the
// parts of the fixture that args name, which spoil has changed, and OUT for an empty one.
type badInput struct {
	name  string
	args  string
	spoil func(b *spoiler)
	code  int
	want  string // what the one line of stderr holds: the file with the position and the cause, separated by " … "
}

// Bounds for every row of the table.
const (
	badMemory = 192 << 20 // of the process, the runtime and all libraries included
	badTime   = 20 * time.Second
)

// badInputs is the table, by area.
var badInputs = map[string][]badInput{
	"data": badData, "matrix": badMatrices, "text": badTexts, "config": badYAML, "convert": badConversions, "benchmark": badBenchmarks, "lists": badLists, "run": badRuns, "flags": badFlags, "service": badServices,
}

// TestBadInputs runs every row in a process of its own: it ends with the documented code and one
// line, has changed nothing on disk, and has taken little memory and time.
func TestBadInputs(t *testing.T) {
	good := fixture(t)
	rows := 0
	for area, table := range badInputs {
		rows += len(table)
		for i, row := range table {
			if testing.Short() && i%5 != 0 || raceEnabled && strings.Contains(row.name, "bomb") {
				continue // the race detector makes much of unpacking
			}
			t.Run(area+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				row.run(t, good)
			})
		}
	}
	t.Logf("%d rows", rows)
}

func (row *badInput) run(t *testing.T, good string) {
	dir := t.TempDir()
	b := &spoiler{t: t, dir: filepath.Join(dir, "in")}
	out := filepath.Join(dir, "out")
	for _, folder := range []string{b.dir, out} {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	b.copyFrom(good, row.args)
	if row.spoil != nil {
		row.spoil(b)
	}
	before := tree(t, dir)
	names := strings.NewReplacer("IN", b.dir, "OUT", out)
	o, peak := measured(t, strings.Fields(names.Replace(row.args)))
	lines := errorLines(o.stderr)
	if o.code != row.code || o.stdout != "" || len(lines) != 1 || !strings.HasPrefix(lines[0], "saint: ") {
		t.Errorf("saint %s: exit %d, stdout %q, stderr\n%swant exit %d and one line", row.args, o.code, o.stdout, o.stderr, row.code)
	}
	for _, want := range strings.Split(names.Replace(row.want), " … ") {
		if want == "" || !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("saint %s: stderr\n%swant %q in it", row.args, o.stderr, want)
		}
	}
	for _, word := range []string{"panic", "goroutine ", "runtime error", ".tmp"} {
		if strings.Contains(o.stderr, word) {
			t.Errorf("saint %s: stderr\n%sholds %q", row.args, o.stderr, word)
		}
	}
	if after := tree(t, dir); after != before {
		t.Errorf("saint %s: the folders hold\n%swant\n%s", row.args, after, before)
	}
	if peak > badMemory && !raceEnabled {
		t.Errorf("saint %s: %d MiB of memory, want at most %d", row.args, peak>>20, badMemory>>20)
	}
}

// measured runs a command line in a process of its own.
func measured(t *testing.T, args []string) (o outcome, peak int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), badTime)
	defer cancel()
	tmp := t.TempDir()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	file := filepath.Join(tmp, "peak")
	cmd.Env = append(os.Environ(), asMeasured+"="+file, "SAINT_CACHE="+filepath.Join(tmp, "cache"), "GOMAXPROCS=2")
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("saint %s does not end", strings.Join(args, " "))
	}
	if text, err := os.ReadFile(file); err == nil {
		peak, _ = strconv.ParseInt(string(text), 10, 64)
	}
	return outcome{args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, peak
}

// spoiler changes the copy of the fixture that a row has for itself.
type spoiler struct {
	t   *testing.T
	dir string
}

// copyFrom takes what a command line names; files of a group come together.
func (b *spoiler) copyFrom(good, args string) {
	groups := map[string]string{"edges.csv": "edges.csv labels.csv feats.csv roles.csv", "edges.csv.gz": "edges.csv.gz labels.csv", "run": "run data"}
	for _, word := range strings.Fields(args) {
		_, name, ok := strings.Cut(word, "IN/")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "/")
		list := strings.Fields(groups[name])
		if len(list) == 0 {
			list = []string{name}
		}
		for _, name := range list {
			info, err := os.Stat(filepath.Join(good, name))
			if err != nil {
				continue // the row names what is not there
			}
			if _, err := os.Stat(b.path(name)); err == nil {
				continue
			}
			if info.IsDir() {
				b.check(os.CopyFS(b.path(name), os.DirFS(filepath.Join(good, name))))
			} else {
				b.put(name, string(readFile(b.t, good, name)))
			}
		}
	}
	// The run knows its data by the path they had.
	if _, err := os.Stat(b.path("run")); err == nil {
		b.swap("run/run.json", strconv.Quote(filepath.Join(good, "data")), strconv.Quote(b.path("data")))
	}
}

func (b *spoiler) check(err error) {
	if err != nil {
		b.t.Helper()
		b.t.Fatal(err)
	}
}

func (b *spoiler) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

func (b *spoiler) get(name string) []byte { return readFile(b.t, b.path(name)) }

func (b *spoiler) put(name, text string) { b.check(os.WriteFile(b.path(name), []byte(text), 0o600)) }

func (b *spoiler) remove(name string) { b.check(os.RemoveAll(b.path(name))) }

// folder puts a folder in place of a file.
func (b *spoiler) folder(name string) {
	b.remove(name)
	b.check(os.Mkdir(b.path(name), 0o777))
}

// full makes a name stand for a device without space.
func (b *spoiler) full(name string) {
	if _, err := os.Stat("/dev/full"); err != nil {
		b.t.Skip("there is no /dev/full here")
	}
	b.check(os.Symlink("/dev/full", b.path(name)))
}

// cut keeps the first n bytes, or drops the last -n.
func (b *spoiler) cut(name string, n int) {
	data := b.get(name)
	if n < 0 {
		n += len(data)
	}
	b.put(name, string(data[:n]))
}

// flip changes a bit of the byte at an offset, from the end if that is negative.
func (b *spoiler) flip(name string, at int) {
	data := b.get(name)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0x10
	b.put(name, string(data))
}

// swap replaces the first old by text.
func (b *spoiler) swap(name, old, text string) {
	data := string(b.get(name))
	if !strings.Contains(data, old) {
		b.t.Fatalf("%s holds no %q", name, old)
	}
	b.put(name, strings.Replace(data, old, text, 1))
}

// lines replaces line number at (from 1).
func (b *spoiler) lines(name string, at int, with string) {
	lines := strings.Split(string(b.get(name)), "\n")
	lines[at-1] = with
	b.put(name, strings.Join(lines, "\n"))
}

// gz packs text.
func (b *spoiler) gz(name, text string) { writeGzip(b.t, b.dir, name, text) }

func (b *spoiler) npy(name string, shape []int, data any) {
	b.check(npy.WriteFile(b.path(name), shape, data))
}

// header writes an .npy file of version 1 with that header and so many bytes of data.
func (b *spoiler) header(name, header string, data int) {
	n := len(header) + 1
	b.put(name, "\x93NUMPY\x01\x00"+string([]byte{byte(n), byte(n >> 8)})+header+"\n"+strings.Repeat("\x00", data))
}

// members rewrites an archive, each member by edit; one that is nil goes.
func (b *spoiler) members(name string, edit func(member string, data []byte) []byte) {
	data := b.get(name)
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	b.check(err)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		src, err := f.Open()
		b.check(err)
		var text bytes.Buffer
		_, err = text.ReadFrom(src)
		b.check(err)
		if content := edit(f.Name, text.Bytes()); content != nil {
			dst, err := w.Create(f.Name)
			b.check(err)
			_, err = dst.Write(content)
			b.check(err)
		}
	}
	b.check(w.Close())
	b.put(name, out.String())
}

// matrix writes a CSR matrix as SciPy does, with the given starts and columns.
func (b *spoiler) matrix(name string, rows, columns int, indptr, indices any, count int) {
	ones := make([]bool, count)
	b.check(npz.WriteFile(b.path(name), true, []npz.Entry{
		{Name: "indices", Shape: []int{length(indices)}, Data: indices},
		{Name: "indptr", Shape: []int{length(indptr)}, Data: indptr},
		{Name: "format", Data: "csr"},
		{Name: "shape", Shape: []int{2}, Data: []int64{int64(rows), int64(columns)}},
		{Name: "data", Shape: []int{count}, Data: ones},
	}))
}

func length(v any) int {
	switch v := v.(type) {
	case []int32:
		return len(v)
	case []int64:
		return len(v)
	case []float32:
		return len(v)
	}
	return 0
}

// zeros is a long run of zero bytes, made anew for each row that needs it.
func zeros(n int) []byte { return make([]byte, n) }
