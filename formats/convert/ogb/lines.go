package ogb

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/lines"
)

// blockBytes is the size of the blocks of text that are parsed at a time, and the greatest
// length of a line.
const blockBytes = lines.BlockBytes

// lineError is a mistake in a block: line and column count from 1 within it.
type lineError struct {
	line, col int
	err       error
}

// text is a CSV file while it is inflated.
type text struct {
	path    string
	in      *countingReader
	closers []io.Closer
	*bufio.Reader
}

// countingReader counts the compressed bytes; others may ask for the sum.
type countingReader struct {
	r    io.Reader
	n    atomic.Int64
	size int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// openText starts inflating a file of the set.
func (s *source) openText(name string) (*text, error) {
	f, size, err := s.open(name)
	if err != nil {
		return nil, err
	}
	in := &countingReader{r: f, size: size}
	z, err := gzip.NewReader(bufio.NewReaderSize(in, 1<<16))
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file ends within the gzip header; it is empty or truncated")
		}
		return nil, errors.Join(formats.BadInput(s.at(name), "not a gzip file: %w", err), f.Close())
	}
	return &text{path: s.at(name), in: in, closers: []io.Closer{z, f}, Reader: bufio.NewReaderSize(z, blockBytes)}, nil
}

func (t *text) close() {
	for _, c := range t.closers {
		c.Close() //nolint:errcheck // opened for reading
	}
}

// columns returns the number of values of the first line.
func (t *text) columns() (int, error) {
	line, err := t.Peek(1) // fills the buffer
	if err == nil {
		line, err = t.Peek(t.Buffered())
	}
	for err == nil && !bytes.ContainsRune(line, '\n') && len(line) < blockBytes {
		line, err = t.Peek(len(line) + 1)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, t.readError(0, err)
	}
	line, _, _ = bytes.Cut(line, []byte{'\n'})
	return bytes.Count(line, []byte{','}) + 1, nil
}

// readError says what it means that the text breaks off behind so many lines.
func (t *text) readError(count int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the gzip file is truncated here; download it again")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		err = fmt.Errorf("the gzip file is damaged before this line (%w); download it again", err)
	default:
		err = fmt.Errorf("the gzip file cannot be read here: %w", cause(err))
	}
	return &formats.InputError{Path: t.path, Line: int(count) + 1, Offset: -1, Err: err}
}

// blockError turns a failure to read behind so many lines into one for the user.
type blockError func(count int64, err error) error

// scanner splits a text into blocks of whole lines and parses several at once.
type scanner struct {
	path    string
	workers int
	broken  blockError
	after   func(count int64) // progress, after each block in order
}

// scanLines is lines.Scan with this package's mistakes.
func scanLines[T any](ctx context.Context, s *scanner, r io.Reader, parse func([]byte) (T, *lineError), take func(T) error) (int64, error) {
	scan := &lines.Scanner{Path: s.path, Workers: s.workers, Broken: s.broken, After: s.after}
	return lines.Scan(ctx, scan, r, func(block []byte) (T, *lines.Mistake) {
		result, bad := parse(block)
		if bad != nil {
			return result, &lines.Mistake{Line: bad.line, Col: bad.col, Err: bad.err}
		}
		return result, nil
	}, take)
}

// countLines returns the number of lines of a block; the last may lack its newline.
func countLines(block []byte) int { return lines.Count(block) }
