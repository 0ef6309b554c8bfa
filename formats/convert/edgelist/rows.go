package edgelist

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/klauspost/compress/gzip"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/tables"
	"github.com/saint-gnn/saint/internal/fileop"
)

// row is one row of a file: a line of text, or a row of a table.
type row interface {
	// text returns chosen value i as text without surrounding blanks; empty: none. It is
	// valid until the next row.
	text(i int) ([]byte, error)
	// float returns chosen value i as a number.
	float(i int) (float64, error)
	// errorf returns an error about the row.
	errorf(format string, args ...any) error
}

// Header says whether the first line of text files names the columns.
type Header string

// The values of Header.
const (
	HeaderAuto Header = "" // if a name in it is known or asked for, or no value is a number
	HeaderYes  Header = "yes"
	HeaderNo   Header = "no"
)

// textOptions say how to read delimited text.
type textOptions struct {
	header    Header
	delimiter byte // 0: the first of tab, comma, semicolon, blank that the first line has
}

// chooser is told the names of the columns (nil without a header) and their number, and
// returns the positions of those that are wanted.
type chooser func(names []string, count int) ([]int, error)

// eachRow calls take for every row of the file at path.
func eachRow(ctx context.Context, path string, o textOptions, choose chooser, take func(row) error) error {
	if isTable(path) {
		return eachTableRow(ctx, path, choose, take)
	}
	f, r, err := openText(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	return eachLine(ctx, path, r, o, choose, take)
}

// openText opens a text file, which may be compressed.
func openText(path string) (f *fileop.File, r io.Reader, err error) {
	if f, err = fileop.Open(path); err != nil {
		return nil, nil, assemble.InFile(path, err)
	}
	in := bufio.NewReaderSize(f, 1<<18)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, errors.Join(formats.BadInput(path, "gzip: %w", err), f.Close())
		}
		in = bufio.NewReaderSize(z, 1<<18)
	}
	const some = 512
	switch begin, err := in.Peek(some); {
	case errors.Is(err, syscall.EISDIR):
		return nil, nil, errors.Join(formats.BadInput(path, "this is a folder, want a file"), f.Close())
	case err != nil && !errors.Is(err, io.EOF):
		return nil, nil, errors.Join(assemble.InFile(path, err), f.Close())
	case bytes.IndexByte(begin, 0) >= 0:
		return nil, nil, errors.Join(formats.BadInput(path, "this is no text; want rows of text (.csv, .tsv, .txt, also .gz), .parquet or .arrow"), f.Close())
	}
	return f, in, nil
}

// columns returns a number of columns in words.
func columns(n int) string {
	if n == 1 {
		return "1 column"
	}
	return strconv.Itoa(n) + " columns"
}

// isTable reports whether the file holds a Parquet or Arrow table, by its name.
func isTable(path string) bool {
	for _, ending := range []string{".parquet", ".arrow", ".feather"} {
		if strings.HasSuffix(path, ending) {
			return true
		}
	}
	return false
}

// tableRow is a row of a table.
type tableRow struct {
	columns []tables.Column
	i       int
	path    string
	first   int
	buf     []byte
}

func (r *tableRow) text(i int) ([]byte, error) {
	c := &r.columns[i]
	if id := c.DataType().ID(); arrow.IsInteger(id) && id != arrow.UINT64 {
		v, ok, err := c.Int(r.i)
		if r.buf = r.buf[:0]; ok {
			r.buf = strconv.AppendInt(r.buf, v, 10)
		}
		return r.buf, err
	}
	s, _, err := c.Text(r.i)
	r.buf = append(r.buf[:0], s...)
	return bytes.TrimSpace(r.buf), err
}

func (r *tableRow) float(i int) (float64, error) {
	x, ok, err := r.columns[i].Float(r.i)
	if err == nil && !ok {
		err = r.errorf("column %s is null, want a number", r.columns[i].Name)
	}
	return x, err
}

func (r *tableRow) errorf(format string, args ...any) error {
	return formats.BadInput(r.path, "row %d: %w", r.first+r.i, fmt.Errorf(format, args...))
}

func eachTableRow(ctx context.Context, path string, choose chooser, take func(row) error) error {
	var chosen []string
	r := tableRow{path: path}
	return tables.Each(ctx, path, func(names []string) ([]string, error) {
		positions, err := choose(names, len(names))
		for _, p := range positions {
			chosen = append(chosen, names[p])
		}
		return chosen, err
	}, func(columns []tables.Column) error {
		r.columns = columns
		for r.i = range columns[0].Len() {
			if err := take(&r); err != nil {
				return err
			}
		}
		r.first += columns[0].Len()
		return nil
	})
}

// maxLine bounds a line of text.
const maxLine = 64 << 20

// maxColumns bounds the fields of a line, each of which takes more memory than its comma.
const maxColumns = 1 << 20

// lineRow is a line of text.
type lineRow struct {
	path      string
	line      int
	fields    [][]byte
	positions []int // of the chosen values
	columns   int
	delimiter byte
}

func (r *lineRow) text(i int) ([]byte, error) {
	return r.fields[r.positions[i]], nil
}

func (r *lineRow) float(i int) (float64, error) {
	field := r.fields[r.positions[i]]
	x, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(field), len(field)), 64) // an error has a copy
	if err != nil {
		return 0, r.errorf("column %d is %.40q, want a number", r.positions[i]+1, field)
	}
	return x, nil
}

