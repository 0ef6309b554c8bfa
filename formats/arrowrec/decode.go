package arrowrec

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// Positions in the vtables of Arrow's Message and RecordBatch, besides those of the schema.
const (
	slotMessageType   = 6
	slotBatchLength   = 4
	slotBatchNodes    = 6
	bytesOfFieldNode  = 16 // length and null count, int64 each
	headerRecordBatch = 3
)

// Decoder reads the IPC messages that an [Encoder] makes, from untrusted bytes and without
// copying: a batch is a view of its message's body. It wants the columns exactly as [Schema]
// lists them, as services of this version send them; [Reader] is more tolerant. It is
// immutable and safe for concurrent use.
type Decoder struct {
	meta   Meta
	layout [numColumns]columnShape
}

// columnShape says which fields and buffers of a record belong to a column.
type columnShape struct {
	node, buffer int // of the outermost array
	list         bool
	width        int64 // of a fixed-size row; 0: the list holds values
}

// NewDecoder reads the header of a schema message.
func NewDecoder(header []byte) (*Decoder, error) {
	r, err := ipc.NewReaderFromMessageReader(&oneMessage{header: header})
	if err != nil {
		return nil, fmt.Errorf("schema message: %w", err)
	}
	defer r.Release()
	s := r.Schema()
	l, err := parseLayout(s)
	if err != nil {
		return nil, err
	}
	if n := s.NumFields(); n != numColumns {
		return nil, fmt.Errorf("schema has %d columns, want %d", n, numColumns)
	}
	d := &Decoder{meta: l.meta}
	node, buffer := 0, 0
	for c := range d.layout {
		if l.at[c] != c {
			return nil, fmt.Errorf("column %s stands at position %d, want %d", columnNames[c], l.at[c], c)
		}
		shape := columnShape{node: node, buffer: buffer, list: c != colIndex}
		nodes, buffers := 1, 2 // an array of numbers: validity, values
		if shape.list {
			nodes, buffers = nodes+1, buffers+2 // a list around it: validity, offsets
		}
		if width := d.meta.rowWidth(c); width > 0 {
			shape.width = width
			nodes, buffers = nodes+1, buffers+1 // a fixed-size list between: validity
		}
		d.layout[c] = shape
		node, buffer = node+nodes, buffer+buffers
	}
	return d, nil
}

// rowWidth returns the length of the fixed-size rows of a column, 0 where it has none.
func (m *Meta) rowWidth(col int) int64 {
	switch {
	case col == colFeatures:
		return int64(max(1, m.NumFeatures))
	case col == colLabels && m.Labels == MultiLabels:
		return int64(m.NumClasses)
	default:
		return 0
	}
}

// oneMessage hands a schema header to the Arrow reader once it is known to be harmless.
type oneMessage struct {
	header []byte
	read   bool
}

func (m *oneMessage) Retain()  {}
func (m *oneMessage) Release() {}

func (m *oneMessage) Message() (msg *ipc.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("header is damaged (%v)", p)
		}
	}()
	if m.read {
		return nil, io.EOF
	}
	m.read = true
	if len(m.header) > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, want at most %d", len(m.header), maxHeader)
	}
	msg = ipc.NewMessage(memory.NewBufferBytes(m.header), memory.NewBufferBytes(nil))
	if msg.Type() != ipc.MessageSchema {
		return nil, fmt.Errorf("message of type %v, want a schema", msg.Type())
	}
	return msg, checkSchemaHeader(m.header)
}

// Meta returns what the schema says about its batches.
func (d *Decoder) Meta() Meta { return d.meta }

// Decode returns the batch of a record message as slices into body, after all checks of
// [View]. body must begin at a multiple of 8 bytes. It panics on nothing that header and
// body hold.
func (d *Decoder) Decode(header, body []byte) (r Row, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = Row{}, fmt.Errorf("record message: header is damaged (%v)", p)
		}
	}()
	c := bodyCutter{decoder: d, body: body}
	if err := c.open(header); err != nil {
		return Row{}, fmt.Errorf("record message: %w", err)
	}
	r.Index = c.index()
	r.Nodes = cutBody[int32](&c, colNodes)
	r.Indptr = cutBody[int32](&c, colIndptr)
	r.Indices = cutBody[int32](&c, colIndices)
	r.EdgeIDs = cutBody[int64](&c, colEdgeIDs)
	r.AdjNorm = cutBody[float32](&c, colAdjNorm)
	r.LossNorm = cutBody[float32](&c, colLossNorm)
	r.Features = cutBody[float32](&c, colFeatures)
	stray := 0
	switch d.meta.Labels {
	case SingleLabels:
		r.Class = cutBody[int32](&c, colLabels)
	case MultiLabels:
		r.Multi = cutBody[uint8](&c, colLabels)
	case NoLabels:
		stray = len(cutBody[int32](&c, colLabels))
	}
	if c.err == nil {
		c.err = d.meta.notCarried(&r, stray)
	}
	if c.err == nil {
		c.err = r.Check(&d.meta)
	}
	if c.err != nil {
		return Row{}, c.err
	}
	return r, nil
}

