package arrowrec

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/saint-gnn/saint/formats"
)

// vectorOf writes a vector that refers n times to the same table.
func vectorOf(b *flatbuffers.Builder, table flatbuffers.UOffsetT, n int) flatbuffers.UOffsetT {
	b.StartVector(4, n, 4)
	for range n {
		b.PrependUOffsetT(table)
	}
	return b.EndVector(n)
}

// table writes a table with the given references by slot number.
func table(b *flatbuffers.Builder, slots int, refs map[int]flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartObject(slots)
	for slot, ref := range refs {
		b.PrependUOffsetTSlot(slot, ref, 0)
	}
	return b.EndObject()
}

// schemaMessage frames a schema whose fields and metadata are those vectors.
func schemaMessage(b *flatbuffers.Builder, fields, metadata flatbuffers.UOffsetT) []byte {
	schema := table(b, 4, map[int]flatbuffers.UOffsetT{1: fields, 2: metadata})
	b.StartObject(5)
	b.PrependInt16Slot(0, 4, 0) // version 5
	b.PrependByteSlot(1, 1, 0)  // header is a Schema
	b.PrependUOffsetTSlot(2, schema, 0)
	b.Finish(b.EndObject())
	header := b.FinishedBytes()
	for len(header)%8 != 0 {
		header = append(header, 0)
	}
	data := binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, uint32(len(header)))
	return append(data, header...)
}

// Small headers that stand for huge schemas are refused at once.
func TestReaderRefusesSharedParts(t *testing.T) {
	tests := map[string]func() []byte{
		"fields": func() []byte {
			b := flatbuffers.NewBuilder(0)
			field := table(b, 7, map[int]flatbuffers.UOffsetT{0: b.CreateString("f")})
			for range 6 {
				field = table(b, 7, map[int]flatbuffers.UOffsetT{5: vectorOf(b, field, 100)})
			}
			return schemaMessage(b, vectorOf(b, field, 1), 0)
		},
		"chain": func() []byte {
			b := flatbuffers.NewBuilder(0)
			field := table(b, 7, map[int]flatbuffers.UOffsetT{0: b.CreateString("f")})
			for range 10_000 {
				field = table(b, 7, map[int]flatbuffers.UOffsetT{5: vectorOf(b, field, 1)})
			}
			return schemaMessage(b, vectorOf(b, field, 1), 0)
		},
		"metadata": func() []byte {
			b := flatbuffers.NewBuilder(0)
			text := b.CreateString(string(make([]byte, 100_000)))
			pair := table(b, 2, map[int]flatbuffers.UOffsetT{0: text, 1: text})
			return schemaMessage(b, 0, vectorOf(b, pair, 100_000))
		},
	}
	for name, build := range tests {
		t.Run(name, func(t *testing.T) {
			data := build()
			start := time.Now()
			err := readAll(data)
			var bad *formats.InputError
			if !errors.Is(err, errBomb) || !errors.As(err, &bad) {
				t.Errorf("reading %d bytes = %v, want errBomb", len(data), err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("reading %d bytes took %v", len(data), d)
			}
		})
	}
}
