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
	"github.com/sourcegraph/conc/stream"

	"github.com/saint-gnn/saint/formats"
)

// blockBytes is the size of the blocks of text that are parsed at a time, and the greatest
// length of a line.
const blockBytes = 1 << 20

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
func (t *text) readError(lines int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the gzip file is truncated here; download it again")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		err = fmt.Errorf("the gzip file is damaged before this line (%w); download it again", err)
	default:
		err = fmt.Errorf("the gzip file cannot be read here: %w", cause(err))
	}
	return &formats.InputError{Path: t.path, Line: int(lines) + 1, Offset: -1, Err: err}
}

// blockError turns a failure to read behind so many lines into one for the user.
type blockError func(lines int64, err error) error

// scanner splits a text into blocks of whole lines and parses several at once.
type scanner struct {
	path    string
	workers int
	broken  blockError
	after   func(lines int64) // progress, after each block in order
}

// scanLines calls parse for blocks of whole lines on several goroutines, and take for the
// results one at a time in the order of the text. parse must not keep its argument. It
// returns the number of lines. The error is that of the first line that has one.
func scanLines[T any](ctx context.Context, s *scanner, r io.Reader, parse func([]byte) (T, *lineError), take func(T) error) (int64, error) {
	var (
		lines  int64 // owned by the callbacks, which run one at a time
		failed error
		stop   atomic.Bool
	)
	free := make(chan []byte, 4*s.workers+4)
	fail := func(err error) { failed = err; stop.Store(true) }
	tasks := stream.New().WithMaxGoroutines(s.workers)
	err := eachBlock(ctx, r, free, &stop, func(block []byte) {
		tasks.Go(func() stream.Callback {
			result, bad := parse(block)
			n := int64(countLines(block))
			return func() {
				select {
				case free <- block[:0]:
				default:
				}
				switch {
				case failed != nil:
				case bad != nil:
					fail(&formats.InputError{Path: s.path, Line: int(lines) + bad.line, Col: bad.col, Offset: -1, Err: bad.err})
				default:
					if err := take(result); err != nil {
						fail(err)
						return
					}
					lines += n
					s.after(lines)
				}
			}
		})
	})
	tasks.Wait()
	switch {
	case failed != nil:
		return lines, failed
	case errors.Is(err, errLongLine):
		return lines, &formats.InputError{Path: s.path, Line: int(lines) + 1, Offset: -1, Err: err}
	case err != nil && ctx.Err() == nil:
		return lines, s.broken(lines, err)
	}
	return lines, err
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes", blockBytes)

// eachBlock calls do for blocks that end with a line; only the last may lack its newline.
// Buffers come from free if there are any. It ends early, without an error, if stop is set.
func eachBlock(ctx context.Context, r io.Reader, free chan []byte, stop *atomic.Bool, do func([]byte)) error {
	var rest []byte // what follows the last newline
	for !stop.Load() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var block []byte
		select {
		case block = <-free:
		default:
			block = make([]byte, 0, blockBytes)
		}
		block = append(block, rest...)
		rest = nil
		block, err := fill(r, block)
		end := errors.Is(err, io.EOF)
		cut := bytes.LastIndexByte(block, '\n') + 1
		if end {
			cut = len(block)
		}
		if cut == 0 && err == nil {
			return errLongLine
		}
		rest = append(rest, block[cut:]...)
		if cut > 0 {
			do(block[:cut])
		}
		if end {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill reads until block's capacity is used; at the end of r it returns io.EOF itself.
func fill(r io.Reader, block []byte) ([]byte, error) {
	for len(block) < cap(block) {
		n, err := r.Read(block[len(block):cap(block)])
		block = block[:len(block)+n]
		if err != nil {
			return block, err
		}
	}
	return block, nil
}

// countLines returns the number of lines of a block; the last may lack its newline.
func countLines(block []byte) int {
	n := bytes.Count(block, []byte{'\n'})
	if len(block) > 0 && block[len(block)-1] != '\n' {
		n++
	}
	return n
}
