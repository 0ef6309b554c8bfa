package tables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/internal/fileop"
)

// Column is one column of a batch.
type Column struct {
	Name string
	arrow.Array
	path string
	row  int64 // of the first value in the table
}

// errorf returns an error about value i.
func (c *Column) errorf(i int, format string, args ...any) error {
	return formats.BadInput(c.path, "column %s, row %d: %w", c.Name, c.row+int64(i), fmt.Errorf(format, args...))
}

// Each reads the table in the file at path, Parquet or Arrow IPC (file or stream), batch by
// batch. choose is told the names of all columns and returns those that are wanted; take
// gets them in that order, valid during the call. Whatever the bytes are, it neither panics
// nor allocates out of proportion to the file; errors are *formats.InputError.
func Each(ctx context.Context, path string, choose func(names []string) ([]string, error), take func(columns []Column) error) (err error) {
	f, err := fileop.Open(path)
	if err != nil {
		return assemble.InFile(path, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return errors.Join(formats.BadInput(path, "not a regular file"), err)
	}
	t := &table{ctx: ctx, path: path, choose: choose, take: take}
	in := &attentive{source: f}
	if err := t.read(in, info.Size()); err != nil {
		return in.cause(err, path)
	}
	return nil
}

type table struct {
	ctx    context.Context
	path   string
	choose func([]string) ([]string, error)
	take   func([]Column) error
	rows   int64
}

// source is what a table is read from.
type source interface {
	io.ReaderAt
	io.ReadSeeker
}

const arrowMagic, parquetMagic = "ARROW1\x00\x00", "PAR1"

func (t *table) read(f source, size int64) (err error) {
	// The libraries believe what a file says about itself, and panic where it lies: when they
	// decode a column or when a value of it is asked for.
	defer func() {
		if p := recover(); p != nil {
			err = formats.BadInput(t.path, "the file is damaged (%s)", oneLine(p))
		}
	}()
	magic := make([]byte, len(arrowMagic))
	n, err := f.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return assemble.InFile(t.path, err)
	}
	magic = magic[:n]
	if bytes.HasPrefix(magic, []byte(parquetMagic)) {
		err = t.parquet(f, size)
		return assemble.InFile(t.path, err)
	}
	if string(magic) != arrowMagic {
		return t.arrow(f)
	}
	// A file is a stream between a mark and a footer. Its end-of-stream mark may be missing.
	start := int64(len(arrowMagic))
	end, err := t.footer(f, size)
	if err != nil {
		return err
	}
	mark := []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	return t.arrow(io.MultiReader(io.NewSectionReader(f, start, end-start), bytes.NewReader(mark)))
}

// footer returns where the footer of an Arrow file begins.
func (t *table) footer(f io.ReaderAt, size int64) (int64, error) {
	var tail [10]byte // the footer's length and a mark
	if size < int64(len(arrowMagic)+len(tail)) {
		return 0, formats.BadInput(t.path, "the file is truncated")
	}
	if _, err := f.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return 0, assemble.InFile(t.path, err)
	}
	length := int64(int32(binary.LittleEndian.Uint32(tail[:])))
	end := size - int64(len(tail)) - length
	if string(tail[4:]) != arrowMagic[:6] || length < 0 || end < int64(len(arrowMagic)) {
		return 0, formats.BadInput(t.path, "no Arrow footer at the end; the file is truncated")
	}
	return end, nil
}

func oneLine(p any) string {
	const most = 200
	text := strings.Join(strings.Fields(fmt.Sprint(p)), " ")
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

func (t *table) arrow(r io.Reader) error {
	records, err := arrowrec.NewRecords(r, t.path)
	if err != nil {
		return err
	}
	defer records.Close()
	wanted, err := t.columns(records.Schema())
	if err != nil {
		return err
	}
	for {
		rec, err := records.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.batch(rec, wanted); err != nil {
			return err
		}
	}
}

// columns returns the positions of the wanted columns.
func (t *table) columns(schema *arrow.Schema) ([]int, error) {
	names := make([]string, len(schema.Fields()))
	for i, f := range schema.Fields() {
		names[i] = f.Name
	}
	chosen, err := t.choose(names)
	if err != nil {
		return nil, assemble.InFile(t.path, err)
	}
	positions := make([]int, len(chosen))
	for i, name := range chosen {
		found := schema.FieldIndices(name)
		if len(found) != 1 {
			return nil, formats.BadInput(t.path, "%d columns are called %s, want one; the table has %s", len(found), name, list(names))
		}
		positions[i] = found[0]
	}
	return positions, nil
}

func list(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func (t *table) batch(rec arrow.Record, positions []int) error {
	columns := make([]Column, len(positions))
	for i, p := range positions {
		columns[i] = Column{rec.ColumnName(p), rec.Column(p), t.path, t.rows}
	}
	if len(columns) == 0 {
		return nil
	}
	return t.give(columns)
}

// give hands one batch on.
func (t *table) give(columns []Column) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	n := columns[0].Len()
	for _, c := range columns {
		if c.Len() != n {
			return formats.BadInput(t.path, "column %s has %d values, but %s has %d", c.Name, c.Len(), columns[0].Name, n)
		}
	}
	t.rows += int64(n)
	return t.take(columns)
}

// batchRows is how many rows are decoded at a time.
const batchRows = 1 << 14

func (t *table) parquet(f source, size int64) error {
	// A compressed page may unpack to much more than the file, but not without limit.
	const slack, ratio = 256 << 20, 64
	mem := &bounded{Allocator: memory.DefaultAllocator, most: slack + ratio*size}
	r, err := file.NewParquetReader(sourceOnly{f}, file.WithReadProps(parquet.NewReaderProperties(mem)))
	if err != nil {
		return err
	}
	// The schema that Arrow libraries hide in the metadata adds nothing that is wanted here,
	// and decoding a stranger's is a risk.
	for _, kv := range r.MetaData().KeyValueMetadata() {
		kv.Key = "ignored"
	}
	reader, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: batchRows}, mem)
	if err != nil {
		return err
	}
	schema, err := reader.Schema()
	if err != nil {
		return err
	}
	positions, err := t.columns(schema)
	if err != nil {
		return err
	}
	leaves := map[int]bool{}
	for _, p := range positions {
		field := &reader.Manifest.Fields[p]
		for len(field.Children) == 1 {
			field = &field.Children[0]
		}
		if len(field.Children) > 0 || field.ColIndex < 0 {
			return formats.BadInput(t.path, "column %s is a %s, want numbers, text or lists of numbers", schema.Field(p).Name, schema.Field(p).Type)
		}
		leaves[field.ColIndex] = true
	}
	if len(positions) == 0 {
		return nil
	}
	for g := range r.NumRowGroups() {
		for leaf := range leaves {
			if err := t.checkPages(f, r.RowGroup(g), leaf, size, mem.most); err != nil {
				return err
			}
		}
		if err := t.rowGroup(reader, g, leaves, positions, schema); err != nil {
			return err
		}
	}
	if t.rows != r.NumRows() {
		return formats.BadInput(t.path, "%d rows, but the file promises %d; it is truncated or damaged", t.rows, r.NumRows())
	}
	return nil
}

