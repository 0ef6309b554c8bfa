package arrowrec

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
)

// Writer writes batches as an Arrow IPC stream and hashes the bytes on their way. It is
// not safe for concurrent use.
type Writer struct {
	buf  *bufio.Writer
	ipc  *ipc.Writer
	hash hash.Hash
	n    int64
}

// NewWriter returns a Writer of records of that schema. It does not close w.
func NewWriter(w io.Writer, schema *arrow.Schema) *Writer {
	out := &Writer{buf: bufio.NewWriterSize(w, 1<<20), hash: sha256.New()}
	out.ipc = ipc.NewWriter(io.MultiWriter(out.hash, counter{&out.n}, out.buf), ipc.WithSchema(schema))
	return out
}

// Write appends a record. The record may be released afterwards.
func (w *Writer) Write(rec arrow.Record) error { return w.ipc.Write(rec) }

// Close writes the end-of-stream mark and flushes. A stream without it counts as truncated.
func (w *Writer) Close() error {
	if err := w.ipc.Close(); err != nil {
		return err
	}
	return w.buf.Flush()
}

// Sum256 returns the SHA-256 (hex) of everything written so far; after Close that is the
// sum of the whole stream.
func (w *Writer) Sum256() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// Bytes returns the number of bytes written so far.
func (w *Writer) Bytes() int64 { return w.n }

type counter struct{ n *int64 }

func (c counter) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return len(p), nil
}

// Reader reads the stream of a Writer, or of any other Arrow implementation that keeps to
// the schema and does not compress, from untrusted bytes: it allocates in proportion to
// the bytes that really arrive. Its errors are *formats.InputError with the path given to
// NewReader and the offset of the message at fault. Not safe for concurrent use.
type Reader struct {
	path     string
	messages *messages
	ipc      *ipc.Reader
	viewer   *Viewer
	rec      arrow.Record
	row      int
}

// NewReader reads the schema. The path stands in errors only.
func NewReader(r io.Reader, path string) (*Reader, error) {
	in := &Reader{path: path, messages: &messages{r: bufio.NewReader(r)}}
	in.messages.budget.Allocator = memory.DefaultAllocator
	var err error
	in.ipc, err = ipc.NewReaderFromMessageReader(in.messages, ipc.WithAllocator(&in.messages.budget))
	if err != nil {
		return nil, in.fail(err)
	}
	if in.viewer, err = NewViewer(in.ipc.Schema()); err != nil {
		return nil, in.fail(err)
	}
	return in, nil
}

// Meta returns what the schema says about every batch.
func (r *Reader) Meta() Meta { return r.viewer.Meta() }

// Next returns the next batch, valid until the next call, or io.EOF after the last.
func (r *Reader) Next() (Row, error) {
	for r.rec == nil || int64(r.row) >= r.rec.NumRows() {
		r.rec, r.row = nil, 0
		if !r.ipc.Next() {
			if err := r.ipc.Err(); err != nil {
				return Row{}, r.fail(err)
			}
			return Row{}, io.EOF
		}
		r.rec = r.ipc.Record()
	}
	row, err := r.viewer.View(r.rec, r.row)
	if err != nil {
		return Row{}, r.fail(err)
	}
	r.row++
	return row, nil
}

// Close frees the current record.
func (r *Reader) Close() { r.ipc.Release() }

func (r *Reader) fail(err error) error {
	// The reason as it was given here is clearer than what the Arrow reader wraps it in.
	if r.messages.err != nil {
		err = r.messages.err
	}
	return &formats.InputError{Path: r.path, Offset: r.messages.start, Err: fmt.Errorf("batch stream: %w", err)}
}

const (
	continuation = 0xffffffff
	// A schema takes about 3 KiB and a record's header 1 KiB.
	maxHeader = 1 << 20
	readStep  = 1 << 20
	// An honest record asks for its body once, each buffer rounded up to 64 bytes.
	budgetFactor, budgetSlack = 2, 64 << 10
)

