package arrowrec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
)

func testMeta() Meta {
	return Meta{
		Dataset: "ppi", Sampler: `{"sampler":"rw","depth":2}`, Seed: math.MaxUint64, Phase: 3, NumNodes: 1000,
		NumTrainEdges: 1 << 40, BatchesPerEpoch: 17, NumFeatures: 3, Labels: SingleLabels, NumClasses: 5, EdgeIDs: true,
	}
}

// testRow makes a valid row of n nodes for m.
func testRow(m Meta, n int, seed uint64) *Row {
	r := rand.New(rand.NewPCG(seed, 1))
	row := &Row{Index: seed}
	row.Indptr = []int32{0}
	for v := range n {
		row.Nodes = append(row.Nodes, int32(3*v+1))
		row.LossNorm = append(row.LossNorm, r.Float32())
		for u := range n {
			if r.IntN(3) == 0 {
				row.Indices = append(row.Indices, int32(u))
				row.EdgeIDs = append(row.EdgeIDs, r.Int64N(m.NumTrainEdges))
				row.AdjNorm = append(row.AdjNorm, r.Float32())
			}
		}
		row.Indptr = append(row.Indptr, int32(len(row.Indices)))
	}
	for range n * m.NumFeatures {
		row.Features = append(row.Features, r.Float32())
	}
	for range n {
		switch m.Labels {
		case SingleLabels:
			row.Class = append(row.Class, int32(r.IntN(m.NumClasses+1))-1)
		case MultiLabels:
			for range m.NumClasses {
				row.Multi = append(row.Multi, uint8(r.IntN(2)))
			}
		}
	}
	if !m.EdgeIDs {
		row.EdgeIDs = nil
	}
	return row
}

func metas() map[string]Meta {
	all := testMeta()
	bare := testMeta()
	bare.NumFeatures, bare.Labels, bare.NumClasses, bare.EdgeIDs = 0, NoLabels, 0, false
	multi := testMeta()
	multi.Labels = MultiLabels
	return map[string]Meta{"single": all, "multi": multi, "bare": bare}
}

func sameRow(a, b *Row) error {
	for name, p := range map[string][2]any{
		"Index": {a.Index, b.Index}, "Nodes": {a.Nodes, b.Nodes}, "Indptr": {a.Indptr, b.Indptr}, "Indices": {a.Indices, b.Indices},
		"EdgeIDs": {a.EdgeIDs, b.EdgeIDs}, "AdjNorm": {a.AdjNorm, b.AdjNorm}, "LossNorm": {a.LossNorm, b.LossNorm},
		"Features": {a.Features, b.Features}, "Class": {a.Class, b.Class}, "Multi": {a.Multi, b.Multi},
	} {
		x, y := reflect.ValueOf(p[0]), reflect.ValueOf(p[1])
		if x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(p[0], p[1]) {
			return fmt.Errorf("%s = %v, want %v", name, p[0], p[1])
		}
	}
	return nil
}

func TestSchemaRoundTrip(t *testing.T) {
	for name, m := range metas() {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSchema(Schema(m))
			if err != nil {
				t.Fatal(err)
			}
			if got != m {
				t.Errorf("ParseSchema(Schema(m)) = %+v, want %+v", got, m)
			}
		})
	}
}

func TestRecordIsZeroCopy(t *testing.T) {
	for name, m := range metas() {
		for _, n := range []int{0, 1, 2, 17} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				row := testRow(m, n, 5)
				rec := Record(Schema(m), row)
				defer rec.Release()
				got, err := View(rec, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := sameRow(&got, row); err != nil {
					t.Error(err)
				}
				if n > 0 && (unsafe.SliceData(got.Nodes) != unsafe.SliceData(row.Nodes) || unsafe.SliceData(got.LossNorm) != unsafe.SliceData(row.LossNorm)) {
					t.Error("View(Record(row)) copied its columns")
				}
				if n > 0 && m.NumFeatures > 0 && unsafe.SliceData(got.Features) != unsafe.SliceData(row.Features) {
					t.Error("View(Record(row)) copied the features")
				}
			})
		}
	}
}

func TestRecordPanicsOnWrongLengths(t *testing.T) {
	m := testMeta()
	row := testRow(m, 4, 1)
	row.LossNorm = row.LossNorm[:3]
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "loss_norm") {
			t.Errorf("panic %q, want one that names loss_norm", p)
		}
	}()
	Record(Schema(m), row)
}

