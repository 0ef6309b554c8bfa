// Package atomicfile writes files and folders so that a reader, or the next run after a
// crash, sees either the old content or the complete new content and nothing between.
//
// [Write] and [WriteDir] write beside the target and rename at the end. A process killed
// in between leaves a hidden sibling whose name ends in ".tmp"; it may be deleted.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/saint-gnn/saint/internal/fileop"
)

// bufferSize makes writers of small pieces cheap; large pieces bypass the buffer.
const bufferSize = 1 << 16

// Write replaces the content of path by what fn writes. The writer is buffered; fn need
// not flush it and must not keep it. On any error, fn's included, path is as before and
// the temporary file is gone. A symbolic link is followed. An existing target that is not
// a regular file (a pipe, /dev/stdout) is written directly, since renaming over it would
// destroy it.
//
// Concurrent Writes to one path are safe; one of them wins.
func Write(path string, fn func(io.Writer) error) error {
	target := path
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return fmt.Errorf("write %s: is a folder", path)
	case err == nil && !info.Mode().IsRegular():
		return writeDirect(path, fn)
	case err == nil:
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return &writeError{path, err}
		}
	}
	return writeBeside(target, fn)
}

// WriteDir creates the folder dir with what fn puts into the folder tmp. dir must be
// absent or empty (the error is fs.ErrExist otherwise); folders above it that are absent are
// made. On any error, fn's included, tmp is gone and dir holds nothing: an empty one may be
// gone, too, and folders that were made above it are.
// The exception is a failure to sync after the rename, which leaves dir complete.
func WriteDir(dir string, fn func(tmp string) error) error {
	dir = filepath.Clean(dir)
	if err := checkAbsent(dir); err != nil {
		return err
	}
	above := absentAbove(dir)
	defer func() {
		for _, folder := range above {
			_ = os.Remove(folder) // if it stayed empty
		}
	}()
	if err := fileop.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return failed(dir, dir, err)
	}
	tmp, err := mkdirBeside(dir)
	if err != nil {
		return failed(dir, tmp, err)
	}
	// Runs after a failure and after a panic of fn; after the rename there is nothing left.
	defer os.RemoveAll(tmp) //nolint:errcheck // best effort: the first error is what counts
	if err := fillDir(dir, tmp, fn); err != nil {
		return failed(dir, tmp, err)
	}
	return nil
}

// absentAbove returns the folders above dir that are not there, the innermost first.
func absentAbove(dir string) (absent []string) {
	for above := filepath.Dir(dir); above != filepath.Dir(above); above = filepath.Dir(above) {
		if _, err := os.Stat(above); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		absent = append(absent, above)
	}
	return absent
}

func fillDir(dir, tmp string, fn func(tmp string) error) error {
	if err := fn(tmp); err != nil {
		return err
	}
	if err := syncTree(tmp); err != nil {
		return err
	}
	// Not every system renames onto an empty folder.
	if err := fileop.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fileop.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func checkAbsent(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failed(dir, dir, err)
	case len(entries) > 0:
		return fmt.Errorf("write %s: %w and is not empty", dir, fs.ErrExist)
	}
	return nil
}

func writeDirect(path string, fn func(io.Writer) error) (err error) {
	f, err := fileop.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return writeBuffered(f, fn)
}

func writeBuffered(f *fileop.File, fn func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, bufferSize)
	if err := fn(w); err != nil {
		return err
	}
	return w.Flush()
}

func writeBeside(target string, fn func(io.Writer) error) (err error) {
	f, name, err := createBeside(target)
	if err != nil {
		return failed(target, name, err)
	}
	done := false
	defer func() { // also when fn panics
		if !done {
			f.Close()       //nolint:errcheck // the first error is what counts
			os.Remove(name) //nolint:errcheck // best effort
		}
		if err != nil {
			err = failed(target, name, err)
		}
	}()
	if err := writeBuffered(f, fn); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := fileop.Rename(name, target); err != nil {
		return err
	}
	done = true
	return syncDir(filepath.Dir(target))
}

// createBeside opens a new file beside target with the permissions that os.Create would
// give it (os.CreateTemp makes files only their owner can read).
func createBeside(target string) (f *fileop.File, name string, err error) {
	err = tryNames(target, func(n string) error {
		name = n
		f, err = fileop.OpenFile(n, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	return f, name, err
}

func mkdirBeside(target string) (name string, err error) {
	err = tryNames(target, func(n string) error {
		name = n
		return fileop.Mkdir(n, 0o777)
	})
	return name, err
}

// tryNames calls create with hidden sibling names of target until one is free.
func tryNames(target string, create func(name string) error) error {
	dir, base := filepath.Split(target)
	var err error
	for range 100 {
		// A name needs no reproducible randomness: it is gone when the call returns.
		suffix := strconv.FormatUint(rand.Uint64(), 36)
		if err = create(filepath.Join(dir, "."+base+"-"+suffix+".tmp")); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return err
}

// syncTree flushes every file and folder below root, so that the rename cannot reach the
// disk before the content does.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return syncDir(path)
		case d.Type().IsRegular():
			return syncPath(path)
		}
		return nil
	})
}

// syncDir flushes the names in dir. Windows has no such call; its renames are journalled.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return syncPath(dir)
}

func syncPath(path string) (err error) {
	flag := os.O_RDONLY
	if runtime.GOOS == "windows" {
		flag = os.O_RDWR // FlushFileBuffers wants write access
	}
	f, err := fileop.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
