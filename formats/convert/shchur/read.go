package shchur

import (
	"context"
	"math"
	"path/filepath"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

// Options say how to read an archive.
type Options struct {
	assemble.Reports
	assemble.GraphOptions
	// Split says which nodes train, validate and test.
	Split assemble.Split
	// EdgeWeight keeps the values of the adjacency as weights.
	EdgeWeight bool
}

// reader holds one open archive.
type reader struct {
	path    string
	archive *npz.Archive
	options *Options
}

// Read reads and checks the archive at path. The adjacency is taken as it is, unless the
// options say otherwise: row v lists the nodes that v aggregates from. Errors about the content are *formats.InputError.
func Read(ctx context.Context, path string, o Options) (*formats.RawDataset, error) {
	a, err := npz.Open(path)
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	defer a.Close() //nolint:errcheck // opened for reading
	r := &reader{path, a, &o}
	raw := &formats.RawDataset{Name: strings.TrimSuffix(filepath.Base(path), ".npz")}
	if raw.Full, err = r.graph(ctx); err != nil {
		return nil, err
	}
	n := raw.Full.NumNodes()
	if raw.Labels, err = r.labels(n); err != nil {
		return nil, err
	}
	if err := o.Split.Apply(raw, assemble.Labelled(&raw.Labels, n, nil)); err != nil {
		return nil, err
	}
	m, err := r.features(raw.Full)
	if err != nil {
		return nil, err
	}
	raw.Features, raw.Dim = m.Values, m.Dim
	return assemble.Dataset(raw, map[formats.Part]string{
		formats.PartFull: path, formats.PartTrain: path, formats.PartLabels: path, formats.PartFeatures: path,
		formats.PartRoles: o.Split.Name(path),
	})
}

// name returns the array prefix_part or, as older archives call it, prefix_matrix.part.
func (r *reader) name(prefix, part string) string {
	if old := prefix + "_matrix." + part; !r.archive.Has(prefix+"_"+part) && r.archive.Has(old) {
		return old
	}
	return prefix + "_" + part
}

// csr is a sparse matrix of the archive; values are not read with it.
type csr struct {
	rows, cols int
	indptr     []int64
	indices    []int32
}

// matrix reads the structure of a sparse matrix.
func (r *reader) matrix(prefix string) (*csr, error) {
	shape, err := r.vector(r.name(prefix, "shape"))
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[0] < 0 || shape[1] < 0 || shape[0] >= assemble.MaxNodes || shape[1] > math.MaxInt32 {
		return nil, formats.BadInput(r.path, "array %s is %v, want two numbers below %d", r.name(prefix, "shape"), shape, assemble.MaxNodes)
	}
	m := &csr{rows: int(shape[0]), cols: int(shape[1])}
	if m.indptr, err = r.vector(r.name(prefix, "indptr")); err != nil {
		return nil, err
	}
	a, err := r.archive.Read(r.name(prefix, "indices"))
	if err != nil {
		return nil, assemble.InFile(r.path, err)
	}
	if m.indices, err = a.Int32s(); err != nil {
		return nil, assemble.InFile(r.path, err)
	}
	return m, m.check(r.path, prefix)
}

// check verifies the structure.
func (m *csr) check(path, prefix string) error {
	bad := func(format string, args ...any) error {
		return formats.BadInput(path, "matrix "+prefix+": "+format, args...)
	}
	switch n := len(m.indptr) - 1; {
	case n != m.rows:
		return bad("%d row starts, want %d for %d rows", n+1, m.rows+1, m.rows)
	case m.indptr[0] != 0 || m.indptr[n] != int64(len(m.indices)):
		return bad("rows go from %d to %d, want 0 to %d, the number of entries", m.indptr[0], m.indptr[n], len(m.indices))
	}
	for v := range m.rows {
		if m.indptr[v+1] < m.indptr[v] {
			return bad("row %d starts at %d and ends at %d", v, m.indptr[v], m.indptr[v+1])
		}
	}
	for i, c := range m.indices {
		if c < 0 || int(c) >= m.cols {
			return bad("entry %d has column %d, but there are %d", i, c, m.cols)
		}
	}
	return nil
}

// vector reads a one-dimensional array of whole numbers.
func (r *reader) vector(name string) ([]int64, error) {
	a, err := r.archive.Read(name)
	if err != nil {
		return nil, assemble.InFile(r.path, err)
	}
	if len(a.Shape()) != 1 {
		return nil, formats.BadInput(r.path, "array %s has shape %v, want one dimension", name, a.Shape())
	}
	v, err := a.Int64s()
	return v, assemble.InFile(r.path, err)
}

// values reads one number for each entry of a sparse matrix.
func (r *reader) values(prefix string, count int) ([]float32, error) {
	name := r.name(prefix, "data")
	a, err := r.archive.Read(name)
	if err != nil {
		return nil, assemble.InFile(r.path, err)
	}
	if len(a.Shape()) != 1 || a.Len() != count {
		return nil, formats.BadInput(r.path, "array %s has shape %v, want %d values", name, a.Shape(), count)
	}
	v, err := a.Float32s()
	return v, assemble.InFile(r.path, err)
}

func (r *reader) graph(ctx context.Context) (*formats.Graph, error) {
	m, err := r.matrix("adj")
	if err != nil {
		return nil, err
	}
	if m.rows != m.cols || m.rows == 0 {
		return nil, formats.BadInput(r.path, "the adjacency is %d x %d, want a square matrix with at least one node", m.rows, m.cols)
	}
	e := &assemble.Edges{Src: make([]int32, len(m.indices)), Dst: m.indices}
	if r.options.EdgeWeight {
		if e.Weights, err = r.values("adj", len(m.indices)); err != nil {
			return nil, err
		}
	}
	for v := range m.rows {
		for i := m.indptr[v]; i < m.indptr[v+1]; i++ {
			e.Src[i] = int32(v)
		}
	}
	g, counts, err := assemble.Graph(ctx, m.rows, e, r.options.GraphOptions)
	if err != nil {
		return nil, assemble.InFile(r.path, err)
	}
	r.options.WarnGraph(r.path, counts, r.options.GraphOptions)
	r.options.WarnDirected(r.path, g, r.options.GraphOptions)
	return g, nil
}

// labels reads one class a node, or rows of 0 and 1.
func (r *reader) labels(n int) (formats.Labels, error) {
	a, err := r.archive.Read("labels")
	if err != nil {
		return formats.Labels{}, assemble.InFile(r.path, err)
	}
	return assemble.LabelsOf(r.path, a, n)
}

// features reads the dense or the sparse matrix; without either, the degree is the feature.
func (r *reader) features(g *formats.Graph) (assemble.Matrix, error) {
	n := g.NumNodes()
	var m assemble.Matrix
	var err error
	switch {
	case r.archive.Has("attr_matrix"):
		var a *npy.Array
		if a, err = r.archive.Read("attr_matrix"); err == nil {
			m, err = assemble.MatrixOf(r.path, a, &r.options.Reports)
		}
	case r.archive.Has(r.name("attr", "shape")):
		m, err = r.sparseFeatures(n)
	default:
		r.options.Warnf("%s: no features (attr_matrix or attr_data); the number of neighbours becomes the only feature", r.path)
		return assemble.Matrix{Values: assemble.DegreeFeatures(g), Rows: n, Dim: 1}, nil
	}
	if err != nil {
		return m, assemble.InFile(r.path, err)
	}
	return m, assemble.CheckRows(r.path, "features", m.Rows, n)
}

// sparseFeatures makes a dense matrix of the sparse one.
func (r *reader) sparseFeatures(n int) (assemble.Matrix, error) {
	s, err := r.matrix("attr")
	if err != nil {
		return assemble.Matrix{}, err
	}
	// The dense form must be in proportion to what is stored: a few bytes must not ask for
	// all memory.
	const free, perEntry = 1 << 30, 4 << 10
	most := (free + perEntry*int64(len(s.indices))) / 4 / int64(max(1, s.rows)) // of columns; the product may be beyond int64
	if s.cols < 1 || s.rows != n || int64(s.cols) > most {
		return assemble.Matrix{}, formats.BadInput(r.path, "features are %d x %d with %d entries for %d nodes: too sparse or of the wrong shape", s.rows, s.cols, len(s.indices), n)
	}
	values, err := r.values("attr", len(s.indices))
	if err != nil {
		return assemble.Matrix{}, err
	}
	m := assemble.Matrix{Values: make([]float32, s.rows*s.cols), Rows: s.rows, Dim: s.cols}
	for v := range s.rows {
		for i := s.indptr[v]; i < s.indptr[v+1]; i++ {
			m.Values[v*s.cols+int(s.indices[i])] += values[i]
		}
	}
	return m, nil
}