// messages splits a stream into IPC messages like the Arrow library's own reader, but
// believes no length before the bytes are there.
type messages struct {
	r         *bufio.Reader
	pos       int64
	start     int64 // of the current message
	body      []byte
	budget    budget
	hasSchema bool
	// compressed bodies are allowed.
	compressed bool
	err        error
}

// Retain is part of ipc.MessageReader; the garbage collector owns the memory here.
func (m *messages) Retain() {}

// Release is part of ipc.MessageReader.
func (m *messages) Release() {}

// Message returns the next message, valid until the next call, io.EOF after the mark that
// ends a stream and io.ErrUnexpectedEOF where bytes are missing.
func (m *messages) Message() (msg *ipc.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("message header is damaged (%v)", p)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			m.err = err
		}
	}()
	m.start = m.pos
	length, err := m.headerLength()
	if err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, io.EOF
	}
	if length > maxHeader {
		return nil, fmt.Errorf("message header of %d bytes, want at most %d", length, maxHeader)
	}
	header, err := m.read(nil, int64(length))
	if err != nil {
		return nil, err
	}
	meta := memory.NewBufferBytes(header)
	size := ipc.NewMessage(meta, memory.NewBufferBytes(nil)).BodyLen()
	if size < 0 {
		return nil, fmt.Errorf("message body of %d bytes", size)
	}
	if m.body, err = m.read(m.body[:0], size); err != nil {
		return nil, err
	}
	m.budget.left = budgetFactor*int(size) + budgetSlack
	msg = ipc.NewMessage(meta, memory.NewBufferBytes(m.body))
	want := ipc.MessageRecordBatch
	if !m.hasSchema {
		want = ipc.MessageSchema
	}
	switch {
	case msg.Type() == ipc.MessageDictionaryBatch:
		return nil, errors.New("a column is encoded by a dictionary (categories), which is not supported; write its values themselves")
	case msg.Type() != want:
		return nil, fmt.Errorf("message of type %v, want %v", msg.Type(), want)
	case m.hasSchema && !m.compressed:
		err = checkRecordHeader(header)
	case m.hasSchema:
		err = m.allowUnpacked(header)
	default:
		err = checkSchemaHeader(header)
	}
	if err != nil {
		return nil, err
	}
	m.hasSchema = true
	return msg, nil
}

// headerLength reads the framing of a message; 0 ends the stream.
func (m *messages) headerLength() (uint32, error) {
	word, err := m.word()
	if err == nil && word == continuation {
		word, err = m.word()
	}
	return word, err
}

func (m *messages) word() (uint32, error) {
	var b [4]byte
	n, err := io.ReadFull(m.r, b[:])
	m.pos += int64(n)
	if err != nil {
		return 0, truncated(err, 4, int64(n))
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// read appends size bytes to dst, growing it only as bytes arrive.
func (m *messages) read(dst []byte, size int64) ([]byte, error) {
	for got := int64(0); got < size; {
		step := min(size-got, max(readStep, got))
		at := len(dst)
		dst = append(dst, make([]byte, step)...)
		n, err := io.ReadFull(m.r, dst[at:])
		m.pos += int64(n)
		got += int64(n)
		if err != nil {
			return dst, truncated(err, size, got)
		}
	}
	return dst, nil
}

func truncated(err error, want, got int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file is truncated: %d bytes of %d left: %w", got, want, io.ErrUnexpectedEOF)
	}
	return err
}

// budget is an allocator that a damaged record cannot drive beyond its own size.
type budget struct {
	memory.Allocator
	left int
}

// Allocate panics beyond the budget; the Arrow reader turns panics into errors.
func (b *budget) Allocate(size int) []byte {
	b.take(size)
	return b.Allocator.Allocate(size)
}

// Reallocate panics beyond the budget.
func (b *budget) Reallocate(size int, old []byte) []byte {
	b.take(size)
	return b.Allocator.Reallocate(size, old)
}

func (b *budget) take(size int) {
	if size < 0 || size > b.left {
		panic("a column is larger than its message; compressed streams are not supported")
	}
	b.left -= size
}
