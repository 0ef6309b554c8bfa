package edgelist

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/lines"
)

// scanText calls parse for blocks of whole lines of the text file at path, on several
// goroutines, and take for the results one at a time in order, with the number of lines
// before the block. The row that parse gets knows
// the columns and counts lines from the block's begin; parse may change the text.
func scanText[T any](ctx context.Context, path string, o textOptions, choose chooser, parse func(text []byte, r *lineRow) (T, error), take func(T, int) error, after func(int64)) error {
	f, in, err := openText(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	first, in, err := beginText(path, in, o, choose)
	if err != nil || first == nil {
		return err
	}
	before := first.line
	s := &lines.Scanner{
		Path: path, Workers: runtime.GOMAXPROCS(0), Skipped: int64(first.line),
		After: func(count int64) {
			before = int(count)
			after(count)
		},
		Block: min(maxLine, max(lines.BlockBytes, 8*first.length)),
		Broken: func(count int64, err error) error {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the file is truncated here")
			}
			return &formats.InputError{Path: path, Line: int(count) + 1, Offset: -1, Err: fmt.Errorf("cannot be read: %w", err)}
		},
	}
	_, err = lines.Scan(ctx, s, in, func(text []byte) (T, *lines.Mistake) {
		r := first.lineRow
		r.fields, r.line = make([][]byte, 0, r.columns), 0
		result, err := parse(text, &r)
		var bad *formats.InputError
		switch {
		case errors.As(err, &bad):
			return result, &lines.Mistake{Line: bad.Line, Col: bad.Col, Err: bad.Err}
		case err != nil:
			return result, &lines.Mistake{Line: max(1, r.line), Err: err}
		}
		return result, nil
	}, func(result T) error { return take(result, before) })
	return err
}

// firstLine is what the first line that is no comment says.
type firstLine struct {
	lineRow     // line is how many lines the returned text does not have any more
	length  int // bytes
}

// beginText reads up to the first line with data or names, and returns a text that goes on
// with the first line of data; nil if there is no such line.
func beginText(path string, in io.Reader, o textOptions, choose chooser) (*firstLine, io.Reader, error) {
	l := lineReader{r: bufio.NewReaderSize(in, 1<<18)}
	f := &firstLine{lineRow: lineRow{path: path}}
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil, nil, nil
		}
		f.line++
		if err != nil {
			return nil, nil, f.errorf("%w", err)
		}
		if f.line == 1 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		if line = bytes.TrimRight(line, " "); isComment(line) {
			continue
		}
		f.length = len(line)
		again := append(bytes.Clone(line), '\n')
		isHeader, err := f.start(line, o, choose)
		if err != nil || isHeader {
			return f, l.r, err
		}
		f.line--
		return f, io.MultiReader(bytes.NewReader(again), l.r), nil
	}
}

// eachIn calls take for every line of a block that is no comment.
func (r *lineRow) eachIn(text []byte, take func() error) error {
	for len(text) > 0 {
		var err error
		if text, err = r.nextIn(text, take); err != nil {
			return err
		}
	}
	return nil
}

// nextIn is eachIn for the first line; it returns the others.
func (r *lineRow) nextIn(text []byte, take func() error) (rest []byte, err error) {
	line, rest, _ := bytes.Cut(text, []byte{'\n'})
	r.line++
	if line = bytes.TrimRight(line, " \r"); isComment(line) {
		return rest, nil
	}
	if err := r.cut(line); err != nil {
		return nil, err
	}
	return rest, take()
}
