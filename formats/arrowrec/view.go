package arrowrec

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
)

// View checks row i of rec and returns it as slices into rec, valid until rec is released.
// The record may come from anywhere: View panics on nothing it holds. It checks the schema,
// the lengths, that nodes ascend below saint.num_nodes, that indptr and indices form a CSR
// with ascending rows, that edge ids lie in the training graph, that the normalisation is
// finite and that labels are classes; the values of features are not looked at. Cost
// O(n + m + labels). Errors name the column. Use a [Viewer] for many records of one schema.
func View(rec arrow.Record, i int) (Row, error) {
	v, err := NewViewer(rec.Schema())
	if err != nil {
		return Row{}, err
	}
	return v.View(rec, i)
}

// Viewer is View for the records of one schema, which is checked once. It is immutable
// and safe for concurrent use.
type Viewer struct{ layout layout }

// NewViewer checks the schema like [ParseSchema].
func NewViewer(s *arrow.Schema) (*Viewer, error) {
	l, err := parseLayout(s)
	if err != nil {
		return nil, err
	}
	return &Viewer{layout: l}, nil
}

// Meta returns what the schema says about its batches.
func (v *Viewer) Meta() Meta { return v.layout.meta }

// View is the function View without the check of the schema: rec must have v's.
func (v *Viewer) View(rec arrow.Record, i int) (Row, error) {
	if i < 0 || int64(i) >= rec.NumRows() {
		return Row{}, fmt.Errorf("row %d of a record of %d rows", i, rec.NumRows())
	}
	c := cutter{rec: rec, layout: &v.layout, row: i}
	r := Row{Index: c.index()}
	r.Nodes = cut[int32](&c, colNodes)
	r.Indptr = cut[int32](&c, colIndptr)
	r.Indices = cut[int32](&c, colIndices)
	r.EdgeIDs = cut[int64](&c, colEdgeIDs)
	r.AdjNorm = cut[float32](&c, colAdjNorm)
	r.LossNorm = cut[float32](&c, colLossNorm)
	r.Features = cut[float32](&c, colFeatures)
	m := &v.layout.meta
	stray := 0
	switch m.Labels {
	case SingleLabels:
		r.Class = cut[int32](&c, colLabels)
	case MultiLabels:
		r.Multi = cut[uint8](&c, colLabels)
	case NoLabels:
		stray = len(cut[int32](&c, colLabels))
	}
	if c.err == nil {
		c.err = m.notCarried(&r, stray)
	}
	if c.err != nil {
		return Row{}, c.err
	}
	if err := r.Check(m); err != nil {
		return Row{}, err
	}
	return r, nil
}

// notCarried reports the first column that has values although m says that it has none;
// labels is the number of labels found where there should be none.
func (m *Meta) notCarried(r *Row, labels int) error {
	switch {
	case labels > 0:
		return fmt.Errorf("column %s %w", columnNames[colLabels], errNotCarried)
	case !m.EdgeIDs && len(r.EdgeIDs) > 0:
		return fmt.Errorf("column %s %w", columnNames[colEdgeIDs], errNotCarried)
	case m.NumFeatures == 0 && len(r.Features) > 0:
		return fmt.Errorf("column %s %w", columnNames[colFeatures], errNotCarried)
	}
	return nil
}

var errNotCarried = errors.New("has values, but the metadata says that it is not carried")

// cutter takes one row out of the columns and keeps the first error. It works on the
// array data and compares every length with the bytes of its buffer, because arrays read
// from a file carry whatever lengths the file claims.
type cutter struct {
	rec    arrow.Record
	layout *layout
	row    int
	err    error
}

func (c *cutter) fail(col int, err error) {
	if c.err == nil {
		c.err = fmt.Errorf("column %s %w", columnNames[col], err)
	}
}

func (c *cutter) data(col int) arrow.ArrayData { return c.rec.Column(c.layout.at[col]).Data() }

func (c *cutter) index() uint64 {
	d := c.data(colIndex)
	err := noNulls(d)
	if err == nil {
		var s []uint64
		if s, err = values[uint64](d, int64(c.row), int64(c.row)+1); err == nil {
			return s[0]
		}
	}
	c.fail(colIndex, err)
	return 0
}

// cut returns the values of a list column in the cutter's row, through the fixed-size rows
// of features and multi-label columns.
func cut[T uint8 | int32 | int64 | float32](c *cutter, col int) []T {
	s, err := cutList[T](c.data(col), c.row)
	if err != nil {
		c.fail(col, err)
		return nil
	}
	return s
}

