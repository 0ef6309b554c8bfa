package arrowrec_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
)

// messageRow is a batch with every column.
func messageRow() arrowrec.Row {
	return arrowrec.Row{
		Index: 7,
		Subgraph: formats.Subgraph{
			Nodes: []int32{2, 5, 9}, Indptr: []int32{0, 2, 3, 4}, Indices: []int32{1, 2, 0, 0}, EdgeIDs: []int64{3, 4, 8, 9},
			AdjNorm: []float32{0.5, 0.25, 1, 2}, LossNorm: []float32{1, 0, 3},
		},
		Features: []float32{1, 2, 3, 4, 5, 6},
	}
}

func messageMeta() arrowrec.Meta {
	return arrowrec.Meta{
		Dataset: "d", Sampler: "{}", Seed: 1, NumNodes: 10, NumTrainEdges: 12, BatchesPerEpoch: 2, NumFeatures: 2,
		Labels: arrowrec.NoLabels, EdgeIDs: true, Data: "d1", Norm: "n1",
	}
}

// messageCases varies what a stream carries.
func messageCases() map[string]struct {
	meta arrowrec.Meta
	row  arrowrec.Row
} {
	type one = struct {
		meta arrowrec.Meta
		row  arrowrec.Row
	}
	single, multi, bare, empty := one{messageMeta(), messageRow()}, one{messageMeta(), messageRow()}, one{messageMeta(), messageRow()}, one{meta: messageMeta()}
	single.meta.Labels, single.meta.NumClasses, single.row.Class = arrowrec.SingleLabels, 3, []int32{-1, 0, 2}
	multi.meta.Labels, multi.meta.NumClasses, multi.row.Multi = arrowrec.MultiLabels, 2, []uint8{0, 1, 1, 1, 0, 0}
	bare.meta.EdgeIDs, bare.meta.NumFeatures, bare.row.EdgeIDs, bare.row.Features = false, 0, nil, nil
	empty.row.Indptr = []int32{0}
	return map[string]one{"single": single, "multi": multi, "bare": bare, "empty": empty, "no labels": {messageMeta(), messageRow()}}
}

// aligned copies pieces to a body that begins at a multiple of 8 bytes.
func aligned(pieces [][]byte) []byte {
	body := bytes.Join(pieces, nil)
	words := make([]uint64, len(body)/8+1)
	out := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(body))
	copy(out, body)
	return out
}

func encode(t testing.TB, m arrowrec.Meta, r arrowrec.Row) (schema, header, body []byte) {
	t.Helper()
	s := arrowrec.Schema(m)
	e := arrowrec.NewEncoder(s)
	schema, err := e.Schema()
	if err != nil {
		t.Fatal(err)
	}
	rec := arrowrec.Record(s, &r)
	defer rec.Release()
	for range 2 { // the second one without a schema before it
		var pieces [][]byte
		if header, pieces, err = e.Encode(rec); err != nil {
			t.Fatal(err)
		}
		body = aligned(pieces)
	}
	return schema, header, body
}

func TestMessagesRoundTrip(t *testing.T) {
	for name, c := range messageCases() {
		t.Run(name, func(t *testing.T) {
			schema, header, body := encode(t, c.meta, c.row)
			d, err := arrowrec.NewDecoder(schema)
			if err != nil {
				t.Fatal(err)
			}
			if d.Meta() != c.meta {
				t.Errorf("Meta() = %+v, want %+v", d.Meta(), c.meta)
			}
			got, err := d.Decode(header, body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Index != c.row.Index || !same(got, c.row) {
				t.Errorf("Decode = %+v, want %+v", got, c.row)
			}
			if len(got.Features) > 0 && &got.Features[0] != (*float32)(unsafe.Pointer(&body[bytes.Index(body, floats(c.row.Features))])) {
				t.Error("Decode copied the features")
			}
		})
	}
}

func floats(s []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s))
}

// same compares rows and takes nil and empty slices for the same.
func same(a, b arrowrec.Row) bool {
	x, y := reflect.ValueOf([]any{a.Nodes, a.Indptr, a.Indices, a.EdgeIDs, a.AdjNorm, a.LossNorm, a.Features, a.Class, a.Multi}),
		reflect.ValueOf([]any{b.Nodes, b.Indptr, b.Indices, b.EdgeIDs, b.AdjNorm, b.LossNorm, b.Features, b.Class, b.Multi})
	for i := range x.Len() {
		if x.Index(i).Elem().Len()+y.Index(i).Elem().Len() > 0 && !reflect.DeepEqual(x.Index(i).Interface(), y.Index(i).Interface()) {
			return false
		}
	}
	return true
}

func TestMessageEncodingCopiesNothing(t *testing.T) {
	r := messageRow()
	s := arrowrec.Schema(messageMeta())
	rec := arrowrec.Record(s, &r)
	defer rec.Release()
	_, pieces, err := arrowrec.NewEncoder(s).Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if unsafe.SliceData(p) == (*byte)(unsafe.Pointer(&r.Features[0])) {
			return
		}
	}
	t.Error("no piece of the body is the memory of the features")
}

