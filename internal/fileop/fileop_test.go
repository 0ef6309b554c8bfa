//go:build invariants

package fileop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestInject refuses every kind of operation once.
func TestInject(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(do func(f *File) error) func() error {
		return func() error {
			f, err := OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			return errors.Join(do(f), f.Close())
		}
	}
	for _, c := range []struct {
		op Op
		do func() error
	}{
		{OpOpen, func() error { _, err := Open(file); return err }},
		{OpOpen, func() error { _, err := ReadFile(file); return err }},
		{OpOpen, func() error { _, err := fs.ReadFile(DirFS(dir), "file"); return err }},
		{OpRead, func() error { _, err := ReadFile(file); return err }},
		{OpRead, open(func(f *File) error { _, err := f.ReadAt(make([]byte, 1), 0); return err })},
		{OpCreate, func() error { _, err := Create(filepath.Join(dir, "new")); return err }},
		{OpWrite, open(func(f *File) error { _, err := f.Write([]byte("abcd")); return err })},
		{OpSync, open((*File).Sync)},
		{OpClose, open(func(*File) error { return nil })},
		{OpMkdir, func() error { return Mkdir(filepath.Join(dir, "sub"), 0o700) }},
		{OpMkdir, func() error { return MkdirAll(filepath.Join(dir, "sub", "sub"), 0o700) }},
		{OpRename, func() error { return Rename(file, file+"2") }},
		{OpRemove, func() error { return Remove(file) }},
	} {
		Inject(func(op Op, _ string) error {
			if op == c.op {
				return syscall.ENOSPC
			}
			return nil
		})
		err := c.do()
		Inject(nil)
		var path *fs.PathError
		if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &path) || path.Path == "" {
			t.Errorf("refused %s: %v, want %v with a path", c.op, err, syscall.ENOSPC)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "ab345678" {
		t.Errorf("the file holds %q, %v; want half of what was written to it", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want the file only", entries, err)
	}
	if err := Remove(file); err != nil {
		t.Errorf("Remove without a hook: %v", err)
	}
}
