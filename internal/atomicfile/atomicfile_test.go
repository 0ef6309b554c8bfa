package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, text := range []string{"first", "second"} {
		if err := Write(path, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("content = %q, %v, want %q", got, err, text)
		}
	}
	if got := names(t, dir); got != "a" {
		t.Errorf("folder holds %q, want a", got)
	}
}

func TestWriteFailureKeepsOldContent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	err := Write(path, func(w io.Writer) error {
		fmt.Fprint(w, strings.Repeat("x", 1<<20))
		return stop
	})
	if !errors.Is(err, stop) || !strings.Contains(err.Error(), path) {
		t.Errorf("Write = %v, want %v with the path", err, stop)
	}
	func() {
		defer func() { recover() }()
		Write(path, func(io.Writer) error { panic("boom") })
	}()
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content = %q, want old", got)
	}
	if got := names(t, dir); got != "a" {
		t.Errorf("folder holds %q, want a", got)
	}
}

func TestWriteTargets(t *testing.T) {
	dir := t.TempDir()
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	if err := Write(filepath.Join(dir, "no", "a"), hello); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if err := Write(dir, hello); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("folder: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := Write(os.DevNull, hello); err != nil {
		t.Errorf("%s: %v", os.DevNull, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s was replaced by a file", os.DevNull)
	}
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(real, nil, 0o600), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, hello); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(real); string(got) != "hello" {
		t.Errorf("through a link: %q, want hello", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone")
	}
}

// Folders above the one that is written are made, and gone after a failure.
func TestWriteDirMakesFolders(t *testing.T) {
	top := t.TempDir()
	dir, stop := filepath.Join(top, "a", "b", "c"), errors.New("stop")
	if err := WriteDir(dir, func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("WriteDir = %v, want %v", err, stop)
	}
	if got := names(t, top); got != "" {
		t.Errorf("after a failure the folder holds %q, want nothing", got)
	}
	if err := WriteDir(dir, func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "f"), nil, 0o600) }); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "f" {
		t.Errorf("the folder holds %q, want f", got)
	}
}

func TestWriteDir(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "d")
	fill := func(tmp string) error {
		return errors.Join(os.Mkdir(filepath.Join(tmp, "sub"), 0o700), os.WriteFile(filepath.Join(tmp, "sub", "f"), []byte("x"), 0o600))
	}
	stop := errors.New("stop")
	if err := WriteDir(dir, func(tmp string) error { return errors.Join(fill(tmp), stop) }); !errors.Is(err, stop) {
		t.Errorf("WriteDir = %v, want %v", err, stop)
	}
	if got := names(t, parent); got != "" {
		t.Errorf("after a failure the parent holds %q", got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // an empty folder may be there
		t.Fatal(err)
	}
	if err := WriteDir(dir+"/", fill); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "sub", "f")); err != nil || string(got) != "x" {
		t.Errorf("content = %q, %v", got, err)
	}
	called := false
	if err := WriteDir(dir, func(string) error { called = true; return nil }); !errors.Is(err, fs.ErrExist) || called {
		t.Errorf("WriteDir on a full folder = %v, called %t, want fs.ErrExist before any work", err, called)
	}
	if got := names(t, parent); got != "d" {
		t.Errorf("the parent holds %q, want d", got)
	}
}

// TestErrorsNameTargets: nobody will find the temporary file that a message names.
func TestErrorsNameTargets(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "d")
	err := WriteDir(dir, func(tmp string) error {
		return WriteDir(filepath.Join(tmp, "sub"), func(inner string) error {
			return fmt.Errorf("in between: %w", os.WriteFile(filepath.Join(inner, "no", "f"), nil, 0o600))
		})
	})
	if want := "write " + filepath.Join(dir, "sub", "no", "f") + ": no such file or directory"; runtime.GOOS != "windows" && (err == nil || err.Error() != want) {
		t.Errorf("WriteDir = %v, want %s", err, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteDir = %v, which is not fs.ErrNotExist", err)
	}
	stop := errors.New("stop")
	err = Write(dir, func(io.Writer) error { return errors.Join(stop, errors.New("later")) })
	if !errors.Is(err, stop) || !strings.HasPrefix(err.Error(), "write "+dir+": stop") {
		t.Errorf("Write = %v, want %v of %s", err, stop, dir)
	}
}
