package arrowrec

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// Encoder turns records into the two parts of IPC messages, for transports that frame
// messages themselves (Arrow Flight). Bodies are not copied. Not safe for concurrent use.
type Encoder struct {
	schema *arrow.Schema
	ipc    *ipc.Writer
	last   parts
}

// parts catches the payloads that an ipc.Writer makes.
type parts struct {
	header []byte
	body   [][]byte
}

func (p *parts) Start() error { return nil }
func (p *parts) Close() error { return nil }

func (p *parts) WritePayload(payload ipc.Payload) error {
	meta := payload.Meta()
	defer meta.Release()
	p.header, p.body = meta.Bytes(), p.body[:0]
	return payload.SerializeBody(p)
}

// Write keeps b itself: SerializeBody hands out the columns' own memory and constant padding.
func (p *parts) Write(b []byte) (int, error) {
	p.body = append(p.body, b)
	return len(b), nil
}

// NewEncoder returns an encoder of records of that schema.
func NewEncoder(schema *arrow.Schema) *Encoder {
	e := &Encoder{schema: schema}
	e.ipc = ipc.NewWriterWithPayloadWriter(&e.last, ipc.WithSchema(schema))
	return e
}

// Schema returns the header of the schema message, which has no body.
func (e *Encoder) Schema() ([]byte, error) {
	var p parts
	err := ipc.NewWriterWithPayloadWriter(&p, ipc.WithSchema(e.schema)).Close()
	return p.header, err
}

// Encode returns the header of the record's message and the pieces of its body, which are
// the memory of rec. The list of pieces is valid until the next call.
func (e *Encoder) Encode(rec arrow.Record) (header []byte, body [][]byte, err error) {
	if err := e.ipc.Write(rec); err != nil {
		return nil, nil, err
	}
	return e.last.header, e.last.body, nil
}

// ArrowSchema returns the schema of the records.
func (e *Encoder) ArrowSchema() *arrow.Schema { return e.schema }
