//go:build invariants

package fileop

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// Op is a kind of operation.
type Op string

// Operations.
const (
	OpOpen   Op = "open" // for reading
	OpRead   Op = "read"
	OpCreate Op = "create" // or open for writing
	OpWrite  Op = "write"
	OpSync   Op = "sync"
	OpClose  Op = "close" // of a file that was written
	OpMkdir  Op = "mkdir"
	OpRename Op = "rename"
	OpRemove Op = "remove"
)

// Hook is asked before every operation and returns the error with which it shall fail. It
// may be called from several goroutines at a time.
type Hook func(op Op, path string) error

var hook atomic.Pointer[Hook]

// Inject sets the hook of this process; nil takes it away. The functions of this package
// exist without the build tag invariants too, this one does not.
func Inject(h Hook) {
	if h == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&h)
}

// ask returns the error of the hook as the system would word it.
func ask(op Op, path string) error {
	h := hook.Load()
	if h == nil {
		return nil
	}
	if err := (*h)(op, path); err != nil {
		return &fs.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// File is an open file.
type File struct {
	f       *os.File
	written bool // opened for writing
}

func wrap(f *os.File, err error, written bool) (*File, error) {
	if err != nil {
		return nil, err
	}
	return &File{f, written}, nil
}

// Name is that of os.File, as are the methods below.
func (f *File) Name() string { return f.f.Name() }

// Fd is that of os.File.
func (f *File) Fd() uintptr { return f.f.Fd() }

// Stat is that of os.File.
func (f *File) Stat() (fs.FileInfo, error) { return f.f.Stat() }

// Seek is that of os.File.
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

// Read is that of os.File.
func (f *File) Read(p []byte) (int, error) {
	if err := ask(OpRead, f.f.Name()); err != nil {
		return 0, err
	}
	return f.f.Read(p)
}

// ReadAt is that of os.File.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := ask(OpRead, f.f.Name()); err != nil {
		return 0, err
	}
	return f.f.ReadAt(p, off)
}

// Write is that of os.File. A refused one writes half, as on a disk that fills up.
func (f *File) Write(p []byte) (int, error) {
	if err := ask(OpWrite, f.f.Name()); err != nil {
		n, writeErr := f.f.Write(p[:len(p)/2])
		return n, errors.Join(err, writeErr)
	}
	return f.f.Write(p)
}

// Sync is that of os.File.
func (f *File) Sync() error {
	if err := ask(OpSync, f.f.Name()); err != nil {
		return err
	}
	return f.f.Sync()
}

// Close is that of os.File. A refused one closes too, as on a network file system that
// reports a failed write late.
func (f *File) Close() error {
	if f.written {
		if err := ask(OpClose, f.f.Name()); err != nil {
			return errors.Join(err, f.f.Close())
		}
	}
	return f.f.Close()
}

// Open is os.Open.
func Open(path string) (*File, error) {
	if err := ask(OpOpen, path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	return wrap(f, err, false)
}

// Create is os.Create.
func Create(path string) (*File, error) {
	return OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile is os.OpenFile.
func OpenFile(path string, flag int, perm fs.FileMode) (*File, error) {
	written := flag&(os.O_WRONLY|os.O_RDWR) != 0
	op := OpOpen
	if written {
		op = OpCreate
	}
	if err := ask(op, path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, perm)
	return wrap(f, err, written)
}

// ReadFile is os.ReadFile.
func ReadFile(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// Mkdir is os.Mkdir.
func Mkdir(path string, perm fs.FileMode) error {
	if err := ask(OpMkdir, path); err != nil {
		return err
	}
	return os.Mkdir(path, perm)
}

// MkdirAll is os.MkdirAll.
func MkdirAll(path string, perm fs.FileMode) error {
	if err := ask(OpMkdir, path); err != nil {
		return err
	}
	return os.MkdirAll(path, perm)
}

// Rename is os.Rename.
func Rename(from, to string) error {
	if err := ask(OpRename, from); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Remove is os.Remove. What only cleans up after a failure calls the system itself.
func Remove(path string) error {
	if err := ask(OpRemove, path); err != nil {
		return err
	}
	return os.Remove(path)
}

// DirFS is os.DirFS.
func DirFS(dir string) fs.FS { return dirFS{os.DirFS(dir), dir} }

type dirFS struct {
	fs.FS
	dir string
}

// Open opens files of which the hook is asked, and folders.
func (d dirFS) Open(name string) (fs.File, error) {
	path := filepath.Join(d.dir, filepath.FromSlash(name))
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return d.FS.Open(name)
	}
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Stat asks no hook: finding out what is there is no access.
func (d dirFS) Stat(name string) (fs.FileInfo, error) { return fs.Stat(d.FS, name) }
