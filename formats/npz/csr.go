package npz

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

// CSR is a sparse matrix in compressed rows as scipy.sparse.save_npz stores it: row i has
// the columns Indices[Indptr[i]:Indptr[i+1]], in the order of the file and possibly with
// duplicates.
type CSR struct {
	Rows, Cols int
	Indptr     []int64   // Rows+1 entries, Indptr[0] == 0, non-decreasing, ending at len(Indices)
	Indices    []int32   // 0…Cols-1
	DataType   npy.DType // element type of the values on disk

	path string
}

// ReadCSR reads and checks the structure of the matrix at path. int32 and int64 indices
// are accepted. The values stay on disk until Data is called, since most graphs have only
// ones; their type and number are checked here. The slices belong to the caller.
func ReadCSR(path string) (*CSR, error) {
	a, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer a.Close() //nolint:errcheck // opened for reading
	return readCSR(a)
}

func readCSR(a *Archive) (*CSR, error) {
	if err := checkFormat(a); err != nil {
		return nil, err
	}
	m := &CSR{path: a.path}
	if err := m.readShape(a); err != nil {
		return nil, err
	}
	arrays, err := a.ReadAll("indptr", "indices")
	if err != nil {
		return nil, err
	}
	for _, arr := range arrays {
		if h := arr.Header(); len(h.Shape) != 1 || h.DType < npy.Int8 || h.DType > npy.Uint64 {
			return nil, formats.BadInput(a.path, "indptr or indices is %s, want one dimension of integers", &h)
		}
	}
	if m.Indptr, err = arrays[0].Int64s(); err != nil {
		return nil, err
	}
	// The length is compared before the indices are converted and walked.
	if err := m.checkIndptr(arrays[1].Len()); err != nil {
		return nil, err
	}
	if m.Indices, err = arrays[1].Int32s(); err != nil {
		return nil, err
	}
	if err := m.checkIndices(); err != nil {
		return nil, err
	}
	h, err := a.Header("data")
	if err != nil {
		return nil, err
	}
	if len(h.Shape) != 1 || !h.DType.Numeric() || h.Shape[0] != len(m.Indices) {
		return nil, formats.BadInput(a.path, "data is %s, want %d numbers, one for each index", &h, len(m.Indices))
	}
	m.DataType = h.DType
	return m, nil
}

// Data reads the values of a matrix that ReadCSR returned from its file, one for each
// index, as float32. The slice belongs to the caller.
func (m *CSR) Data() ([]float32, error) {
	a, err := Open(m.path)
	if err != nil {
		return nil, err
	}
	defer a.Close() //nolint:errcheck // opened for reading
	return m.readData(a)
}

func (m *CSR) readData(a *Archive) ([]float32, error) {
	arr, err := a.Read("data")
	if err != nil {
		return nil, err
	}
	if len(arr.Shape()) != 1 || arr.Len() != len(m.Indices) {
		return nil, formats.BadInput(m.path, "data has shape %v, want %d values: the file changed while it was read", arr.Shape(), len(m.Indices))
	}
	return arr.Float32s()
}

func checkFormat(a *Archive) error {
	if !a.Has("format") {
		return formats.BadInput(a.path, "array format is missing, so this is no matrix of scipy.sparse.save_npz; the archive holds %s", a.contents())
	}
	arr, err := a.Read("format")
	if err != nil {
		return err
	}
	names, err := arr.Strings()
	switch {
	case err != nil:
		return err
	case len(names) != 1:
		return formats.BadInput(a.path, "array format has %d strings, want one", len(names))
	case names[0] == "csr":
		return nil
	case slices.Contains([]string{"csc", "coo", "bsr", "dia"}, names[0]):
		return formats.BadInput(a.path, "the matrix has format %s, want csr: save it with scipy.sparse.save_npz(path, matrix.tocsr())", names[0])
	}
	return formats.BadInput(a.path, "the matrix has the unknown format %q, want csr", names[0])
}

func (m *CSR) readShape(a *Archive) error {
	arr, err := a.Read("shape")
	if err != nil {
		return err
	}
	shape, err := arr.Int64s()
	switch {
	case err != nil:
		return err
	case len(shape) != 2:
		return formats.BadInput(a.path, "array shape has %d numbers, want two", len(shape))
	case shape[0] < 0 || shape[1] < 0 || shape[0] > math.MaxInt-1 || shape[1] > math.MaxInt32:
		return formats.BadInput(a.path, "the matrix is %d by %d, want at most %d columns", shape[0], shape[1], math.MaxInt32)
	}
	m.Rows, m.Cols = int(shape[0]), int(shape[1])
	return nil
}

// checkIndptr checks the row starts of a matrix with nnz entries.
func (m *CSR) checkIndptr(nnz int) error {
	switch {
	case len(m.Indptr)-1 != m.Rows:
		return formats.BadInput(m.path, "indptr has %d entries, want %d for %d rows", len(m.Indptr), m.Rows+1, m.Rows)
	case m.Indptr[0] != 0:
		return formats.BadInput(m.path, "indptr starts at %d, want 0", m.Indptr[0])
	}
	for i := 1; i < len(m.Indptr); i++ {
		if m.Indptr[i] < m.Indptr[i-1] {
			return formats.BadInput(m.path, "indptr decreases at row %d: %d, then %d", i-1, m.Indptr[i-1], m.Indptr[i])
		}
	}
	if last := m.Indptr[m.Rows]; last != int64(nnz) {
		return formats.BadInput(m.path, "indptr ends at %d, but there are %d indices", last, nnz)
	}
	return nil
}

func (m *CSR) checkIndices() error {
	for i, c := range m.Indices {
		if c < 0 || int(c) >= m.Cols {
			row := sort.Search(m.Rows, func(r int) bool { return m.Indptr[r+1] > int64(i) })
			return formats.BadInput(m.path, "row %d has column %d (entry %d of indices), but the matrix has %d columns", row, c, i, m.Cols)
		}
	}
	return nil
}

// WriteCSR writes a matrix that scipy.sparse.load_npz reads; the file is complete or
// absent. indptr and indices are as in CSR, data is a slice that npy.Write accepts with
// one value for each index. indptr is stored as int32 where it fits.
func WriteCSR(path string, rows, cols int, indptr []int64, indices []int32, data any, compress bool) error {
	m := &CSR{Rows: rows, Cols: cols, Indptr: indptr, Indices: indices, path: path}
	if rows < 0 || cols < 0 || len(indptr) == 0 {
		return fmt.Errorf("write %s: %d by %d matrix with %d row starts", path, rows, cols, len(indptr))
	}
	if err := errors.Join(m.checkIndptr(len(indices)), m.checkIndices()); err != nil {
		return err
	}
	starts := any(indptr)
	if len(indices) <= math.MaxInt32 {
		narrow := make([]int32, len(indptr))
		for i, p := range indptr {
			narrow[i] = int32(p)
		}
		starts = narrow
	}
	return WriteFile(path, compress, []Entry{
		{Name: "indices", Shape: []int{len(indices)}, Data: indices},
		{Name: "indptr", Shape: []int{len(indptr)}, Data: starts},
		{Name: "format", Data: "csr"},
		{Name: "shape", Shape: []int{2}, Data: []int64{int64(rows), int64(cols)}},
		{Name: "data", Shape: []int{len(indices)}, Data: data},
	})
}
