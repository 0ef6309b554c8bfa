package arrowrec

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
)

// Row is one batch: a subgraph of n nodes and m edges with its index and data rows.
type Row struct {
	Index uint64
	formats.Subgraph
	Features []float32 // n×NumFeatures, row-major; empty if not carried
	Class    []int32   // n, single-label data; else empty
	Multi    []uint8   // n×NumClasses, multi-label data; else empty
}

// Record wraps the slices of r as a record of one row, without copying: r's memory must
// neither change nor be freed while the record is in use. The schema is one of [Schema].
// Columns that the schema does not carry are left out even if r has them. Record panics if
// a length disagrees with the schema: that is a fault of the caller, not of input data.
func Record(schema *arrow.Schema, r *Row) arrow.Record {
	l, err := parseLayout(schema)
	if err != nil {
		panic("arrowrec: " + err.Error())
	}
	m := &l.meta
	if err := r.lengths(m); err != nil {
		panic("arrowrec: " + err.Error())
	}
	edgeIDs, features := r.EdgeIDs, r.Features
	if !m.EdgeIDs {
		edgeIDs = nil
	}
	if m.NumFeatures == 0 {
		features = nil
	}
	types := m.types()
	columns := [numColumns]arrow.ArrayData{
		colIndex:    leaf(arrow.PrimitiveTypes.Uint64, []uint64{r.Index}),
		colNodes:    list(types[colNodes], leaf(arrow.PrimitiveTypes.Int32, r.Nodes)),
		colIndptr:   list(types[colIndptr], leaf(arrow.PrimitiveTypes.Int32, r.Indptr)),
		colIndices:  list(types[colIndices], leaf(arrow.PrimitiveTypes.Int32, r.Indices)),
		colEdgeIDs:  list(types[colEdgeIDs], leaf(arrow.PrimitiveTypes.Int64, edgeIDs)),
		colAdjNorm:  list(types[colAdjNorm], leaf(arrow.PrimitiveTypes.Float32, r.AdjNorm)),
		colLossNorm: list(types[colLossNorm], leaf(arrow.PrimitiveTypes.Float32, r.LossNorm)),
		colFeatures: list(types[colFeatures], rows(types[colFeatures], leaf(arrow.PrimitiveTypes.Float32, features))),
	}
	switch m.Labels {
	case MultiLabels:
		columns[colLabels] = list(types[colLabels], rows(types[colLabels], leaf(arrow.PrimitiveTypes.Uint8, r.Multi)))
	case SingleLabels:
		columns[colLabels] = list(types[colLabels], leaf(arrow.PrimitiveTypes.Int32, r.Class))
	default:
		columns[colLabels] = list(types[colLabels], leaf(arrow.PrimitiveTypes.Int32, []int32(nil)))
	}
	arrays := make([]arrow.Array, schema.NumFields())
	for c, data := range columns {
		arrays[l.at[c]] = array.MakeFromData(data)
	}
	return array.NewRecord(schema, arrays, 1)
}

// lengths checks that every slice has the length that n, m and the schema ask for.
func (r *Row) lengths(m *Meta) error {
	n, edges := len(r.Nodes), len(r.Indices)
	want := [numColumns]int{
		colIndptr: n + 1, colEdgeIDs: edges, colAdjNorm: edges, colLossNorm: n, colFeatures: n * m.NumFeatures, colLabels: n,
	}
	got := want
	got[colIndptr], got[colAdjNorm], got[colLossNorm] = len(r.Indptr), len(r.AdjNorm), len(r.LossNorm)
	if m.EdgeIDs {
		got[colEdgeIDs] = len(r.EdgeIDs)
	}
	if m.NumFeatures > 0 {
		got[colFeatures] = len(r.Features)
	}
	switch m.Labels {
	case SingleLabels:
		got[colLabels] = len(r.Class)
	case MultiLabels:
		want[colLabels], got[colLabels] = n*m.NumClasses, len(r.Multi)
	case NoLabels:
	}
	for c := range want {
		if got[c] != want[c] {
			return fmt.Errorf("column %s has %d values, want %d for %d nodes and %d edges", columnNames[c], got[c], want[c], n, edges)
		}
	}
	return nil
}

// leaf wraps values as the data of a primitive array.
func leaf[T uint8 | int32 | int64 | uint64 | float32](t arrow.DataType, values []T) arrow.ArrayData {
	return array.NewData(t, len(values), []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(values))}, nil, 0, 0)
}

// rows groups the values of child by the row length of list type t.
func rows(t arrow.DataType, child arrow.ArrayData) arrow.ArrayData {
	row := t.(*arrow.ListType).Elem().(*arrow.FixedSizeListType)
	return array.NewData(row, child.Len()/int(row.Len()), []*memory.Buffer{nil}, []arrow.ArrayData{child}, 0, 0)
}

// list makes all of child the one element of a list array.
func list(t arrow.DataType, child arrow.ArrayData) arrow.ArrayData {
	offsets := memory.NewBufferBytes(bytesOf([]int32{0, int32(child.Len())}))
	return array.NewData(t, 1, []*memory.Buffer{nil, offsets}, []arrow.ArrayData{child}, 0, 0)
}

// bytesOf views values as bytes in host order. Every supported platform is little endian.
func bytesOf[T any](values []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
}
