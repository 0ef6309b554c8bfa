package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/saint-gnn/saint/loader"
)

// The fields of Flight's FlightData message (Flight.proto) as protobuf tags: the number of
// the field times 8, plus 2 for bytes.
const (
	tagDataHeader  = 2<<3 | 2
	tagAppMetadata = 3<<3 | 2
	tagDataBody    = 1000<<3 | 2
	wireBytes      = 2
)

// codec is gRPC's protobuf codec, except that FlightData with a body goes out without a
// copy and comes in with one.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if out, ok := v.(*outgoing); ok {
		return out.marshal(), nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if in, ok := v.(*incoming); ok {
		return in.unmarshal(data)
	}
	return c.CodecV2.Unmarshal(data, v)
}

// outgoing is a FlightData message that is about to be sent.
type outgoing struct {
	header []byte
	app    []byte
	body   [][]byte
	// cargo owns the body; nil where there is none.
	cargo *cargo
}

// cargo is a batch in transport. gRPC holds references on its buffers until they are on the
// wire, also after SendMsg returned.
type cargo struct {
	refs  atomic.Int32
	batch *loader.Batch
	hold  *hold
}

// Get is part of mem.BufferPool; gRPC never asks a buffer's pool for another one.
func (c *cargo) Get(n int) *[]byte { b := make([]byte, n); return &b }

// Put is part of mem.BufferPool: a buffer is on the wire.
func (c *cargo) Put(*[]byte) { c.unref() }

func (c *cargo) unref() {
	if c.refs.Add(-1) == 0 {
		c.hold.landed(c)
	}
}

// hold is what a stream has in transport.
type hold struct {
	mu     sync.Mutex
	cargo  map[*cargo]struct{}
	closed bool
	empty  chan struct{} // closed when the hold is closed and empty
}

func newHold() *hold { return &hold{cargo: map[*cargo]struct{}{}, empty: make(chan struct{})} }

func (h *hold) load(b *loader.Batch) *cargo {
	c := &cargo{batch: b, hold: h}
	c.refs.Store(1) // of the sender
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cargo[c] = struct{}{}
	return c
}

func (h *hold) landed(c *cargo) {
	h.mu.Lock()
	_, mine := h.cargo[c]
	delete(h.cargo, c)
	if mine && h.closed && len(h.cargo) == 0 {
		close(h.empty)
	}
	h.mu.Unlock()
	if mine {
		c.batch.Release()
	}
}

// close says that nothing more is loaded; what it returns is closed when all has landed.
func (h *hold) close() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if len(h.cargo) == 0 {
		close(h.empty)
	}
	return h.empty
}

// abandon releases what the transport never gave back, as happens when a connection breaks.
// The pipeline must be closed, so that nobody writes to the memory any more.
func (h *hold) abandon() {
	h.mu.Lock()
	var left []*cargo
	for c := range h.cargo {
		left = append(left, c)
	}
	clear(h.cargo)
	h.mu.Unlock()
	for _, c := range left {
		c.batch.Release()
	}
}

// marshal frames the message. Pieces above gRPC's pooling threshold are passed on as they
// are, smaller ones are copied behind the piece before them.
func (o *outgoing) marshal() mem.BufferSlice {
	size := 0
	for _, p := range o.body {
		size += len(p)
	}
	const frame = 64 // tags and lengths
	head := make([]byte, 0, len(o.header)+len(o.app)+frame)
	head = appendBytes(head, tagDataHeader, o.header)
	if len(o.app) > 0 {
		head = appendBytes(head, tagAppMetadata, o.app)
	}
	if size == 0 {
		return mem.BufferSlice{mem.SliceBuffer(head)}
	}
	head = binary.AppendUvarint(head, tagDataBody)
	small := binary.AppendUvarint(head, uint64(size))
	var out mem.BufferSlice
	flush := func() {
		if len(small) > 0 {
			out = append(out, mem.SliceBuffer(small))
			small = nil
		}
	}
	for _, p := range o.body {
		if mem.IsBelowBufferPoolingThreshold(cap(p)) || mem.IsBelowBufferPoolingThreshold(len(p)) {
			small = append(small, p...)
			continue
		}
		flush()
		o.cargo.refs.Add(1)
		out = append(out, mem.NewBuffer(&p, o.cargo))
	}
	flush()
	return out
}

func appendBytes(dst []byte, tag uint64, b []byte) []byte {
	dst = binary.AppendUvarint(dst, tag)
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// incoming receives FlightData messages into memory that it reuses.
type incoming struct {
	header, app []byte
	words       []uint64 // the body's memory, so that it is aligned
	body        []byte
}

var errTruncatedMessage = errors.New("FlightData message is truncated")

// unmarshal reads a message from untrusted bytes. It allocates at most what has arrived.
func (m *incoming) unmarshal(data mem.BufferSlice) error {
	m.header, m.app, m.body = m.header[:0], m.app[:0], m.body[:0]
	r := data.Reader()
	defer r.Close() //nolint:errcheck // it frees references and cannot fail
	for r.Remaining() > 0 {
		tag, err := binary.ReadUvarint(r)
		if err != nil {
			return errTruncatedMessage
		}
		if tag&7 != wireBytes {
			return fmt.Errorf("FlightData message has a field of wire type %d", tag&7)
		}
		size, err := binary.ReadUvarint(r)
		if err != nil || size > uint64(r.Remaining()) {
			return errTruncatedMessage
		}
		n := int(size)
		switch tag {
		case tagDataHeader:
			m.header, err = readInto(r, m.header, n)
		case tagAppMetadata:
			m.app, err = readInto(r, m.app, n)
		case tagDataBody:
			err = m.readBody(r, n)
		default:
			_, err = r.Discard(n)
		}
		if err != nil {
			return errTruncatedMessage
		}
	}
	return nil
}

func readInto(r io.Reader, dst []byte, n int) ([]byte, error) {
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	_, err := io.ReadFull(r, dst)
	return dst, err
}

func (m *incoming) readBody(r io.Reader, n int) error {
	if words := (n + 7) / 8; len(m.words) < words {
		m.words = nil // the old one may go first
		m.words = make([]uint64, words+words/8)
	}
	m.body = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m.words))), 8*len(m.words))[:n]
	_, err := io.ReadFull(r, m.body)
	return err
}
