//go:build invariants

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/saint-gnn/saint/internal/fileop"
)

// asking guards the faults in use: writers have goroutines.
var asking sync.Mutex

// faults refuses one operation of a command line.
type faults struct {
	at    int // which operation to refuse, from 1
	err   error
	stays bool                                 // every later operation of the kind fails too, as on a full disk
	match func(op fileop.Op, path string) bool // which operations count

	step int // every so many operations; 0: all

	seen int
	op   fileop.Op
	path string
}

func (f *faults) ask(op fileop.Op, path string) error {
	asking.Lock()
	defer asking.Unlock()
	if !f.match(op, path) {
		return nil
	}
	f.seen++
	switch {
	case f.seen == f.at:
		f.op, f.path = op, path
		return f.err
	case f.seen > f.at && f.stays && op != fileop.OpRemove:
		return f.err
	}
	return nil
}

// with runs a command line while f is in use. The hook is that of the process, so these tests
// run one after another.
func (f *faults) with(t *testing.T, args ...string) outcome {
	t.Helper()
	fileop.Inject(f.ask)
	defer fileop.Inject(nil)
	return saint(t, args...)
}

// hit reports whether there was an operation to refuse.
func (f *faults) hit() bool { return f.op != "" }

// below selects the operations on dir and what is in it.
func below(dir string) func(fileop.Op, string) bool {
	return func(_ fileop.Op, path string) bool { return strings.HasPrefix(path, dir) }
}

// writing selects those that change something.
func writing(op fileop.Op, _ string) bool { return op != fileop.OpOpen && op != fileop.OpRead }

// modes are the ways in which writing fails.
var modes = []faults{
	{err: syscall.ENOSPC, stays: true},
	{err: syscall.EACCES},
}

// complains checks that a command line failed for the injected reason and said so in one line
// that names the target.
func (f *faults) complains(t *testing.T, o outcome, code int, target string) {
	t.Helper()
	lines := errorLines(o.stderr)
	if o.code != code || len(lines) != 1 || !strings.HasPrefix(lines[0], "saint: ") || !strings.Contains(lines[0], f.err.Error()) || !strings.Contains(lines[0], target) {
		t.Errorf("%s %d (%s): exit %d, stderr %q; want exit %d and one line with %q that names %s", f.op, f.at, f.path, o.code, o.stderr, code, f.err, target)
	}
}

