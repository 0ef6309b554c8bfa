//go:build !invariants

package fileop

import (
	"io/fs"
	"os"
)

// File is an open file.
type File = os.File

// Open is os.Open.
func Open(path string) (*File, error) { return os.Open(path) }

// Create is os.Create.
func Create(path string) (*File, error) { return os.Create(path) }

// OpenFile is os.OpenFile.
func OpenFile(path string, flag int, perm fs.FileMode) (*File, error) {
	return os.OpenFile(path, flag, perm)
}

// ReadFile is os.ReadFile.
func ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// Mkdir is os.Mkdir.
func Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// MkdirAll is os.MkdirAll.
func MkdirAll(path string, perm fs.FileMode) error { return os.MkdirAll(path, perm) }

// Rename is os.Rename.
func Rename(from, to string) error { return os.Rename(from, to) }

// Remove is os.Remove. What only cleans up after a failure calls the system itself.
func Remove(path string) error { return os.Remove(path) }

// DirFS is os.DirFS.
func DirFS(dir string) fs.FS { return os.DirFS(dir) }