func cutList[T uint8 | int32 | int64 | float32](d arrow.ArrayData, row int) ([]T, error) {
	if err := noNulls(d); err != nil {
		return nil, err
	}
	offsets, err := buffer[int32](d)
	if err != nil {
		return nil, err
	}
	at := d.Offset() + row
	if at < 0 || at+1 >= len(offsets) {
		return nil, fmt.Errorf("has %d list offsets, row %d needs %d", len(offsets), row, at+2)
	}
	child := d.Children()[0]
	from, to := int64(offsets[at]), int64(offsets[at+1])
	if from < 0 || to < from || to > int64(child.Len()) {
		return nil, fmt.Errorf("has list offsets %d and %d in %d values", from, to, child.Len())
	}
	if t, ok := child.DataType().(*arrow.FixedSizeListType); ok {
		if err := noNulls(child); err != nil {
			return nil, err
		}
		skip, width := int64(child.Offset()), int64(t.Len())
		from, to = (from+skip)*width, (to+skip)*width
		child = child.Children()[0]
		if from < 0 || to > int64(child.Len()) {
			return nil, fmt.Errorf("has rows up to value %d of %d", to, child.Len())
		}
	}
	if err := noNulls(child); err != nil {
		return nil, err
	}
	return values[T](child, from, to)
}

// noNulls refuses a column with nulls or an unknown number of them.
func noNulls(d arrow.ArrayData) error {
	b := d.Buffers()
	if d.NullN() != 0 && (d.NullN() > 0 || len(b) == 0 || b[0] != nil) {
		return errors.New("has null values")
	}
	return nil
}

// values returns elements from…to of primitive data.
func values[T uint8 | int32 | int64 | uint64 | float32](d arrow.ArrayData, from, to int64) ([]T, error) {
	all, err := buffer[T](d)
	if err != nil {
		return nil, err
	}
	skip := int64(d.Offset())
	if from == to {
		return nil, nil
	}
	if skip < 0 || from+skip < 0 || to+skip > int64(len(all)) || to > int64(d.Len()) {
		return nil, fmt.Errorf("has %d values in its buffer, want at least %d", len(all), to+skip)
	}
	return all[from+skip : to+skip : to+skip], nil
}

// buffer returns the second buffer of d (offsets or values) as whole elements.
func buffer[T any](d arrow.ArrayData) ([]T, error) {
	bufs := d.Buffers()
	if len(bufs) < 2 || bufs[1] == nil || bufs[1].Len() == 0 {
		return nil, nil
	}
	var zero T
	b, size := bufs[1].Bytes(), int(unsafe.Sizeof(zero))
	p := unsafe.Pointer(unsafe.SliceData(b))
	if uintptr(p)%uintptr(size) != 0 {
		return nil, fmt.Errorf("has a buffer that is not aligned to %d bytes", size)
	}
	return unsafe.Slice((*T)(p), len(b)/size), nil
}

// Check verifies the promises of formats.Subgraph and of the schema, as View does; the
// error names the column. Cost O(n + m + labels).
func (r *Row) Check(m *Meta) error {
	if err := r.lengths(m); err != nil {
		return err
	}
	if err := checkStructure(r, m); err != nil {
		return err
	}
	if err := finite("adj_norm", r.AdjNorm); err != nil {
		return err
	}
	if err := finite("loss_norm", r.LossNorm); err != nil {
		return err
	}
	for i, c := range r.Class {
		if c < -1 || int(c) >= m.NumClasses {
			return fmt.Errorf("column labels: value %d is class %d, want -1 to %d", i, c, m.NumClasses-1)
		}
	}
	for i, bit := range r.Multi {
		if bit > 1 {
			return fmt.Errorf("column labels: value %d is %d, want 0 or 1", i, bit)
		}
	}
	return nil
}

// checkStructure checks node ids, CSR and edge ids.
func checkStructure(r *Row, m *Meta) error {
	last := int32(-1)
	for i, v := range r.Nodes {
		if v <= last || int(v) >= m.NumNodes {
			return fmt.Errorf("column nodes: value %d is %d after %d, want ascending ids below %d", i, v, last, m.NumNodes)
		}
		last = v
	}
	n, edges := len(r.Nodes), len(r.Indices)
	if r.Indptr[0] != 0 || int(r.Indptr[n]) != edges {
		return fmt.Errorf("column indptr runs from %d to %d, want 0 to %d", r.Indptr[0], r.Indptr[n], edges)
	}
	for v := range n {
		from, to := r.Indptr[v], r.Indptr[v+1]
		if to < from || int(to) > edges {
			return fmt.Errorf("column indptr: value %d is %d after %d, want ascending values up to %d", v+1, to, from, edges)
		}
		last := int32(-1)
		for _, u := range r.Indices[from:to] {
			if u <= last || int(u) >= n {
				return fmt.Errorf("column indices: row %d has %d after %d, want ascending ids below %d", v, u, last, n)
			}
			last = u
		}
	}
	for i, e := range r.EdgeIDs {
		if e < 0 || e >= m.NumTrainEdges {
			return fmt.Errorf("column edge_ids: value %d is %d, want 0 to %d", i, e, m.NumTrainEdges-1)
		}
	}
	return nil
}

func finite(column string, values []float32) error {
	for i, x := range values {
		const exponent = 0x7f800000 // all ones in infinities and NaN
		if math.Float32bits(x)&exponent == exponent {
			return fmt.Errorf("column %s: value %d is %v, want a finite number", column, i, x)
		}
	}
	return nil
}
