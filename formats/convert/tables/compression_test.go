package tables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/saint-gnn/saint/formats"
)

// numbers is a table of one column, of which some values repeat.
func numbers(n int, random bool) arrow.Record {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for i := range n {
		v := int64(1 << 40)
		if random {
			v = int64(i) * 0x9e3779b97f4a7c1
		}
		b.Append(v)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64}}, nil)
	return array.NewRecord(schema, []arrow.Array{b.NewArray()}, int64(n))
}

func parquetBytes(t testing.TB, rec arrow.Record, o ...parquet.WriterProperty) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pqarrow.NewFileWriter(rec.Schema(), &b, parquet.NewWriterProperties(o...), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func arrowBytes(t testing.TB, rec arrow.Record, o ...ipc.Option) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := ipc.NewFileWriter(f, append(o, ipc.WithSchema(rec.Schema()))...)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read returns the column x of the file, and how much was allocated for it.
func read(t testing.TB, file []byte) (values []int64, allocated uint64, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = Each(t.Context(), path, func([]string) ([]string, error) { return []string{"x"}, nil }, func(columns []Column) error {
		for i := range columns[0].Len() {
			v, _, err := columns[0].Int(i)
			if err != nil {
				return err
			}
			values = append(values, v)
		}
		return nil
	})
	runtime.ReadMemStats(&after)
	return values, after.TotalAlloc - before.TotalAlloc, err
}

// TestCompression reads every compression of both kinds of files.
func TestCompression(t *testing.T) {
	for _, random := range []bool{false, true} {
		rec := numbers(50_000, random)
		files := map[string][]byte{"arrow lz4": arrowBytes(t, rec, ipc.WithLZ4()), "arrow zstd": arrowBytes(t, rec, ipc.WithZstd()), "arrow": arrowBytes(t, rec)}
		for name, codec := range map[string]compress.Compression{
			"none": compress.Codecs.Uncompressed, "snappy": compress.Codecs.Snappy, "gzip": compress.Codecs.Gzip,
			"brotli": compress.Codecs.Brotli, "zstd": compress.Codecs.Zstd,
		} {
			for version, v := range map[string]parquet.DataPageVersion{"1": parquet.DataPageV1, "2": parquet.DataPageV2} {
				files[name+" "+version] = parquetBytes(t, rec, parquet.WithCompression(codec), parquet.WithDataPageVersion(v), parquet.WithDictionaryDefault(random))
			}
		}
		for name, file := range files {
			got, _, err := read(t, file)
			if err != nil || len(got)%50_000 != 0 || len(got) == 0 {
				t.Errorf("%s: %d values, %v", name, len(got), err)
				continue
			}
			want := rec.Column(0).(*array.Int64)
			for i, v := range got {
				if v != want.Value(i%50_000) {
					t.Fatalf("%s: value %d is %d, want %d", name, i, v, want.Value(i%50_000))
				}
			}
		}
	}
}

// TestBombs reads files whose compressed parts hold or promise far more than they should.
func TestBombs(t *testing.T) {
	rec := numbers(20_000, false)
	plain := []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(false), parquet.WithStats(false)}
	good := parquetBytes(t, rec, plain...)
	frame := bytes.Index(good, []byte{0x28, 0xb5, 0x2f, 0xfd})
	if frame < 0 {
		t.Fatal("no zstd frame in the file")
	}
	// The content of the frame: 2 GiB, in RLE blocks of 128 KiB.
	promises := append([]byte(nil), good...)
	promises[frame+4] = 0xc0 // eight bytes of content size, and a window
	binary.LittleEndian.PutUint64(promises[frame+6:], 1<<31)
	blocks := append([]byte(nil), good...)
	at := frame + 4
	blocks[at], blocks[at+1] = 0, 0x38 // no content size, a window of 128 KiB
	for at += 2; at+4 <= frame+40; at += 4 {
		word := uint32(1<<17)<<3 | 1<<1 // RLE
		blocks[at], blocks[at+1], blocks[at+2], blocks[at+3] = byte(word), byte(word>>8), byte(word>>16), 0
	}
	stream := arrowBytes(t, rec, ipc.WithZstd())
	frame = bytes.Index(stream, []byte{0x28, 0xb5, 0x2f, 0xfd})
	length, window := append([]byte(nil), stream...), append([]byte(nil), stream...)
	binary.LittleEndian.PutUint64(length[frame-8:], 1<<40)
	window[frame+4], window[frame+5] = 0, 0xff
	// Frames that ask for 256 MiB: by their content, behind one without data, behind one of a byte.
	const magic = "\x28\xb5\x2f\xfd"
	large := magic + "\x00\x90" + "\x02\x00\x10x"
	other := func(begin string) []byte {
		return slices.Concat(stream[:frame], []byte(begin), stream[frame+len(begin):])
	}
	single := other(magic + "\xa0" + "\x00\x00\x00\x10" + "\x02\x00\x10x")
	skipped := other("\x50\x2a\x4d\x18\x00\x00\x00\x00" + large)
	second := other(magic + "\x00\x38" + "\x0b\x00\x00x" + large)
	lz4 := arrowBytes(t, rec, ipc.WithLZ4())
	frame = bytes.Index(lz4, []byte{0x04, 0x22, 0x4d, 0x18})
	binary.LittleEndian.PutUint64(lz4[frame-8:], 1<<40)
	for name, file := range map[string][]byte{
		"zstd page promises 2 GiB": promises, "zstd page holds more": blocks, "zstd buffer promises 1 TiB": length,
		"zstd buffer with a large window": window, "zstd buffer with a large frame": single,
		"zstd buffer that begins with a skipped frame": skipped, "zstd buffer with a second frame": second, "lz4 buffer promises 1 TiB": lz4,
	} {
		_, allocated, err := read(t, file)
		var in *formats.InputError
		if !errors.As(err, &in) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line about the file", name, err)
		}
		if allocated > 64<<20 {
			t.Errorf("%s: %d bytes were allocated for a file of %d", name, allocated, len(file))
		}
		t.Logf("%s: %v", name, err)
	}
}

// TestOtherCodecs names what can be read instead.
func TestOtherCodecs(t *testing.T) {
	for _, codec := range []compress.Compression{compress.Codecs.Lz4, compress.Codecs.Lzo, 7} {
		_, err := newPages(bytes.NewReader(nil), 0, 0, codec, 1)
		if err == nil || !strings.Contains(err.Error(), "want none, snappy, gzip, brotli or zstd") {
			t.Errorf("newPages(%v) = %v, want a list of what can be read", codec, err)
		}
	}
}
