// Package mmapfile gives read-only access to a whole file as one byte slice: a memory
// mapping where the system has it, a copy in memory elsewhere.
package mmapfile

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/saint-gnn/saint/internal/fileop"
)

// File is a file seen as bytes. Methods other than Close are safe for concurrent use.
type File struct {
	data   []byte
	mapped bool
}

// Advice tells the system how Bytes will be read.
type Advice int

// Access patterns.
const (
	Normal     Advice = iota // no pattern
	Sequential               // front to back once
	Random                   // scattered small reads: reading ahead wastes memory
	WillNeed                 // all of it soon
	DontNeed                 // what was read is not needed any more, and read anew if it is
)

// Open maps the regular file at path. The file must not shrink while it is open: reading
// a page that is gone ends the process, as it does in every program that maps files.
func Open(path string) (*File, error) {
	f, err := fileop.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading; the mapping outlives it
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	switch {
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	case size == 0: // an empty mapping is an error on most systems
		return &File{}, nil
	case int64(int(size)) != size:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%d bytes do not fit into the address space", size)}
	}
	data, mapped, err := load(f, int(size))
	if err != nil {
		return nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	return &File{data: data, mapped: mapped}, nil
}

// Bytes returns the content. Nobody may write to it; it is invalid after Close.
func (f *File) Bytes() []byte { return f.data }

// Advise passes a hint to the system. It never changes what Bytes holds, and failing to
// follow it is not an error.
func (f *File) Advise(a Advice) {
	if f.mapped {
		advise(f.data, a)
	}
}

// Close releases the mapping. Closing twice is harmless.
func (f *File) Close() error {
	data := f.data
	f.data = nil
	if !f.mapped || data == nil {
		return nil
	}
	return unmap(data)
}
