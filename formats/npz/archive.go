package npz

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"

	"github.com/klauspost/compress/flate"
	"github.com/sourcegraph/conc"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/memlimit"
)

// maxRatio is the most that a deflated byte can unpack to: two bits stand for 258 bytes.
const maxRatio = 4 * 258

// inputBuffer is how much of a deflated member is read at once.
const inputBuffer = 1 << 16

// Archive is an open .npz file. All methods but Close are safe for concurrent use.
type Archive struct {
	path    string
	file    *fileop.File
	size    int64
	members map[string]*zip.File
	names   []string
}

// Open lists the archive at path. A member may or may not have the suffix .npy; names are
// given without it. Folders are skipped; two members of one name are an error.
func Open(path string) (*Archive, error) {
	f, err := fileop.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("read %s: not a regular file", path)
	}
	var a *Archive
	if err == nil {
		a, err = list(path, f, info.Size())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a.file = f
	return a, nil
}

// list reads the directory of an archive of size bytes.
func list(path string, content io.ReaderAt, size int64) (*Archive, error) {
	a := &Archive{path: path, size: size, members: map[string]*zip.File{}}
	r, err := zip.NewReader(content, size)
	switch {
	case errors.Is(err, zip.ErrFormat):
		return nil, formats.BadInput(path, "not a zip archive, or one that is truncated")
	case err != nil:
		return nil, formats.BadInput(path, "zip archive: %w", err)
	}
	r.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser {
		return flate.NewReader(bufio.NewReaderSize(r, inputBuffer))
	})
	for _, m := range r.File {
		if strings.HasSuffix(m.Name, "/") {
			continue
		}
		// Names appear in messages, which are one line.
		if strings.ContainsFunc(m.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return nil, formats.BadInput(path, "the archive holds a member with the unprintable name %q", m.Name)
		}
		name := strings.TrimSuffix(m.Name, ".npy")
		if a.members[name] != nil {
			return nil, formats.BadInput(path, "array %s appears twice in the archive", name)
		}
		a.members[name] = m
		a.names = append(a.names, name)
	}
	return a, nil
}

// maxBytes bounds an array that is read as a whole: a small file can declare a thousand
// times its size. Tests lower it.
var maxBytes = memlimit.Bytes

// Names returns the names of the arrays in the order of the archive. The slice belongs to
// the archive.
func (a *Archive) Names() []string { return a.names }

// Has reports whether the archive holds an array of that name.
func (a *Archive) Has(name string) bool { return a.members[name] != nil }

// Close closes the file. Arrays that were read stay valid.
func (a *Archive) Close() error { return a.file.Close() }

// Read reads the array of that name and verifies its checksum. The array belongs to the
// caller.
func (a *Archive) Read(name string) (*npy.Array, error) {
	r, src, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // nothing is written; what counts is the checksum below
	if src.Size > maxBytes() {
		return nil, formats.BadInput(a.path, "array %s takes %d bytes, more than the %d that this process may use", name, src.Size, maxBytes())
	}
	arr, err := npy.Read(r, src)
	if err != nil {
		return nil, err
	}
	// The reader compares length and checksum when it reports the end.
	var past [1]byte
	if _, err := io.ReadFull(r, past[:]); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("it holds more bytes than the archive declares")
		}
		return nil, formats.BadInput(a.path, "array %s: %w", name, err)
	}
	return arr, nil
}

// ReadAll reads several arrays at once, each in its own goroutine, in the order of names.
// With several errors it returns the first in that order.
func (a *Archive) ReadAll(names ...string) ([]*npy.Array, error) {
	arrays, errs := make([]*npy.Array, len(names)), make([]error, len(names))
	var wg conc.WaitGroup
	for i, name := range names {
		wg.Go(func() { arrays[i], errs[i] = a.Read(name) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return arrays, nil
}

// Header reads the header of the array of that name only.
func (a *Archive) Header(name string) (npy.Header, error) {
	r, src, err := a.open(name)
	if err != nil {
		return npy.Header{}, err
	}
	defer r.Close() //nolint:errcheck // nothing is written
	return npy.ReadSourceHeader(r, src)
}

// open checks what the archive says about a member and starts unpacking it.
func (a *Archive) open(name string) (io.ReadCloser, npy.Source, error) {
	m := a.members[name]
	bad := func(format string, args ...any) (io.ReadCloser, npy.Source, error) {
		return nil, npy.Source{}, formats.BadInput(a.path, "array %s: %w", name, fmt.Errorf(format, args...))
	}
	if m == nil {
		return nil, npy.Source{}, formats.BadInput(a.path, "array %s is missing; the archive holds %s", name, a.contents())
	}
	packed, size := m.CompressedSize64, m.UncompressedSize64
	const encrypted = 1
	switch {
	case m.Flags&encrypted != 0:
		return bad("it is encrypted")
	case m.Method != zip.Store && m.Method != zip.Deflate:
		return bad("compression method %d is not supported, want stored or deflated", m.Method)
	case packed > uint64(a.size):
		return bad("%d packed bytes in a file of %d", packed, a.size)
	case m.Method == zip.Store && size != packed, size > math.MaxInt64, size/maxRatio > packed:
		return bad("%d packed bytes cannot hold the declared %d", packed, size)
	}
	r, err := m.Open()
	if err != nil {
		return bad("%w", err)
	}
	return r, npy.Source{Path: a.path, Member: name, Size: int64(size)}, nil
}

// contents lists the first names for a message.
func (a *Archive) contents() string {
	const most = 10
	switch {
	case len(a.names) == 0:
		return "nothing"
	case len(a.names) > most:
		return strings.Join(a.names[:most], ", ") + ", …"
	default:
		return strings.Join(a.names, ", ")
	}
}
