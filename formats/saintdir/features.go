package saintdir

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats/npy"
)

// featureFile is an open feats.npy. It implements formats.FeatureStore with the values as
// they are in the file.
type featureFile struct {
	*npy.File
	path      string
	rows, dim int
}

// openFeatures maps the matrix and checks its shape and type.
func openFeatures(path string) (*featureFile, error) {
	file, err := npy.Open(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	h := file.Header()
	fail := func(format string, args ...any) (*featureFile, error) {
		return nil, errors.Join(badFile(path, format, args...), file.Close())
	}
	switch {
	case len(h.Shape) != 2:
		return fail("shape %v, want (nodes, features)", shapeText(h.Shape))
	case !h.DType.Numeric():
		return fail("elements of type %v, want numbers", h.DType)
	case h.Shape[1] == 0:
		return fail("no columns, want at least one feature")
	case h.Shape[0] > math.MaxInt32:
		return fail("%d rows, want at most %d", h.Shape[0], math.MaxInt32)
	}
	return &featureFile{File: file, path: path, rows: h.Shape[0], dim: h.Shape[1]}, nil
}

// Rows returns the number of nodes.
func (f *featureFile) Rows() int { return f.rows }

// Dim returns the number of features of a node.
func (f *featureFile) Dim() int { return f.dim }

// Gather copies row ids[i] to dst[i*Dim():].
func (f *featureFile) Gather(dst []float32, ids []int32) error { return f.GatherRows(dst, ids) }

// bytes returns the size of the matrix in memory.
func (f *featureFile) bytes() int64 { return 4 * int64(f.rows) * int64(f.dim) }

// featureSegment is how much of the file is in memory beside the matrix while it is read.
const featureSegment = 64 << 20

// read returns the whole matrix and closes the file. At most about segmentBytes of the file
// are mapped and touched at a time.
func (f *featureFile) read(segmentBytes int) ([]float32, error) {
	m := make([]float32, f.rows*f.dim)
	h := f.Header()
	segment := max(1, segmentBytes/(f.dim*h.ItemSize))
	if h.Fortran {
		segment = f.rows // every row lies all over the file
	}
	for lo := 0; lo < f.rows; lo += segment {
		if lo > 0 {
			// Pages of a mapping count as memory of the process beside the copy, until it ends.
			again, err := npy.Open(f.path)
			if err != nil {
				return nil, errors.Join(inFile(f.path, err), f.Close())
			}
			if err := f.Close(); err != nil {
				return nil, errors.Join(err, again.Close())
			}
			f.File = again
		}
		if err := f.readSegment(m, lo, min(f.rows, lo+segment)); err != nil {
			return nil, errors.Join(inFile(f.path, err), f.Close())
		}
	}
	return m, f.Close()
}

// readSegment reads rows lo…hi-1 of the file into those of m.
func (f *featureFile) readSegment(m []float32, lo, hi int) error {
	const blockValues = 1 << 20
	per := max(1, blockValues/f.dim)
	var failed atomic.Pointer[error]
	p := pool.New().WithMaxGoroutines(readers)
	for ; lo < hi && failed.Load() == nil; lo += per {
		first, last := lo, min(hi, lo+per)
		p.Go(func() {
			if err := f.ReadRows(m[first*f.dim:last*f.dim], first, last); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	p.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// readers is the number of blocks of features that are read at once: enough to keep a disk
// and the conversion busy.
const readers = 8
