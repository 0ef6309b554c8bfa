// Package tfevents writes the event files that TensorBoard shows: scalars by step. A file is a row
// of records, each framed by its length and masked CRC-32C sums of length and content (the form of
// TFRecord); a record is the protobuf message tensorflow.Event.
package tfevents

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields in tensorflow's event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue = 1 // repeated Value
	valueTag     = 1 // string
	valueSimple  = 2 // float

	sessionStatus = 1 // enum
	sessionStart  = 1 // its value for a start
)

// fileVersion stands in the first record; from this one on readers honour Restart.
const fileVersion = "brain.Event:2"

// Scalar is one value under a name; a slash in it makes a group.
type Scalar struct {
	Tag   string
	Value float64 // stored in single precision
}

// Writer writes one file. It is not safe for concurrent use.
type Writer struct {
	w       io.Writer
	buf     []byte // frames
	event   []byte
	summary []byte
	value   []byte
}

// NewWriter begins a file at the given time.
func NewWriter(w io.Writer, now time.Time) (*Writer, error) {
	t := &Writer{w: w}
	t.begin(now, 0)
	t.event = protowire.AppendTag(t.event, eventFileVersion, protowire.BytesType)
	t.event = protowire.AppendString(t.event, fileVersion)
	return t, t.write()
}

// Restart says that steps from step on are trained again: readers drop what earlier files of the
// folder hold of them.
func (t *Writer) Restart(step int64, now time.Time) error {
	t.begin(now, step)
	t.value = protowire.AppendTag(t.value[:0], sessionStatus, protowire.VarintType)
	t.value = protowire.AppendVarint(t.value, sessionStart)
	t.event = protowire.AppendTag(t.event, eventSessionLog, protowire.BytesType)
	t.event = protowire.AppendBytes(t.event, t.value)
	return t.write()
}

// Scalars writes values of a step in one record, with one Write, so that a reader beside it sees
// all of them or a record that is not complete yet. NaN are left out.
func (t *Writer) Scalars(step int64, now time.Time, values ...Scalar) error {
	t.summary = t.summary[:0]
	for _, v := range values {
		if math.IsNaN(v.Value) {
			continue
		}
		t.value = protowire.AppendTag(t.value[:0], valueTag, protowire.BytesType)
		t.value = protowire.AppendString(t.value, v.Tag)
		t.value = protowire.AppendTag(t.value, valueSimple, protowire.Fixed32Type)
		t.value = protowire.AppendFixed32(t.value, math.Float32bits(float32(v.Value)))
		t.summary = protowire.AppendTag(t.summary, summaryValue, protowire.BytesType)
		t.summary = protowire.AppendBytes(t.summary, t.value)
	}
	if len(t.summary) == 0 {
		return nil
	}
	t.begin(now, step)
	t.event = protowire.AppendTag(t.event, eventSummary, protowire.BytesType)
	t.event = protowire.AppendBytes(t.event, t.summary)
	return t.write()
}

// begin starts an event.
func (t *Writer) begin(now time.Time, step int64) {
	t.event = protowire.AppendTag(t.event[:0], eventWallTime, protowire.Fixed64Type)
	t.event = protowire.AppendFixed64(t.event, math.Float64bits(float64(now.UnixMicro())/1e6))
	t.event = protowire.AppendTag(t.event, eventStep, protowire.VarintType)
	t.event = protowire.AppendVarint(t.event, uint64(step))
}

// write frames the event.
func (t *Writer) write() error {
	t.buf = binary.LittleEndian.AppendUint64(t.buf[:0], uint64(len(t.event)))
	t.buf = binary.LittleEndian.AppendUint32(t.buf, masked(t.buf))
	t.buf = append(t.buf, t.event...)
	t.buf = binary.LittleEndian.AppendUint32(t.buf, masked(t.event))
	if _, err := t.w.Write(t.buf); err != nil {
		return fmt.Errorf("event file: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked returns the sum as records hold it: turned and moved, so that the sum of data which
// contains sums stays a good one.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// FileName returns the name of a file that begins at now; number tells files of one second
// apart. TensorBoard knows event files by "tfevents" and reads those of a folder in the order of
// their names.
func FileName(now time.Time, number int) string {
	return fmt.Sprintf("events.out.tfevents.%010d.%04d.saint", now.Unix(), number)
}