// checkPages verifies that a column lies within the file, that its pages hold the values that
// it promises, and that they unpack to what they promise.
func (t *table) checkPages(f io.ReaderAt, group *file.RowGroupReader, leaf int, size, most int64) error {
	chunk, err := group.MetaData().ColumnChunk(leaf)
	if err != nil {
		return err
	}
	start, length := chunk.DataPageOffset(), chunk.TotalCompressedSize()
	if chunk.HasDictionaryPage() {
		start = min(start, chunk.DictionaryPageOffset())
	}
	if start < 0 || length < 0 || start > size || length > size-start {
		return formats.BadInput(t.path, "column %d has %d bytes from byte %d on, but the file has %d", leaf, length, start, size)
	}
	p, err := newPages(f, start, length, chunk.Compression(), most)
	if err != nil {
		return formats.BadInput(t.path, "column %s is %w", group.MetaData().Schema.Column(leaf).Path(), err)
	}
	defer p.close()
	for seen := int64(0); seen < chunk.NumValues(); {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		values, err := p.next()
		if err != nil {
			return formats.BadInput(t.path, "column %d after %d of %d values: %w; the file is truncated or damaged", leaf, seen, chunk.NumValues(), err)
		}
		seen += values
	}
	return nil
}

// rowGroup reads one row group. It reads column by column in this goroutine: the library's
// own reader of records starts others, whose panics nobody could catch.
func (t *table) rowGroup(reader *pqarrow.FileReader, g int, leaves map[int]bool, positions []int, schema *arrow.Schema) error {
	readers := make([]*pqarrow.ColumnReader, len(positions))
	for i, p := range positions {
		r, err := reader.GetFieldReader(t.ctx, p, leaves, []int{g})
		if err != nil {
			return err
		}
		if r == nil {
			return formats.BadInput(t.path, "column %s cannot be read", schema.Field(p).Name)
		}
		readers[i] = r
	}
	for left := reader.ParquetReader().MetaData().RowGroup(g).NumRows(); left > 0; {
		columns := make([]Column, len(positions))
		for i, r := range readers {
			values, err := t.next(r)
			if err != nil {
				return err
			}
			columns[i] = Column{schema.Field(positions[i]).Name, values, t.path, t.rows}
		}
		n := columns[0].Len()
		if left -= int64(n); n == 0 || left < 0 {
			return formats.BadInput(t.path, "row group %d does not hold the rows that it promises; it is truncated or damaged", g)
		}
		if err := t.give(columns); err != nil {
			return err
		}
	}
	return nil
}

// next reads the next values of a column as one array.
func (t *table) next(r *pqarrow.ColumnReader) (arrow.Array, error) {
	chunked, err := r.NextBatch(batchRows)
	if err != nil {
		return nil, err
	}
	switch chunks := chunked.Chunks(); len(chunks) {
	case 0:
		return nil, formats.BadInput(t.path, "a column ends early")
	case 1:
		return chunks[0], nil
	default:
		return array.Concatenate(chunks, memory.DefaultAllocator)
	}
}

// sourceOnly hides Close, which the Parquet reader would call.
type sourceOnly struct{ source }

// bounded is an allocator that refuses single pieces larger than most.
type bounded struct {
	memory.Allocator
	most int64
}

// Allocate panics beyond the bound; read turns that into an error.
func (b *bounded) Allocate(size int) []byte {
	b.check(size)
	return b.Allocator.Allocate(size)
}

// Reallocate panics beyond the bound.
func (b *bounded) Reallocate(size int, old []byte) []byte {
	b.check(size)
	return b.Allocator.Reallocate(size, old)
}

func (b *bounded) check(size int) {
	if size < 0 || int64(size) > b.most {
		panic(fmt.Sprintf("a page of %d bytes is out of proportion to the file", size))
	}
}