func TestViewRejects(t *testing.T) {
	tests := []struct {
		name, want string
		multi      bool
		damage     func(r *Row)
	}{
		{"nodes not ascending", "column nodes: value 1 is 1 after 1", false, func(r *Row) { r.Nodes[1] = r.Nodes[0] }},
		{"node negative", "column nodes: value 0 is -1", false, func(r *Row) { r.Nodes[0] = -1 }},
		{"node too large", "column nodes: value 7 is 1000", false, func(r *Row) { r.Nodes[7] = 1000 }},
		{"indptr start", "column indptr runs from 1", false, func(r *Row) { r.Indptr[0] = 1 }},
		{"indptr end", "column indptr runs from 0 to", false, func(r *Row) { r.Indptr[8]-- }},
		{"indptr decreases", "column indptr: value 4", false, func(r *Row) { r.Indptr[4] = -1 }},
		{"indptr too large", "column indptr: value 1", false, func(r *Row) { r.Indptr[1] = math.MaxInt32 }},
		{"index too large", "column indices: row", false, func(r *Row) { r.Indices[2] = 8 }},
		{"index negative", "column indices: row 0 has -1", false, func(r *Row) { r.Indices[0] = -1 }},
		{"edge id too large", "column edge_ids: value 1", false, func(r *Row) { r.EdgeIDs[1] = 1 << 40 }},
		{"edge id negative", "column edge_ids: value 0", false, func(r *Row) { r.EdgeIDs[0] = -1 }},
		{"adj_norm NaN", "column adj_norm: value 3", false, func(r *Row) { r.AdjNorm[3] = float32(math.NaN()) }},
		{"loss_norm Inf", "column loss_norm: value 3", false, func(r *Row) { r.LossNorm[3] = float32(math.Inf(-1)) }},
		{"class too large", "column labels: value 3 is class 5", false, func(r *Row) { r.Class[3] = 5 }},
		{"class below -1", "column labels: value 3 is class -2", false, func(r *Row) { r.Class[3] = -2 }},
		{"bit 2", "column labels: value 3 is 2", true, func(r *Row) { r.Multi[3] = 2 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := testMeta()
			if tt.multi {
				m.Labels = MultiLabels
			}
			row := testRow(m, 8, 2)
			rec := Record(Schema(m), row)
			tt.damage(row)
			if _, err := View(rec, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("View = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// replaced returns a valid record with column name exchanged.
func replaced(m Meta, name string, column arrow.Array) arrow.Record {
	rec := Record(Schema(m), testRow(m, 4, 3))
	fields, arrays := rec.Schema().Fields(), append([]arrow.Array(nil), rec.Columns()...)
	for i := range fields {
		if fields[i].Name != name {
			continue
		}
		if column == nil {
			fields, arrays = append(fields[:i:i], fields[i+1:]...), append(arrays[:i:i], arrays[i+1:]...)
			break
		}
		fields = append([]arrow.Field(nil), fields...)
		fields[i].Type, arrays[i] = column.DataType(), column
	}
	md := rec.Schema().Metadata()
	return array.NewRecord(arrow.NewSchema(fields, &md), arrays, 1)
}

// listData is a list<T> column of one row with free choice of everything.
func listData[T uint8 | int32 | int64 | float32](t arrow.DataType, offsets []int32, values []T, length int) arrow.Array {
	child := array.NewData(t, length, []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(values))}, nil, 0, 0)
	return array.MakeFromData(array.NewData(arrow.ListOf(t), 1, []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(offsets))}, []arrow.ArrayData{child}, 0, 0))
}

func TestViewRejectsColumns(t *testing.T) {
	i32, f32 := arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Float32
	nulls := array.NewListBuilder(memory.DefaultAllocator, i32)
	nulls.Append(true)
	nulls.ValueBuilder().(*array.Int32Builder).AppendValues([]int32{1, 2, 3, 4}, []bool{true, true, false, true})
	nullList := array.NewListBuilder(memory.DefaultAllocator, i32)
	nullList.AppendNull()
	tests := []struct {
		name, column, want string
		array              arrow.Array
	}{
		{"missing", "indptr", "column indptr is missing", nil},
		{"wrong type", "nodes", "column nodes has type list<item: float32", listData(f32, []int32{0, 4}, make([]float32, 4), 4)},
		{"wrong length", "loss_norm", "column loss_norm has 3 values, want 4", listData(f32, []int32{0, 3}, make([]float32, 4), 4)},
		{"null value", "nodes", "column nodes has null values", nulls.NewArray()},
		{"null list", "nodes", "column nodes has null values", nullList.NewArray()},
		{"offsets decrease", "nodes", "column nodes has list offsets 2 and 0", listData(i32, []int32{2, 0}, make([]int32, 4), 4)},
		{"offsets beyond", "nodes", "column nodes has list offsets 0 and 9", listData(i32, []int32{0, 9}, make([]int32, 4), 4)},
		{"offset negative", "nodes", "column nodes has list offsets -1", listData(i32, []int32{-1, 4}, make([]int32, 4), 4)},
		{"no offsets", "nodes", "column nodes has 1 list offsets", listData(i32, []int32{0}, make([]int32, 4), 4)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := View(replaced(testMeta(), tt.column, tt.array), 0)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("View = %v, want an error with %q", err, tt.want)
			}
		})
	}
	t.Run("row", func(t *testing.T) {
		if _, err := View(Record(Schema(testMeta()), testRow(testMeta(), 1, 1)), 1); err == nil {
			t.Error("View of row 1 of 1 succeeded")
		}
	})
}