func (r *lineRow) errorf(format string, args ...any) error {
	return &formats.InputError{Path: r.path, Offset: -1, Line: r.line, Err: fmt.Errorf(format, args...)}
}

// lineReader reads lines of bounded length.
type lineReader struct {
	r    *bufio.Reader
	long []byte // a line longer than the reader's buffer
}

// next returns the next line without its end, valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if l.long = append(l.long, part...); len(l.long) > maxLine {
				return nil, fmt.Errorf("a line of more than %d bytes", maxLine)
			}
			continue
		}
		if len(l.long) > 0 {
			l.long = append(l.long, part...)
			part = l.long
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(part) == 0) {
			return nil, err
		}
		return bytes.TrimRight(part, "\r\n"), nil
	}
}

// eachLine calls take for every line that is not blank and no comment (# or %).
func eachLine(ctx context.Context, path string, in io.Reader, o textOptions, choose chooser, take func(row) error) error {
	l := lineReader{r: bufio.NewReaderSize(in, 1<<18)}
	r := lineRow{path: path}
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		r.line++
		if err != nil {
			return r.errorf("%w", err)
		}
		if r.line%assemble.StepEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if r.line == 1 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		if line = bytes.TrimRight(line, " "); isComment(line) {
			continue
		}
		isHeader := false
		if r.positions == nil {
			isHeader, err = r.start(line, o, choose)
		} else {
			err = r.cut(line)
		}
		if err == nil && !isHeader {
			err = take(&r)
		}
		if err != nil {
			return err
		}
	}
}

const byteOrderMark = "\xef\xbb\xbf"

// isComment reports whether a line without its end holds no data.
func isComment(line []byte) bool { return len(line) == 0 || line[0] == '#' || line[0] == '%' }

// cut splits a line into fields.
func (r *lineRow) cut(line []byte) (err error) {
	if r.fields, err = split(r.fields[:0], line, r.delimiter); err != nil {
		return r.errorf("%w", err)
	}
	if len(r.fields) != r.columns {
		return r.errorf("%s, but earlier lines have %d", columns(len(r.fields)), r.columns)
	}
	return nil
}

// start splits the first line, decides whether it names the columns, and chooses among them.
func (r *lineRow) start(line []byte, o textOptions, choose chooser) (isHeader bool, err error) {
	if r.delimiter = o.delimiter; r.delimiter == 0 {
		r.delimiter = guessDelimiter(line)
	}
	if r.fields, err = split(r.fields[:0], line, r.delimiter); err != nil {
		return false, r.errorf("%w", err)
	}
	r.columns = len(r.fields)
	names := make([]string, len(r.fields))
	numbers := 0
	for i, f := range r.fields {
		names[i] = string(f)
		if _, err := strconv.ParseFloat(names[i], 64); err == nil {
			numbers++
		}
	}
	isHeader = o.header == HeaderYes || o.header == HeaderAuto && numbers == 0 && knownName(names)
	if !isHeader {
		names = nil
	}
	r.positions, err = choose(names, len(r.fields))
	if err != nil {
		return false, r.errorf("%w", err)
	}
	return isHeader, nil
}

// knownName reports whether some word is one that headers have.
func knownName(names []string) bool {
	for _, n := range names {
		switch strings.ToLower(n) {
		case "id", "node", "node_id", "nodeid", "src", "dst", "source", "target", "from", "to", "label", "labels",
			"class", "role", "split", "weight", "y", "u", "v", "head", "tail":
			return true
		}
	}
	return false
}

// guessDelimiter returns the first of tab, comma, semicolon and blank that line has.
func guessDelimiter(line []byte) byte {
	for _, c := range []byte("\t,;") {
		if bytes.IndexByte(line, c) >= 0 {
			return c
		}
	}
	return ' '
}

// split cuts a line at the delimiter; runs of blanks are one. Fields may stand in quotes,
// within which a doubled quote is one.
func split(fields [][]byte, line []byte, delimiter byte) ([][]byte, error) {
	for {
		if len(fields) == maxColumns {
			return fields, fmt.Errorf("more than %d columns", maxColumns)
		}
		if delimiter == ' ' {
			line = bytes.TrimLeft(line, " ")
		}
		if len(line) > 0 && line[0] == '"' {
			field, rest, err := quoted(line)
			if err != nil {
				return fields, err
			}
			fields = append(fields, field)
			if len(rest) == 0 {
				return fields, nil
			}
			if rest[0] != delimiter {
				return fields, fmt.Errorf("column %d: %q follows the closing quote", len(fields), rest[0])
			}
			line = rest[1:]
			continue
		}
		n := bytes.IndexByte(line, delimiter)
		if n < 0 {
			return append(fields, bytes.TrimSpace(line)), nil
		}
		fields = append(fields, bytes.TrimSpace(line[:n]))
		line = line[n+1:]
	}
}

// quoted returns the field in quotes that line begins with, and what follows it.
func quoted(line []byte) (field, rest []byte, err error) {
	out := line[1:1] // unescaping never makes it longer
	for i := 1; i < len(line); i++ {
		if line[i] != '"' {
			out = append(out, line[i])
			continue
		}
		if i+1 < len(line) && line[i+1] == '"' {
			i++
			out = append(out, '"')
			continue
		}
		return out, line[i+1:], nil
	}
	return nil, nil, errors.New("a quote is not closed on its line")
}
