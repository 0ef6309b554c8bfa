package tables

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/internal/atomicfile"
)

// Format is a file format of tables.
type Format string

// The formats of tables; the value is the ending of their files.
const (
	Parquet Format = "parquet"
	Arrow   Format = "arrow"
)

// Names of the columns.
const (
	colNode, colRole, colLabel, colLabels, colFeatures = "node_id", "role", "label", "labels", "features"
	colSrc, colDst, colWeight, colTrain                = "src", "dst", "weight", "train"
)

// The names of the two files before their ending.
const nodesName, edgesName = "nodes", "edges"

// Write stores raw as nodes.FORMAT and edges.FORMAT in the folder dir, which must be absent
// or empty and whose parent must exist; it is complete or not there at all. Nodes ascend;
// edges are ordered by dst, then src. What the tables cannot hold is warned about. raw is
// not changed.
func Write(ctx context.Context, dir string, raw *formats.RawDataset, format Format, r assemble.Reports) error {
	if format != Parquet && format != Arrow {
		return fmt.Errorf("write %s: format %q, want %s or %s", dir, format, Parquet, Arrow)
	}
	if err := raw.Validate(); err != nil {
		return err
	}
	r.WarnTrain(raw)
	return atomicfile.WriteDir(dir, func(tmp string) error {
		w := writer{ctx: ctx, raw: raw, reports: &r, format: format}
		if err := w.file(filepath.Join(tmp, nodesName), w.nodeSchema(), w.nodes); err != nil {
			return err
		}
		return w.file(filepath.Join(tmp, edgesName), w.edgeSchema(), w.edges)
	})
}

type writer struct {
	ctx     context.Context
	raw     *formats.RawDataset
	reports *assemble.Reports
	format  Format
}

// recordWriter is what both formats are written with.
type recordWriter interface {
	Write(rec arrow.Record) error
	Close() error
}

func (w *writer) file(path string, schema *arrow.Schema, fill func(*arrow.Schema, recordWriter) error) error {
	return atomicfile.Write(path+"."+string(w.format), func(f io.Writer) error {
		out := bufio.NewWriterSize(f, 1<<20)
		rw, err := w.open(out, schema)
		if err != nil {
			return err
		}
		if err := fill(schema, rw); err != nil {
			return err
		}
		if err := rw.Close(); err != nil {
			return err
		}
		return out.Flush()
	})
}

func (w *writer) open(out *bufio.Writer, schema *arrow.Schema) (recordWriter, error) {
	if w.format == Arrow {
		return ipc.NewFileWriter(&counted{w: out}, ipc.WithSchema(schema))
	}
	// In pages of version 1 the library moves its buffer of list lengths with every byte.
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy), parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithDataPageVersion(parquet.DataPageV2), parquet.WithDictionaryDefault(false), parquet.WithDictionaryFor(colRole, true))
	// The library cannot write lists of fixed size to Parquet, which stores all lists alike
	// anyway: they go in as plain lists, and the schema with their size beside them, from
	// where Arrow readers restore it.
	fw, err := pqarrow.NewFileWriter(plainLists(schema), plainWriter{out}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, err
	}
	var described bytes.Buffer
	if err := ipc.NewWriter(&described, ipc.WithSchema(schema)).Close(); err != nil {
		return nil, err
	}
	if err := fw.AppendKeyValueMetadata("ARROW:schema", base64.StdEncoding.EncodeToString(described.Bytes())); err != nil {
		return nil, err
	}
	return listWriter{fw}, nil
}

// plainLists returns the schema with lists of any size.
func plainLists(schema *arrow.Schema) *arrow.Schema {
	fields := slices.Clone(schema.Fields())
	for i, f := range fields {
		if l, ok := f.Type.(*arrow.FixedSizeListType); ok {
			fields[i].Type = arrow.ListOfField(l.ElemField())
		}
	}
	return arrow.NewSchema(fields, nil)
}

// listWriter turns lists of fixed size into plain ones, without a copy of their values.
type listWriter struct{ *pqarrow.FileWriter }

// Write writes one record.
func (w listWriter) Write(rec arrow.Record) error {
	columns := slices.Clone(rec.Columns())
	for i, c := range columns {
		l, ok := c.(*array.FixedSizeList)
		if !ok {
			continue
		}
		t := l.DataType().(*arrow.FixedSizeListType)
		offsets := make([]byte, 0, 4*(l.Len()+1))
		for row := range l.Len() + 1 {
			offsets = binary.LittleEndian.AppendUint32(offsets, uint32(row)*uint32(t.Len()))
		}
		columns[i] = array.NewListData(array.NewData(arrow.ListOfField(t.ElemField()), l.Len(),
			[]*memory.Buffer{nil, memory.NewBufferBytes(offsets)}, []arrow.ArrayData{l.ListValues().Data()}, 0, 0))
	}
	return w.FileWriter.Write(array.NewRecord(plainLists(rec.Schema()), columns, rec.NumRows()))
}

// plainWriter hides Flush and the like from libraries that look for more than Write.
type plainWriter struct{ io.Writer }

// counted is a writer for the IPC file writer, which asks for its position by seeking.
type counted struct {
	w io.Writer
	n int64
}

// Write passes p on.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Seek returns the position; it cannot move.
func (c *counted) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return c.n, errors.New("the file is written from start to end")
	}
	return c.n, nil
}