func TestParseSchemaRejects(t *testing.T) {
	tests := []struct{ key, value, want string }{
		{"saint.schema", "2", "reads version 1"},
		{"saint.schema", "", "reads version 1"},
		{"saint.seed", "-1", "saint.seed"},
		{"saint.seed", "x", "saint.seed"},
		{"saint.num_nodes", "4294967296", "saint.num_nodes"},
		{"saint.labels", "many", "saint.labels"},
		{"saint.num_classes", "0", "saint.num_classes"},
		{"saint.edge_ids", "1", "saint.edge_ids"},
		{"saint.num_features", "4", "column features has type"},
	}
	for _, tt := range tests {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			s := Schema(testMeta())
			keys, values := s.Metadata().Keys(), append([]string(nil), s.Metadata().Values()...)
			values[s.Metadata().FindKey(tt.key)] = tt.value
			md := arrow.NewMetadata(keys, values)
			_, err := ParseSchema(arrow.NewSchema(s.Fields(), &md))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseSchema = %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := ParseSchema(arrow.NewSchema(nil, nil)); err == nil || !strings.Contains(err.Error(), "saint.schema is missing") {
		t.Errorf("ParseSchema of an empty schema = %v, want saint.schema is missing", err)
	}
	s := Schema(testMeta())
	md := s.Metadata()
	twice := arrow.NewSchema(append(s.Fields(), s.Field(1)), &md)
	if _, err := ParseSchema(twice); err == nil || !strings.Contains(err.Error(), "column nodes stands 2 times") {
		t.Errorf("ParseSchema with two nodes columns = %v, want an error", err)
	}
}

func stream(t testing.TB, m Meta, rows ...*Row) (*Writer, []byte) {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, Schema(m))
	for _, row := range rows {
		if err := w.Write(Record(Schema(m), row)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w, buf.Bytes()
}

func TestStreamRoundTrip(t *testing.T) {
	for name, m := range metas() {
		t.Run(name, func(t *testing.T) {
			rows := []*Row{testRow(m, 8, 1), testRow(m, 0, 2), testRow(m, 30, 3)}
			w, data := stream(t, m, rows...)
			if _, again := stream(t, m, rows...); !bytes.Equal(data, again) {
				t.Error("two streams of the same rows differ")
			}
			if w.Bytes() != int64(len(data)) {
				t.Errorf("Bytes() = %d, want %d", w.Bytes(), len(data))
			}
			r, err := NewReader(bytes.NewReader(data), "x.arrows")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Meta() != m {
				t.Errorf("Meta() = %+v, want %+v", r.Meta(), m)
			}
			checkRows(t, r, rows)
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("Next after the last row = %v, want io.EOF", err)
			}
		})
	}
}

func checkRows(t *testing.T, r *Reader, rows []*Row) {
	t.Helper()
	for i, want := range rows {
		got, err := r.Next()
		if err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
		if err := sameRow(&got, want); err != nil {
			t.Errorf("row %d: %v", i, err)
		}
	}
}

// The sum is frozen: a change of any byte is a change of the format.
func TestStreamFrozen(t *testing.T) {
	w, _ := stream(t, testMeta(), testRow(testMeta(), 8, 1), testRow(testMeta(), 5, 2))
	const want = "d1b3ed718fea49b8b493b9d5a1bf4be5bb218b0aabe2e16eece1b057161da2c5"
	if got := w.Sum256(); got != want {
		t.Errorf("Sum256() = %s, want %s", got, want)
	}
}

func TestReaderTruncated(t *testing.T) {
	m := testMeta()
	_, data := stream(t, m, testRow(m, 4, 1), testRow(m, 4, 2))
	for n := range data {
		err := readAll(data[:n])
		var bad *formats.InputError
		if !errors.As(err, &bad) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("reading %d of %d bytes = %v, want an InputError with io.ErrUnexpectedEOF", n, len(data), err)
		}
	}
}

