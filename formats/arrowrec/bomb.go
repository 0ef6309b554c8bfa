package arrowrec

import (
	"errors"
	"fmt"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Positions in the vtables of Arrow's Message, Schema, Field, KeyValue, RecordBatch and
// BodyCompression (Message.fbs, Schema.fbs of the Arrow format): 4 plus twice the field's number.
const (
	slotMessageHeader    = 8
	slotSchemaFields     = 6
	slotSchemaMetadata   = 8
	slotFieldName        = 4
	slotFieldChildren    = 14
	slotFieldMetadata    = 16
	slotKey              = 4
	slotValue            = 6
	slotBatchCompression = 10
	slotCompressionCodec = 4
	bytesOfTable         = 8
	headerExpansion      = 2
	maxSchemaFieldsDepth = 8
)

var errBomb = errors.New("schema is larger than its bytes: its parts refer to each other")

// checkSchemaHeader bounds what decoding a schema message costs. Tables and strings of a
// flatbuffer may be shared, so that a header of a few kilobytes can stand for a tree of any
// size; an honest one shares nothing. It panics on offsets outside the header.
func checkSchemaHeader(header []byte) error {
	w := schemaWalk{left: headerExpansion * len(header)}
	schema, err := messageHeader(header)
	if err != nil {
		return err
	}
	if err := w.metadata(schema, slotSchemaMetadata); err != nil {
		return err
	}
	return w.fields(schema, slotSchemaFields, maxSchemaFieldsDepth)
}

// messageHeader returns the part of a message that depends on its type. It panics on offsets
// outside the header.
func messageHeader(header []byte) (flatbuffers.Table, error) {
	message := flatbuffers.Table{Bytes: header, Pos: flatbuffers.GetUOffsetT(header)}
	at := flatbuffers.UOffsetT(message.Offset(slotMessageHeader))
	if at == 0 {
		return message, errors.New("message has no header")
	}
	return flatbuffers.Table{Bytes: header, Pos: message.Indirect(message.Pos + at)}, nil
}

// checkRecordHeader refuses compressed bodies: what they unpack to is in the hands of whoever
// wrote them. It panics on offsets outside the header.
func checkRecordHeader(header []byte) error {
	record, err := messageHeader(header)
	if err != nil {
		return err
	}
	at := flatbuffers.UOffsetT(record.Offset(slotBatchCompression))
	if at == 0 {
		return nil
	}
	compression := flatbuffers.Table{Bytes: header, Pos: record.Indirect(record.Pos + at)}
	codec := "LZ4"
	if compression.GetByteSlot(slotCompressionCodec, 0) != 0 {
		codec = "ZSTD"
	}
	return fmt.Errorf("the record is compressed (%s), which is not supported; write it without compression", codec)
}

type schemaWalk struct{ left int }

func (w *schemaWalk) take(n int) error {
	if w.left -= n; w.left < 0 {
		return errBomb
	}
	return nil
}

// vector calls visit with every table of a vector of tables.
func (w *schemaWalk) vector(t flatbuffers.Table, slot int, visit func(flatbuffers.Table) error) error {
	at := flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(slot)))
	if at == 0 {
		return nil
	}
	start, n := t.Vector(at), t.VectorLen(at)
	for i := range n {
		if err := w.take(bytesOfTable); err != nil {
			return err
		}
		pos := t.Indirect(start + flatbuffers.UOffsetT(i)*flatbuffers.SizeUOffsetT)
		if err := visit(flatbuffers.Table{Bytes: t.Bytes, Pos: pos}); err != nil {
			return err
		}
	}
	return nil
}

func (w *schemaWalk) text(t flatbuffers.Table, slot int) error {
	at := flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(slot)))
	if at == 0 {
		return nil
	}
	return w.take(len(t.ByteVector(at + t.Pos)))
}

func (w *schemaWalk) metadata(t flatbuffers.Table, slot int) error {
	return w.vector(t, slot, func(pair flatbuffers.Table) error {
		return errors.Join(w.text(pair, slotKey), w.text(pair, slotValue))
	})
}

func (w *schemaWalk) fields(t flatbuffers.Table, slot, depth int) error {
	return w.vector(t, slot, func(field flatbuffers.Table) error {
		if depth == 0 {
			return errBomb
		}
		err := errors.Join(w.text(field, slotFieldName), w.metadata(field, slotFieldMetadata))
		if err != nil {
			return err
		}
		return w.fields(field, slotFieldChildren, depth-1)
	})
}
