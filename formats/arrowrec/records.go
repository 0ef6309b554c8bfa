package arrowrec

import (
	"bufio"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Records reads the records of an Arrow IPC stream of any schema from untrusted bytes, with
// the guards of Reader: it allocates in proportion to the bytes that arrive, and refuses
// dictionaries. Bodies may be compressed with LZ4 or Zstandard. Columns are not looked into.
// Not safe for concurrent use.
type Records struct{ in *Reader }

// NewRecords reads the schema. The path stands in errors only, which are *formats.InputError.
func NewRecords(r io.Reader, path string) (*Records, error) {
	in := &Reader{path: path, messages: &messages{r: bufio.NewReaderSize(r, 1<<20), compressed: true}}
	in.messages.budget.Allocator = memory.DefaultAllocator
	var err error
	in.ipc, err = ipc.NewReaderFromMessageReader(in.messages, ipc.WithAllocator(&in.messages.budget))
	if err != nil {
		return nil, in.fail(err)
	}
	return &Records{in}, nil
}

// Schema returns the stream's schema.
func (r *Records) Schema() *arrow.Schema { return r.in.ipc.Schema() }

// Next returns the next record, valid until the next call, or io.EOF after the last.
func (r *Records) Next() (arrow.Record, error) {
	if !r.in.ipc.Next() {
		if err := r.in.ipc.Err(); err != nil {
			return nil, r.in.fail(err)
		}
		return nil, io.EOF
	}
	return r.in.ipc.Record(), nil
}

// Close frees the current record.
func (r *Records) Close() { r.in.Close() }
