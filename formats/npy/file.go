package npy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/mmapfile"
)

// File is a mapped .npy file. All methods but Close are safe for concurrent use.
type File struct {
	header Header
	path   string
	file   *mmapfile.File
	data   []byte
}

// Open maps the file at path and checks its header and length. The elements stay on disk
// until they are read, so the array may be larger than memory.
func Open(path string) (*File, error) {
	m, err := mmapfile.Open(path)
	if err != nil {
		return nil, err
	}
	b := m.Bytes()
	h, err := readHeader(bytes.NewReader(b), &Source{Path: path, Size: int64(len(b))})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &File{header: h, path: path, file: m, data: b[h.DataOffset:]}, nil
}

// Header describes the array. Its Shape belongs to the file.
func (f *File) Header() Header { return f.header }

// Close releases the mapping; slices that Float32Matrix returned are invalid then.
func (f *File) Close() error {
	f.data = nil
	return f.file.Close()
}

// AdviseRandom tells the system that rows will be gathered in no order, so that it does
// not read ahead.
func (f *File) AdviseRandom() { f.file.Advise(mmapfile.Random) }

// AdviseDone tells the system that what was read so far need not stay in the memory of this
// process. Reading it again is correct and slower.
func (f *File) AdviseDone() { f.file.Advise(mmapfile.DontNeed) }

// Float32Matrix returns the mapped elements of a two-dimensional array, row-major, without
// a copy. ok is false unless they are little-endian float32 in C order at an aligned
// offset. Nobody may write to the slice; it is invalid after Close.
func (f *File) Float32Matrix() (m []float32, ok bool) {
	h := &f.header
	if h.DType != Float32 || h.BigEndian || len(h.Shape) != 2 || h.Fortran && min(h.Shape[0], h.Shape[1]) > 1 {
		return nil, false
	}
	return viewOf[float32](f.data)
}

// ReadRows converts rows lo…hi-1 of a two-dimensional array to float32, row-major, into
// dst, which holds (hi-lo)×columns values. Integers and float64 are rounded to the nearest
// float32; booleans are 0 and 1. It does not allocate.
func (f *File) ReadRows(dst []float32, lo, hi int) error {
	rows, cols, err := f.matrix()
	switch {
	case err != nil:
		return err
	case lo < 0 || hi < lo || hi > rows:
		return fmt.Errorf("read %s: rows %d to %d of %d", f.path, lo, hi, rows)
	case len(dst) != (hi-lo)*cols:
		return fmt.Errorf("read %s: %d values for %d rows of %d", f.path, len(dst), hi-lo, cols)
	}
	readRows(dst, f.data, &f.header, lo, hi)
	return nil
}

// GatherRows converts row ids[i] of a two-dimensional array to float32 into
// dst[i*columns:(i+1)*columns]; dst holds len(ids)×columns values. It does not allocate.
// Rows of a Fortran-order array lie scattered over the whole file: load such a matrix
// with ReadRows instead where it fits into memory.
func (f *File) GatherRows(dst []float32, ids []int32) error {
	rows, cols, err := f.matrix()
	switch {
	case err != nil:
		return err
	case len(dst) != len(ids)*cols:
		return fmt.Errorf("read %s: %d values for %d rows of %d", f.path, len(dst), len(ids), cols)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= rows {
			return fmt.Errorf("read %s: row %d of %d", f.path, id, rows)
		}
		readRows(dst[i*cols:(i+1)*cols], f.data, &f.header, int(id), int(id)+1)
	}
	return nil
}

func (f *File) matrix() (rows, cols int, err error) {
	h := &f.header
	switch {
	case f.data == nil && h.DataSize() > 0:
		return 0, 0, fmt.Errorf("read %s: %w", f.path, fs.ErrClosed)
	case len(h.Shape) != 2:
		return 0, 0, badShape(&Source{Path: f.path}, h)
	case !h.DType.Numeric():
		return 0, 0, badType(&Source{Path: f.path}, h)
	}
	return h.Shape[0], h.Shape[1], nil
}

func badShape(src *Source, h *Header) error {
	return src.errorf(-1, "the array is %s, want two dimensions", h)
}

func badType(src *Source, h *Header) error {
	return src.errorf(-1, "the array is %s, want numbers", h)
}

// readRows is ReadRows on checked arguments.
func readRows(dst []float32, data []byte, h *Header, lo, hi int) {
	rows, cols, size := h.Shape[0], h.Shape[1], h.ItemSize
	if len(dst) == 0 {
		return
	}
	if !h.Fortran {
		toFloats(dst, data[lo*cols*size:hi*cols*size], h.DType, h.BigEndian)
		return
	}
	// Column runs of one tile are converted into a buffer that stays in the cache and
	// scattered from there.
	const tile = 256
	var buf [tile]float32
	for i0 := lo; i0 < hi; i0 += tile {
		n := min(tile, hi-i0)
		out := dst[(i0-lo)*cols:]
		for j := range cols {
			at := (j*rows + i0) * size
			toFloats(buf[:n], data[at:at+n*size], h.DType, h.BigEndian)
			for i, v := range buf[:n] {
				out[i*cols+j] = v
			}
		}
	}
}

// ReadFile reads the whole array of the file at path into memory.
func ReadFile(path string) (*Array, error) {
	f, err := fileop.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	return Read(f, Source{Path: path, Size: info.Size()})
}
