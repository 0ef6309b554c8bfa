package arrowrec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// SmallPiece is the size below which FileParts copies: scratch memory of the Arrow library is
// smaller, columns worth aliasing are larger.
const SmallPiece = 64 << 10

// catcher is a file that keeps what is written to it in pieces.
type catcher struct {
	pieces [][]byte
	pos    int64
}

func (c *catcher) Write(b []byte) (int, error) {
	c.pos += int64(len(b))
	last := len(c.pieces) - 1
	switch {
	case len(b) >= SmallPiece:
		c.pieces = append(c.pieces, b[:len(b):len(b)], nil)
	case last < 0:
		c.pieces = append(c.pieces, append([]byte(nil), b...))
	default: // the last piece is never one of the record's
		c.pieces[last] = append(c.pieces[last], b...)
	}
	return len(b), nil
}

// Seek tells the position, which is all that a writer of IPC files asks for.
func (c *catcher) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("arrowrec: the file cannot seek")
	}
	return c.pos, nil
}

// FileParts returns the bytes of an Arrow IPC file (the random-access format) that holds one
// record, in pieces. Columns of SmallPiece bytes and more are not copied: each is a piece
// of its own, the memory of rec, which is not read.
func FileParts(rec arrow.Record) ([][]byte, error) {
	var c catcher
	w, err := ipc.NewFileWriter(&c, ipc.WithSchema(rec.Schema()))
	if err != nil {
		return nil, err
	}
	if err := w.Write(rec); err != nil {
		return nil, err
	}
	return c.pieces, w.Close()
}

const fileMagic = "ARROW1\x00\x00"

// SplitFile finds the schema's header, the record's header and the record's body in a file
// that [FileParts] made, for a [Decoder]. It trusts no length, copies nothing, and does not
// look at the footer.
func SplitFile(b []byte) (schema, header, body []byte, err error) {
	if len(b) < len(fileMagic) || string(b[:len(fileMagic)]) != fileMagic {
		return nil, nil, nil, errors.New("not an Arrow IPC file")
	}
	b = b[len(fileMagic):]
	if schema, b, err = cutHeader(b); err != nil {
		return nil, nil, nil, fmt.Errorf("schema message: %w", err)
	}
	if header, body, err = cutHeader(b); err != nil {
		return nil, nil, nil, fmt.Errorf("record message: %w", err)
	}
	return schema, header, body, nil
}

// cutHeader takes the framed header of a message off b.
func cutHeader(b []byte) (header, rest []byte, err error) {
	const frame = 8
	if len(b) < frame || binary.LittleEndian.Uint32(b) != continuation {
		return nil, nil, errors.New("header is missing")
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n == 0 || n > maxHeader || n > int64(len(b)-frame) || n%8 != 0 {
		return nil, nil, fmt.Errorf("header of %d bytes", n)
	}
	return b[frame : frame+n : frame+n], b[frame+n:], nil
}