func TestNamedSchemaHasItsOwnVersion(t *testing.T) {
	m := messageMeta()
	for want, m := range map[string]arrowrec.Meta{"1.1": m, "1": {Labels: arrowrec.NoLabels}} {
		if v, _ := arrowrec.Schema(m).Metadata().GetValue("saint.schema"); v != want {
			t.Errorf("saint.schema = %s, want %s", v, want)
		}
	}
}

func TestBadMessages(t *testing.T) {
	c := messageCases()["single"]
	schema, header, body := encode(t, c.meta, c.row)
	d, err := arrowrec.NewDecoder(schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode(header, body[:len(body)-8]); err == nil {
		t.Error("a body that is cut short decodes")
	}
	if _, err := d.Decode(schema, nil); err == nil || !strings.Contains(err.Error(), "want a record") {
		t.Errorf("Decode(schema) = %v, want an error that asks for a record", err)
	}
	if _, err := d.Decode(nil, nil); err == nil {
		t.Error("Decode(nothing) succeeds")
	}
	if _, err := arrowrec.NewDecoder(header); err == nil || !strings.Contains(err.Error(), "want a schema") {
		t.Errorf("NewDecoder(record) = %v, want an error that asks for a schema", err)
	}
	if _, err := arrowrec.NewDecoder(nil); err == nil {
		t.Error("NewDecoder(nothing) succeeds")
	}
	other := c
	other.row.Nodes = []int32{5, 2, 9}
	_, h, b := encode(t, other.meta, other.row)
	if _, err := d.Decode(h, b); err == nil || !strings.Contains(err.Error(), "column nodes") {
		t.Errorf("Decode(unsorted nodes) = %v, want an error that names the column", err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 { // no damage may panic or read beyond the message
		h, b := bytes.Clone(header), aligned([][]byte{body})
		for range 1 + r.IntN(3) {
			if r.IntN(4) == 0 {
				b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
			} else {
				h[r.IntN(len(h))] ^= byte(1 + r.IntN(255))
			}
		}
		if row, err := d.Decode(h, b); err == nil {
			m := d.Meta()
			if err := row.Check(&m); err != nil {
				t.Fatalf("Decode accepts what Check refuses: %v", err)
			}
		}
	}
}

func FuzzDecoder(f *testing.F) {
	var schemas [][]byte
	for _, c := range messageCases() {
		schema, header, body := encode(f, c.meta, c.row)
		schemas = append(schemas, schema)
		f.Add(schema, header, body)
	}
	f.Add(schemas[0], schemas[1], binary.LittleEndian.AppendUint64(nil, 1))
	f.Fuzz(func(t *testing.T, schema, header, body []byte) {
		d, err := arrowrec.NewDecoder(schema)
		if err != nil {
			return
		}
		row, err := d.Decode(header, aligned([][]byte{body}))
		if err != nil {
			return
		}
		m := d.Meta()
		if err := row.Check(&m); err != nil {
			t.Fatalf("Decode accepts what Check refuses: %v", err)
		}
	})
}

func TestFileParts(t *testing.T) {
	for name, c := range messageCases() {
		r := c.row
		if name == "single" { // large enough to be aliased
			r.Features = make([]float32, 20000*3)
			c.meta.NumFeatures = 20000
			r.Features[7] = 5
		}
		rec := arrowrec.Record(arrowrec.Schema(c.meta), &r)
		pieces, err := arrowrec.FileParts(rec)
		if err != nil {
			t.Fatal(err)
		}
		file := aligned(pieces)
		in, err := ipc.NewFileReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := in.Record(0)
		if err != nil || in.NumRecords() != 1 {
			t.Fatalf("%s: the Arrow library reads %d records, %v", name, in.NumRecords(), err)
		}
		if row, err := arrowrec.View(got, 0); err != nil || !same(row, r) {
			t.Errorf("%s: the Arrow library reads %+v, %v", name, row, err)
		}
		schema, header, body, err := arrowrec.SplitFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := arrowrec.NewDecoder(schema)
		if err != nil {
			t.Fatal(err)
		}
		if row, err := d.Decode(header, body); err != nil || !same(row, r) {
			t.Errorf("%s: Decode = %+v, %v", name, row, err)
		}
		rec.Release()
	}
}

func TestSplitFileOfAnyLength(t *testing.T) {
	r := messageRow()
	rec := arrowrec.Record(arrowrec.Schema(messageMeta()), &r)
	defer rec.Release()
	pieces, err := arrowrec.FileParts(rec)
	if err != nil {
		t.Fatal(err)
	}
	file := aligned(pieces)
	for n := range file {
		if s, h, _, err := arrowrec.SplitFile(file[:n]); err == nil && len(s)+len(h) > n {
			t.Errorf("SplitFile of %d bytes finds headers of %d", n, len(s)+len(h))
		}
	}
}