func (w *writer) nodeSchema() *arrow.Schema {
	fields := []arrow.Field{
		{Name: colNode, Type: arrow.PrimitiveTypes.Int32},
		{Name: colRole, Type: arrow.BinaryTypes.String, Nullable: true},
	}
	if w.raw.Labels.IsMulti() {
		fields = append(fields, arrow.Field{Name: colLabels, Type: fixed(w.raw.Labels.NumClasses, arrow.PrimitiveTypes.Uint8)})
	} else {
		fields = append(fields, arrow.Field{Name: colLabel, Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	}
	return arrow.NewSchema(append(fields, arrow.Field{Name: colFeatures, Type: fixed(w.raw.Dim, arrow.PrimitiveTypes.Float32)}), nil)
}

func fixed(n int, of arrow.DataType) arrow.DataType {
	return arrow.FixedSizeListOfField(int32(n), arrow.Field{Name: "element", Type: of})
}

func (w *writer) edgeSchema() *arrow.Schema {
	fields := []arrow.Field{{Name: colSrc, Type: arrow.PrimitiveTypes.Int32}, {Name: colDst, Type: arrow.PrimitiveTypes.Int32}}
	if w.raw.Full.Weights != nil {
		fields = append(fields, arrow.Field{Name: colWeight, Type: arrow.PrimitiveTypes.Float32})
	}
	return arrow.NewSchema(append(fields, arrow.Field{Name: colTrain, Type: arrow.FixedWidthTypes.Boolean}), nil)
}

// nodes writes the nodes in batches of bounded size.
func (w *writer) nodes(schema *arrow.Schema, out recordWriter) error {
	raw := w.raw
	n := raw.Full.NumNodes()
	roles := assemble.Roles{Train: raw.TrainNodes, Val: raw.ValNodes, Test: raw.TestNodes}
	role := roles.Of(n)
	const batchBytes = 32 << 20
	per := max(1, min(1<<16, batchBytes/(4*raw.Dim+raw.Labels.NumClasses)))
	for lo := 0; lo < n; lo += per {
		if err := w.reports.Step(w.ctx, "nodes", int64(lo), int64(n)); err != nil {
			return err
		}
		hi := min(n, lo+per)
		ids, names := array.NewInt32Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		for v := lo; v < hi; v++ {
			ids.Append(int32(v))
			if role[v] == assemble.NoRole {
				names.AppendNull()
			} else {
				names.Append(role[v].String())
			}
		}
		columns := []arrow.Array{
			ids.NewArray(), names.NewArray(), w.labels(schema.Field(2).Type, lo, hi),
			lists(schema.Field(3).Type, hi-lo, bytesOf(raw.Features[lo*raw.Dim:hi*raw.Dim])),
		}
		if err := out.Write(array.NewRecord(schema, columns, int64(hi-lo))); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) labels(t arrow.DataType, lo, hi int) arrow.Array {
	l := &w.raw.Labels
	if l.IsMulti() {
		return lists(t, hi-lo, l.Multi[lo*l.NumClasses:hi*l.NumClasses])
	}
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for _, c := range l.Class[lo:hi] {
		if c < 0 {
			b.AppendNull()
		} else {
			b.Append(int64(c) + l.Offset)
		}
	}
	return b.NewArray()
}

// lists wraps rows of values as a column without copying them.
func lists(t arrow.DataType, rows int, values []byte) arrow.Array {
	of := t.(*arrow.FixedSizeListType)
	child := array.NewData(of.Elem(), rows*int(of.Len()), []*memory.Buffer{nil, memory.NewBufferBytes(values)}, nil, 0, 0)
	return array.NewFixedSizeListData(array.NewData(t, rows, []*memory.Buffer{nil}, []arrow.ArrayData{child}, 0, 0))
}

// bytesOf views s as bytes in host order; every supported platform is little endian.
func bytesOf(s []float32) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 4*len(s))
}

// edges writes the edges in batches.
func (w *writer) edges(schema *arrow.Schema, out recordWriter) error {
	full, train := w.raw.Full, w.raw.Train
	const batch = 1 << 20
	src, dst := array.NewInt32Builder(memory.DefaultAllocator), array.NewInt32Builder(memory.DefaultAllocator)
	weight, in := array.NewFloat32Builder(memory.DefaultAllocator), array.NewBooleanBuilder(memory.DefaultAllocator)
	flush := func() error {
		n := int64(src.Len())
		columns := []arrow.Array{src.NewArray(), dst.NewArray()}
		if full.Weights != nil {
			columns = append(columns, weight.NewArray())
		}
		return out.Write(array.NewRecord(schema, append(columns, in.NewArray()), n))
	}
	for v := range full.NumNodes() {
		for e := full.Indptr[v]; e < full.Indptr[v+1]; e++ {
			src.Append(int32(v))
			dst.Append(full.Indices[e])
			if full.Weights != nil {
				weight.Append(full.Weights[e])
			}
			in.Append(train.Find(int32(v), full.Indices[e]) >= 0)
			if src.Len() < batch {
				continue
			}
			if err := w.reports.Step(w.ctx, "edges", e, full.NumEdges()); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if src.Len() == 0 && full.NumEdges() > 0 {
		return w.ctx.Err()
	}
	return flush()
}
