package remote

import (
	"bytes"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc/mem"

	"github.com/saint-gnn/saint/loader"
)

// flat returns what is on the wire.
func flat(s mem.BufferSlice) []byte {
	b := s.Materialize()
	s.Free()
	return b
}

func TestMessagesAreFlightData(t *testing.T) {
	big := bytes.Repeat([]byte{1, 2, 3, 4}, 1000)
	released := 0
	h := newHold()
	c := h.load(loader.NewBatch(func(*loader.Batch) { released++ }))
	out := &outgoing{header: []byte("header"), app: []byte("app"), body: [][]byte{big, []byte("small"), make([]byte, 3), big[:2000]}, cargo: c}
	wire, err := newCodec().Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	c.unref() // as the sender does
	if released != 0 {
		t.Error("the batch is released while its memory is in transport")
	}
	raw := flat(wire)
	if released != 1 {
		t.Errorf("the batch is released %d times, want once", released)
	}
	select {
	case <-h.close():
	default:
		t.Error("the hold is not empty")
	}
	h.abandon()
	if released != 1 {
		t.Error("abandon releases what has landed")
	}
	var want flight.FlightData
	if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, &want); err != nil {
		t.Fatal(err)
	}
	body := bytes.Join(out.body, nil)
	if !bytes.Equal(want.GetDataHeader(), out.header) || !bytes.Equal(want.GetAppMetadata(), out.app) || !bytes.Equal(want.GetDataBody(), body) {
		t.Error("protobuf reads another message than was written")
	}
	var in incoming
	for range 2 { // the second one into the same memory
		if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw[:7]), mem.SliceBuffer(raw[7:])}, &in); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in.header, out.header) || !bytes.Equal(in.app, out.app) || !bytes.Equal(in.body, body) {
			t.Error("unmarshal reads another message than was written")
		}
	}
}

func TestAbandonedCargoIsReleasedOnce(t *testing.T) {
	released := 0
	h := newHold()
	c := h.load(loader.NewBatch(func(*loader.Batch) { released++ }))
	h.close()
	h.abandon()
	c.unref() // the transport lets go late
	if released != 1 {
		t.Errorf("released %d times, want once", released)
	}
}

func FuzzFlightData(f *testing.F) {
	out := &outgoing{header: []byte("header"), app: []byte("app"), body: [][]byte{[]byte("body")}}
	f.Add(flat(out.marshal()), 3)
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0x0f}, 1)
	f.Add([]byte{0xc2, 0x3e, 0x80, 0x80, 0x80, 0x80, 0x08, 1}, 2)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		var in incoming
		err := in.unmarshal(mem.BufferSlice{mem.SliceBuffer(b[:cut]), mem.SliceBuffer(b[cut:])})
		if n := cap(in.header) + cap(in.app) + 8*len(in.words); n > 3*len(b)+64 {
			t.Errorf("%d bytes allocated for a message of %d", n, len(b))
		}
		if err != nil {
			return
		}
		var want flight.FlightData
		if newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(b))}, &want) == nil &&
			(!bytes.Equal(in.header, want.GetDataHeader()) || !bytes.Equal(in.body, want.GetDataBody())) {
			t.Error("unmarshal reads another message than protobuf")
		}
	})
}