func TestReaderBadBytes(t *testing.T) {
	m := testMeta()
	_, data := stream(t, m, testRow(m, 4, 1))
	for i := range data {
		for _, x := range []byte{0xff, data[i] ^ 1<<(i%8)} {
			old := data[i]
			data[i] = x
			if err := readAll(data); err != nil {
				var bad *formats.InputError
				if !errors.As(err, &bad) {
					t.Fatalf("byte %d = %#x: %v, want an InputError", i, x, err)
				}
			}
			data[i] = old
		}
	}
}

func TestReaderLengthsAllocateNothing(t *testing.T) {
	tests := map[string][]byte{
		"header 2 GiB":      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3},
		"header negative":   {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80, 1, 2, 3},
		"old framing":       {0xff, 0xff, 0xff, 0x7f, 1},
		"empty":             {},
		"not arrow":         []byte("PK\x03\x04 a zip file, or something like it"),
		"end of stream":     {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"zero sized header": {0, 0, 0, 0},
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := readAll(data)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("reading succeeded")
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("reading %d bytes allocated %d", len(data), n)
			}
		})
	}
}

func TestReaderRefusesCompression(t *testing.T) {
	codecs := map[string]ipc.Option{"LZ4": ipc.WithLZ4(), "ZSTD": ipc.WithZstd()}
	for codec, option := range codecs {
		for _, features := range []int{1, 1 << 20} { // both what fits into the reader's budget and what does not
			t.Run(fmt.Sprint(codec, " ", features), func(t *testing.T) {
				m := testMeta()
				m.NumNodes = math.MaxInt32
				row := testRow(m, 1, 1)
				m.NumFeatures = features
				row.Features = make([]float32, m.NumFeatures)
				var buf bytes.Buffer
				w := ipc.NewWriter(&buf, ipc.WithSchema(Schema(m)), option)
				if err := w.Write(Record(Schema(m), row)); err != nil {
					t.Fatal(err)
				}
				w.Close()
				want := "the record is compressed (" + codec + "), which is not supported"
				if err := readAll(buf.Bytes()); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("reading a compressed stream = %v, want %q", err, want)
				}
			})
		}
	}
}

func TestRecordsRefuseDictionaries(t *testing.T) {
	kind := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	b := array.NewDictionaryBuilder(memory.DefaultAllocator, kind).(*array.BinaryDictionaryBuilder)
	if err := b.AppendString("a"); err != nil {
		t.Fatal(err)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: kind}}, nil)
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema))
	if err := w.Write(array.NewRecord(schema, []arrow.Array{b.NewArray()}, 1)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r, err := NewRecords(&buf, "x")
	if err == nil {
		_, err = r.Next()
	}
	const want = "a column is encoded by a dictionary"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("reading categories = %v, want %q", err, want)
	}
}

func readAll(data []byte) error {
	r, err := NewReader(bytes.NewReader(data), "x.arrows")
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Whatever the bytes are, reading ends in rows that keep every promise or in an InputError.
func FuzzReader(f *testing.F) {
	for _, m := range metas() {
		_, data := stream(f, m, testRow(m, 3, 1), testRow(m, 0, 2))
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var bad *formats.InputError
		if err := readAll(data); err != nil && !errors.As(err, &bad) {
			t.Errorf("error %v is not an InputError", err)
		}
	})
}

func BenchmarkRecordView(b *testing.B) {
	m := testMeta()
	row := testRow(m, 300, 1)
	schema := Schema(m)
	v, _ := NewViewer(schema)
	b.ReportAllocs()
	for b.Loop() {
		rec := Record(schema, row)
		if _, err := v.View(rec, 0); err != nil {
			b.Fatal(err)
		}
		rec.Release()
	}
}
