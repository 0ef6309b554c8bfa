package arrowrec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/klauspost/compress/zstd"
)

const (
	slotBatchBuffers  = 8  // position in the vtable of Arrow's RecordBatch (Message.fbs)
	bytesOfBuffer     = 16 // offset and length
	codecZstd         = 1
	bytesOfLength     = 8 // in front of every compressed buffer
	maxBuffersOfBatch = 1 << 16
	// A compressed body may unpack to much more than it has, but not without limit.
	unpackFactor, unpackSlack = 64, 256 << 20
	// The decoder allocates a window, which need not be larger than what it decodes.
	maxWindow = 8 << 20
)

// allowUnpacked lets the record that follows allocate what its compressed body stands for.
func (m *messages) allowUnpacked(header []byte) error {
	unpacked, err := unpackedBytes(header, m.body)
	m.budget.left += budgetFactor * int(unpacked)
	return err
}

// unpackedBytes returns how many bytes the compressed buffers of a record batch promise to
// unpack to; 0 for a batch that is not compressed. It panics on offsets outside the header.
func unpackedBytes(header, body []byte) (int64, error) {
	batch, err := messageHeader(header)
	if err != nil {
		return 0, err
	}
	at := flatbuffers.UOffsetT(batch.Offset(slotBatchCompression))
	if at == 0 {
		return 0, nil
	}
	codec := flatbuffers.Table{Bytes: header, Pos: batch.Indirect(batch.Pos + at)}
	isZstd := codec.GetInt8Slot(slotCompressionCodec, 0) == codecZstd
	at = flatbuffers.UOffsetT(batch.Offset(slotBatchBuffers))
	if at == 0 {
		return 0, nil
	}
	start, n := batch.Vector(at), batch.VectorLen(at)
	if n > maxBuffersOfBatch {
		return 0, fmt.Errorf("a record batch with %d buffers, want at most %d", n, maxBuffersOfBatch)
	}
	total, most := int64(0), unpackSlack+unpackFactor*int64(len(body))
	for i := range n {
		pos := start + flatbuffers.UOffsetT(i*bytesOfBuffer)
		offset, length := batch.GetInt64(pos), batch.GetInt64(pos+8)
		if length == 0 {
			continue
		}
		if offset < 0 || length < bytesOfLength || offset > int64(len(body)) || length > int64(len(body))-offset {
			return 0, fmt.Errorf("compressed buffer %d has %d bytes from byte %d on, but the message has %d", i, length, offset, len(body))
		}
		size, err := unpackedBuffer(body[offset:offset+length], isZstd)
		if err != nil {
			return 0, fmt.Errorf("compressed buffer %d: %w", i, err)
		}
		if total += size; size > most || total > most {
			return 0, fmt.Errorf("compressed buffer %d promises %d bytes, which is out of proportion to its message of %d", i, size, len(body))
		}
	}
	return total, nil
}

// unpackedBuffer returns how many bytes a buffer promises to unpack to.
func unpackedBuffer(buffer []byte, isZstd bool) (int64, error) {
	size := int64(binary.LittleEndian.Uint64(buffer))
	if size == -1 { // it is not compressed
		return int64(len(buffer) - bytesOfLength), nil
	}
	if size < 0 {
		return 0, fmt.Errorf("it promises %d bytes", size)
	}
	if !isZstd {
		return size, nil
	}
	if err := checkZstd(buffer[bytesOfLength:], size); err != nil {
		return 0, fmt.Errorf("zstd: %w", err)
	}
	return size, nil
}

// checkZstd refuses data that asks the decoder for more memory than size bytes need. Writers
// make one frame of a buffer; a further one could come with any window of its own.
func checkZstd(data []byte, size int64) error {
	var frame zstd.Header
	rest, err := frame.DecodeAndStrip(data)
	if err != nil {
		return err
	}
	window := frame.WindowSize
	if frame.SingleSegment {
		window = frame.FrameContentSize
	}
	switch {
	case frame.Skippable:
		return errors.New("a frame that holds no data")
	case window > uint64(max(maxWindow, size)):
		return fmt.Errorf("a window of %d bytes for %d", window, size)
	}
	rest, err = afterBlocks(rest)
	if err != nil {
		return err
	}
	if frame.HasCheckSum {
		rest = rest[min(4, len(rest)):]
	}
	if rest = bytes.TrimLeft(rest, "\x00"); len(rest) > 0 { // what a buffer is padded with may count
		return fmt.Errorf("%d bytes after the first frame", len(rest))
	}
	return nil
}

// afterBlocks returns what follows the blocks of a frame (RFC 8878, section 3.1.1.2).
func afterBlocks(data []byte) ([]byte, error) {
	const bytesOfHeader, runLength = 3, 1
	for {
		if len(data) < bytesOfHeader {
			return nil, io.ErrUnexpectedEOF
		}
		header := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
		last, kind, length := header&1 == 1, header>>1&3, header>>3
		if kind == runLength { // the length of the run, which one byte stands for
			length = 1
		}
		data = data[bytesOfHeader:]
		if length > len(data) {
			return nil, io.ErrUnexpectedEOF
		}
		if data = data[length:]; last {
			return data, nil
		}
	}
}