// noLeftovers checks that no temporary file lies below dir.
func (f *faults) noLeftovers(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".tmp") || strings.HasPrefix(d.Name(), ".")) {
			t.Errorf("%s %d (%s): left behind %s", f.op, f.at, f.path, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// inMemory keeps what a test writes in memory where the system has such a folder: thousands of
// files that are flushed keep a disk busy for minutes.
func inMemory(t *testing.T) {
	t.Helper()
	const shared = "/dev/shm"
	probe, err := os.MkdirTemp(shared, "saint") //nolint:usetesting // this very folder is tried
	if err != nil {
		return
	}
	if err := os.Remove(probe); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", shared)
}

// each calls run for the first operation that matches, the second and so on until a command
// line has no more of them, and returns how many there were.
func each(t *testing.T, mode faults, run func(f *faults)) int {
	t.Helper()
	step := max(1, mode.step)
	if testing.Short() {
		step = 5
	}
	for k := 1; ; k += step {
		f := mode
		f.at = k
		run(&f)
		if !f.hit() {
			return (k - 1) / step
		}
		if k > 2000 || t.Failed() {
			t.Fatalf("stopped after %d operations", k)
		}
	}
}

// write runs a command line that writes a file or folder called name, which is want when it is
// complete: afterwards it is complete or as before.
func (f *faults) write(t *testing.T, name, want string, words func(out string) []string) {
	t.Helper()
	parent := t.TempDir()
	f.match = below(parent)
	out := filepath.Join(parent, name)
	if strings.Contains(name, ".") {
		if err := os.WriteFile(out, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, out)
	o := f.with(t, words(out)...)
	after := tree(t, out)
	if !f.hit() {
		if o.code != exitDone || after != want {
			t.Errorf("nothing refused: exit %d, %s", o.code, o.stderr)
		}
		return
	}
	f.complains(t, o, exitFailure, parent)
	f.noLeftovers(t, parent)
	if after != before && after != want {
		t.Errorf("%s %d (%s): left in part:\n%s", f.op, f.at, f.path, after)
	}
}

// TestWritersFail refuses every operation of every writer in turn. IN is the fixture, OUT what
// is written.
func TestWritersFail(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // hundreds of short runs
	inMemory(t)
	in := fixture(t)
	for _, c := range []struct{ name, args, out string }{
		{"synth", "synth tiny --out OUT", "x"},
		{"sample", "sample --data_prefix IN/data --train_config IN/small.yml --features --out OUT", "x.arrow"},
		{"plot svg", "inspect IN/data --plot OUT", "x.svg"},
		{"plot png", "inspect IN/data --plot OUT", "x.png"},
		{"predict npy", "predict IN/run --probabilities --out OUT", "x.npy"},
		{"predict csv", "predict IN/run --out OUT", "x.csv"},
		{"predict parquet", "predict IN/run --embeddings --out OUT", "x.parquet"},
		{"to-graphsage", "convert to-graphsage --in IN/data --out OUT", "x"},
		{"to-cpp", "convert to-cpp --in IN/data --out OUT", "x"},
		{"to-tables parquet", "convert to-tables --in IN/data --out OUT", "x"},
		{"to-tables arrow", "convert to-tables --in IN/multi --out OUT --format arrow", "x"},
		{"graphsage", "convert graphsage --in IN/sage --out OUT", "x"},
		{"as graphsage: cpp", "convert cpp --in IN/cpp --out OUT", "x"},
		{"as graphsage: tables", "convert tables --in IN/parquet --out OUT", "x"},
		{"as graphsage: arrays", "convert arrays --in IN/arrays --out OUT", "x"},
		{"as graphsage: shchur", "convert shchur --in IN/shchur.npz --out OUT", "x"},
		{"edgelist", "convert edgelist --in IN/edges.csv --labels IN/labels.csv --feats IN/feats.csv --out OUT", "x"},
		{"ogb", "convert ogb --in IN/products --out OUT", "x"},
		{"ogb zip", "convert ogb --in IN/products.zip --out OUT", "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			words := func(out string) []string {
				return strings.Fields(strings.NewReplacer("IN", in, "OUT", out).Replace(c.args))
			}
			whole := filepath.Join(t.TempDir(), c.out)
			must(t, words(whole)...)
			want := tree(t, whole)
			for i, mode := range modes {
				if i > 0 && strings.Contains(c.args, "--in IN/") && c.name != "to-graphsage" {
					continue // they write with what synth and to-graphsage write with
				}
				if strings.HasPrefix(c.name, "as ") {
					mode.step = 5 // they write with what graphsage and edgelist write with
				}
				points := each(t, mode, func(f *faults) { f.write(t, c.out, want, words) })
				t.Logf("%d operations refused with %q", points, mode.err)
			}
		})
	}
}

// TestReadersFail lets every opening and reading of every reader fail in turn.
func TestReadersFail(t *testing.T) {
	inMemory(t)
	in := fixture(t)
	for _, c := range []struct{ name, args string }{
		{"ogb", "convert ogb --in IN/products --out OUT --num_cpu_core 1"},
		{"data", "inspect IN/data"},
		{"array forms", "inspect IN/arrayforms"},
		{"graphsage", "convert graphsage --in IN/sage --out OUT"},
		{"cpp", "convert cpp --in IN/cpp --out OUT"},
		{"parquet", "convert tables --in IN/parquet --out OUT"},
		{"arrow", "convert tables --in IN/arrow --out OUT"},
		{"arrays", "convert arrays --in IN/arrays --out OUT"},
		{"shchur", "convert shchur --in IN/shchur.npz --out OUT"},
		{"edgelist", "convert edgelist --in IN/edges.csv --labels IN/labels.csv --feats IN/feats.csv --out OUT"},
		{"edgelist gzip", "convert edgelist --in IN/edges.csv.gz --labels IN/labels.csv --split IN/roles.csv --out OUT"},
		{"eval", "eval IN/run"},
		{"predict", "predict IN/run --out OUT.npy"},
		{"config", "config check IN/small.yml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mode := faults{err: syscall.EIO, match: below(in)}
			points := each(t, mode, func(f *faults) {
				parent := t.TempDir()
				o := f.with(t, strings.Fields(strings.NewReplacer("IN", in, "OUT", filepath.Join(parent, "x")).Replace(c.args))...)
				if !f.hit() {
					if o.code != exitDone {
						t.Errorf("nothing refused: exit %d, %s", o.code, o.stderr)
					}
					return
				}
				code := exitInput
				if filepath.Ext(f.path) == ".yml" {
					code = exitUsage // as for every bad configuration
				}
				f.complains(t, o, code, f.path)
				if left := tree(t, parent); left != ". d---------\n" {
					t.Errorf("%s %d (%s): left behind %s", f.op, f.at, f.path, left)
				}
			})
			t.Logf("%d operations refused", points)
		})
	}
}

