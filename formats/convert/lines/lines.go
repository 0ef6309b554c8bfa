// Package lines parses text on several goroutines: it cuts a stream into blocks of whole lines,
// and hands the results on in the order of the text, with exact line numbers for mistakes.
package lines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/sourcegraph/conc/stream"

	"github.com/saint-gnn/saint/formats"
)

// BlockBytes is the usual size of the blocks that are parsed at a time, and the greatest
// length of a line. A scan holds about four of them a worker.
const BlockBytes = 1 << 20

// Mistake is what is wrong in a block: line and column count from 1 within it; no column is 0.
type Mistake struct {
	Line, Col int
	Err       error
}

// Scanner says how to scan one text.
type Scanner struct {
	Path    string // stands in errors
	Workers int    // goroutines that parse
	Block   int    // bytes of a block; 0: BlockBytes
	// Broken turns a failure to read behind so many lines into an error for the user.
	Broken func(lines int64, err error) error
	// After is told the number of lines after each block, in order.
	After func(lines int64)
	// Skipped is how many lines of the text somebody else has read.
	Skipped int64
}

// Scan calls parse for blocks of whole lines on several goroutines, and take for the results
// one at a time in the order of the text. parse may change its argument but must not keep
// it. It returns the number of lines, with those skipped. The error is that of the first line
// that has one.
func Scan[T any](ctx context.Context, s *Scanner, r io.Reader, parse func([]byte) (T, *Mistake), take func(T) error) (int64, error) {
	var (
		lines  = s.Skipped // owned by the callbacks, which run one at a time
		failed error
		stop   atomic.Bool
	)
	size := s.Block
	if size == 0 {
		size = BlockBytes
	}
	free := make(chan []byte, 4*s.Workers+4)
	fail := func(err error) { failed = err; stop.Store(true) }
	tasks := stream.New().WithMaxGoroutines(s.Workers)
	err := eachBlock(ctx, r, size, free, &stop, func(block []byte) {
		tasks.Go(func() stream.Callback {
			n := int64(Count(block))
			result, bad := parse(block)
			return func() {
				select {
				case free <- block[:0]:
				default:
				}
				switch {
				case failed != nil:
				case bad != nil:
					fail(&formats.InputError{Path: s.Path, Line: int(lines) + bad.Line, Col: bad.Col, Offset: -1, Err: bad.Err})
				default:
					if err := take(result); err != nil {
						fail(err)
						return
					}
					lines += n
					s.After(lines)
				}
			}
		})
	})
	tasks.Wait()
	switch {
	case failed != nil:
		return lines, failed
	case errors.Is(err, errLongLine):
		return lines, &formats.InputError{Path: s.Path, Line: int(lines) + 1, Offset: -1, Err: fmt.Errorf("the line is longer than %d bytes", size)}
	case err != nil && ctx.Err() == nil:
		return lines, s.Broken(lines, err)
	}
	return lines, err
}

var errLongLine = errors.New("a line is longer than a block")

// eachBlock calls do for blocks of at most size bytes that end with a line; only the last may lack its newline.
// Buffers come from free if there are any. It ends early, without an error, if stop is set.
func eachBlock(ctx context.Context, r io.Reader, size int, free chan []byte, stop *atomic.Bool, do func([]byte)) error {
	var rest []byte // what follows the last newline
	for !stop.Load() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var block []byte
		select {
		case block = <-free:
		default:
			block = make([]byte, 0, size)
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

// Count returns the number of lines of a block; the last may lack its newline.
func Count(block []byte) int {
	n := bytes.Count(block, []byte{'\n'})
	if len(block) > 0 && block[len(block)-1] != '\n' {
		n++
	}
	return n
}
