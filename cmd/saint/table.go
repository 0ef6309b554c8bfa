package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/internal/atomicfile"
)

// cellKind is the type of a table's values.
type cellKind uint8

const (
	intCells cellKind = iota
	byteCells
	floatCells
)

// tableShape describes a table of predictions.
type tableShape struct {
	rows, cols int
	kind       cellKind
	prefix     string
	first      int64 // number in the name of the first column
}

// column returns the name of column i; a table of one column is called by the prefix alone.
func (s *tableShape) column(i int) string {
	if s.kind == intCells {
		return s.prefix
	}
	return s.prefix + strconv.FormatInt(s.first+int64(i), 10)
}

// tableRowValues holds one row; which field counts depends on the kind.
type tableRowValues struct {
	int    int64
	bytes  []uint8
	floats []float32
}

// tableWriter takes the rows of a table in ascending node order.
type tableWriter interface {
	writeRow(node int32, r *tableRowValues) error
	close() error
}

// writeTable writes a table, complete or not at all, in the format of the path's ending.
func writeTable(path string, s tableShape, fill func(tableWriter) error) error {
	return atomicfile.Write(path, func(out io.Writer) error {
		var w tableWriter
		var err error
		switch filepath.Ext(path) {
		case ".npy":
			w, err = newNpyTable(out, s)
		case ".csv":
			w, err = newCSVTable(out, s)
		default:
			w, err = newParquetTable(out, s)
		}
		if err != nil {
			return err
		}
		return errors.Join(fill(w), w.close())
	})
}

// npyTable is the matrix alone; classes of single-label data are a vector.
type npyTable struct {
	w     *bufio.Writer
	shape tableShape
	buf   []byte
}

func newNpyTable(out io.Writer, s tableShape) (tableWriter, error) {
	h := npy.Header{DType: npy.Float32, Shape: []int{s.rows, s.cols}}
	switch s.kind {
	case intCells:
		h = npy.Header{DType: npy.Int64, Shape: []int{s.rows}}
	case byteCells:
		h.DType = npy.Uint8
	}
	t := &npyTable{w: bufio.NewWriter(out), shape: s}
	return t, npy.WriteHeader(t.w, h)
}

func (t *npyTable) writeRow(_ int32, r *tableRowValues) error {
	t.buf = t.buf[:0]
	switch t.shape.kind {
	case intCells:
		t.buf = binary.LittleEndian.AppendUint64(t.buf, uint64(r.int))
	case byteCells:
		t.buf = append(t.buf, r.bytes...)
	default:
		for _, f := range r.floats {
			t.buf = binary.LittleEndian.AppendUint32(t.buf, math.Float32bits(f))
		}
	}
	_, err := t.w.Write(t.buf)
	return err
}

func (t *npyTable) close() error { return t.w.Flush() }

// csvTable has the node in its first column.
type csvTable struct {
	w     *bufio.Writer
	shape tableShape
	line  []byte
}

func newCSVTable(out io.Writer, s tableShape) (tableWriter, error) {
	t := &csvTable{w: bufio.NewWriter(out), shape: s, line: []byte("node")}
	for i := range s.cols {
		t.line = append(append(t.line, ','), s.column(i)...)
	}
	return t, t.end()
}

func (t *csvTable) end() error {
	t.line = append(t.line, '\n')
	_, err := t.w.Write(t.line)
	t.line = t.line[:0]
	return err
}

func (t *csvTable) writeRow(node int32, r *tableRowValues) error {
	t.line = strconv.AppendInt(t.line, int64(node), 10)
	switch t.shape.kind {
	case intCells:
		t.line = strconv.AppendInt(append(t.line, ','), r.int, 10)
	case byteCells:
		for _, b := range r.bytes {
			t.line = append(t.line, ',', '0'+b)
		}
	default:
		for _, f := range r.floats {
			t.line = strconv.AppendFloat(append(t.line, ','), float64(f), 'g', -1, 32)
		}
	}
	return t.end()
}

func (t *csvTable) close() error { return t.w.Flush() }

// parquetRows is how many rows make a row group.
const parquetRows = 1 << 16

// parquetTable has the node in its first column.
type parquetTable struct {
	w     *pqarrow.FileWriter
	b     *array.RecordBuilder
	shape tableShape
	rows  int
}

func newParquetTable(out io.Writer, s tableShape) (tableWriter, error) {
	types := map[cellKind]arrow.DataType{intCells: arrow.PrimitiveTypes.Int64, byteCells: arrow.PrimitiveTypes.Uint8, floatCells: arrow.PrimitiveTypes.Float32}
	fields := []arrow.Field{{Name: "node", Type: arrow.PrimitiveTypes.Int32}}
	for i := range s.cols {
		fields = append(fields, arrow.Field{Name: s.column(i), Type: types[s.kind]})
	}
	schema := arrow.NewSchema(fields, nil)
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy))
	w, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{out}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	return &parquetTable{w: w, b: array.NewRecordBuilder(memory.DefaultAllocator, schema), shape: s}, nil
}

func (t *parquetTable) writeRow(node int32, r *tableRowValues) error {
	t.b.Field(0).(*array.Int32Builder).Append(node)
	switch t.shape.kind {
	case intCells:
		t.b.Field(1).(*array.Int64Builder).Append(r.int)
	case byteCells:
		for i, b := range r.bytes {
			t.b.Field(i + 1).(*array.Uint8Builder).Append(b)
		}
	default:
		for i, f := range r.floats {
			t.b.Field(i + 1).(*array.Float32Builder).Append(f)
		}
	}
	if t.rows++; t.rows == parquetRows {
		return t.flush()
	}
	return nil
}

func (t *parquetTable) flush() error {
	rec := t.b.NewRecord()
	defer rec.Release()
	t.rows = 0
	return t.w.Write(rec)
}

func (t *parquetTable) close() error {
	defer t.b.Release()
	if t.rows > 0 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.w.Close()
}