// TestRunFails refuses every operation of a training run that writes. What is there afterwards
// can be resumed, and ends in the same parameters.
func TestRunFails(t *testing.T) {
	inMemory(t)
	in := fixture(t)
	want := lastOf(t, filepath.Join(in, "run"))
	for _, mode := range modes {
		mode.match = func(op fileop.Op, path string) bool {
			return writing(op, "") && strings.Contains(path, t.Name()) && strings.Contains(path, "here")
		}
		points := each(t, mode, func(f *faults) {
			parent := filepath.Join(t.TempDir(), "here")
			dir := filepath.Join(parent, "run")
			o := f.with(t, "train", "--data_prefix", filepath.Join(in, "data"), "--train_config", filepath.Join(in, "small.yml"), "--run_dir", dir, "--gpu", "-1")
			if f.hit() {
				f.complains(t, o, exitFailure, parent)
			}
			if tree(t, parent) == "absent" {
				return
			}
			f.noLeftovers(t, parent)
			if tree(t, dir) == "absent" {
				return
			}
			if f.hit() {
				must(t, "train", "--resume", dir, "--gpu", "-1")
			}
			if !bytes.Equal(lastOf(t, dir), want) || info(t, dir)["state"] != "done" {
				t.Errorf("%s %d (%s): the resumed run ends in other parameters", f.op, f.at, f.path)
			}
		})
		t.Logf("%d operations refused with %q", points, mode.err)
	}
}

// TestCacheFails: the cache of normalisations is a convenience.
func TestCacheFails(t *testing.T) {
	inMemory(t)
	in := fixture(t)
	mode := modes[1]
	mode.match = func(op fileop.Op, path string) bool {
		return writing(op, "") && strings.Contains(path, t.Name()) && strings.Contains(path, "norm") && !strings.Contains(path, "there")
	}
	points := each(t, mode, func(f *faults) {
		dir := filepath.Join(t.TempDir(), "there")
		o := f.with(t, "train", "--data_prefix", filepath.Join(in, "data"), "--train_config", filepath.Join(in, "small.yml"), "--run_dir", dir, "--gpu", "-1")
		if o.code != exitDone || f.hit() != strings.Contains(o.stderr, "could not be cached") {
			t.Errorf("%s %d (%s): exit %d, %s; want a warning", f.op, f.at, f.path, o.code, o.stderr)
		}
	})
	t.Logf("%d operations refused", points)
}

// TestDownloadFails refuses every operation of a download. Another try ends well.
func TestDownloadFails(t *testing.T) {
	inMemory(t)
	archive := tinyArxiv(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(archive) }))
	defer server.Close()
	for _, mode := range modes {
		points := each(t, mode, func(f *faults) {
			dir := filepath.Join(t.TempDir(), "data")
			in := below(filepath.Dir(dir))
			f.match = func(op fileop.Op, path string) bool { return writing(op, path) && in(op, path) }
			args := []string{"download", "ogbn-arxiv", "--dir", dir, "--base_url", server.URL}
			o := f.with(t, args...)
			if !f.hit() {
				return
			}
			f.complains(t, o, exitFailure, dir)
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return
			}
			f.noLeftovers(t, dir)
			must(t, args...)
			if got := readFile(t, dir, "arxiv.zip"); !bytes.Equal(got, archive) {
				t.Errorf("%s %d (%s): the archive has %d bytes, want %d", f.op, f.at, f.path, len(got), len(archive))
			}
			must(t, "inspect", filepath.Join(dir, "ogbn-arxiv"))
		})
		t.Logf("%d operations refused with %q", points, mode.err)
	}
}