// bodyCutter takes columns out of a message's body and keeps the first error.
type bodyCutter struct {
	decoder *Decoder
	body    []byte
	table   flatbuffers.Table
	nodes   flatbuffers.UOffsetT // of the first field node
	buffers flatbuffers.UOffsetT // of the first buffer
	err     error
}

// open finds the record in its header. It panics on offsets outside the header.
func (c *bodyCutter) open(header []byte) error {
	if len(header) > maxHeader {
		return fmt.Errorf("header of %d bytes, want at most %d", len(header), maxHeader)
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(c.body)))%8 != 0 {
		return errors.New("body is not aligned to 8 bytes")
	}
	root := flatbuffers.Table{Bytes: header, Pos: flatbuffers.GetUOffsetT(header)}
	if kind := root.GetByteSlot(slotMessageType, 0); kind != headerRecordBatch {
		return fmt.Errorf("message of type %d, want a record", kind)
	}
	if err := checkRecordHeader(header); err != nil {
		return err
	}
	t, err := messageHeader(header)
	if err != nil {
		return err
	}
	if rows := t.GetInt64Slot(slotBatchLength, 0); rows != 1 {
		return fmt.Errorf("record of %d rows, want 1", rows)
	}
	c.table = t
	last := c.decoder.layout[numColumns-1]
	depth, buffers := 2, 4
	if last.width > 0 {
		depth, buffers = 3, 5
	}
	if c.nodes, err = c.structs(slotBatchNodes, last.node+depth, bytesOfFieldNode); err != nil {
		return err
	}
	c.buffers, err = c.structs(slotBatchBuffers, last.buffer+buffers, bytesOfBuffer)
	return err
}

// structs returns where a vector of n structs begins.
func (c *bodyCutter) structs(slot flatbuffers.VOffsetT, n, size int) (flatbuffers.UOffsetT, error) {
	at := flatbuffers.UOffsetT(c.table.Offset(slot))
	if at == 0 {
		return 0, errors.New("header lacks its fields or buffers")
	}
	if got := c.table.VectorLen(at); got != n {
		return 0, fmt.Errorf("header has %d fields or buffers, want %d", got, n)
	}
	start := c.table.Vector(at)
	_ = c.table.Bytes[int(start)+n*size-1] // all of it lies in the header
	return start, nil
}

func (c *bodyCutter) fail(col int, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("column "+columnNames[col]+" "+format, args...)
	}
}

// field returns the length of an array, which must have no nulls.
func (c *bodyCutter) field(col, node int) int64 {
	at := c.nodes + flatbuffers.UOffsetT(node*bytesOfFieldNode)
	n, nulls := c.table.GetInt64(at), c.table.GetInt64(at+8)
	if nulls != 0 {
		c.fail(col, "has null values")
	}
	if n < 0 {
		c.fail(col, "has %d values", n)
	}
	return n
}

// bytesAt returns a buffer of the body.
func (c *bodyCutter) bytesAt(col, buffer int) []byte {
	at := c.buffers + flatbuffers.UOffsetT(buffer*bytesOfBuffer)
	from, n := c.table.GetInt64(at), c.table.GetInt64(at+8)
	switch {
	case n == 0:
		return nil
	case from < 0 || n < 0 || from > int64(len(c.body)) || n > int64(len(c.body))-from:
		c.fail(col, "has a buffer of %d bytes at byte %d of a body of %d bytes", n, from, len(c.body))
		return nil
	case from%8 != 0:
		c.fail(col, "has a buffer that is not aligned to 8 bytes")
		return nil
	}
	return c.body[from : from+n : from+n]
}

func (c *bodyCutter) index() uint64 {
	s := c.decoder.layout[colIndex]
	b := c.bytesAt(colIndex, s.buffer+1)
	if n := c.field(colIndex, s.node); n != 1 || len(b) < 8 {
		c.fail(colIndex, "has %d values in %d bytes, want 1", n, len(b))
		return 0
	}
	return *(*uint64)(unsafe.Pointer(unsafe.SliceData(b)))
}

// cutBody returns the values of the one element of a list column.
func cutBody[T uint8 | int32 | int64 | float32](c *bodyCutter, col int) []T {
	s := c.decoder.layout[col]
	lists := c.field(col, s.node)
	offsets := elements[int32](c.bytesAt(col, s.buffer+1))
	if c.err != nil {
		return nil
	}
	if lists != 1 || len(offsets) < 2 {
		c.fail(col, "has %d lists and %d list offsets, want 1 and 2", lists, len(offsets))
		return nil
	}
	node, values := s.node+1, s.buffer+3
	from, to := int64(offsets[0]), int64(offsets[1])
	if s.width > 0 {
		if rows := c.field(col, node); to > rows {
			c.fail(col, "has list offset %d in %d rows", to, rows)
		}
		node, values = node+1, values+1
		from, to = from*s.width, to*s.width // both below 2^31 times 2^31
	}
	n := c.field(col, node)
	all := elements[T](c.bytesAt(col, values))
	if c.err == nil && (from < 0 || to < from || to > n || to > int64(len(all))) {
		c.fail(col, "has list offsets for values %d to %d, but %d values in a buffer of %d", from, to, n, len(all))
	}
	if c.err != nil || from == to {
		return nil
	}
	return all[from:to:to]
}

// elements views b, which begins at a multiple of 8 bytes, as whole values.
func elements[T any](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}
