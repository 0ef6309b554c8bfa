package ogb

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/saint-gnn/saint/formats/npy"
)

// outBuffer is the size of the pieces that go to a file.
const outBuffer = 1 << 18

// write makes a file of what fn writes.
func (c *converter) write(path string, fn func(w *bufio.Writer) error) (err error) {
	f, err := c.o.create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, outBuffer)
	if err := fn(w); err != nil {
		return err
	}
	return w.Flush()
}

// writeMatrix writes one part as scipy.sparse.save_npz does. The columns are stored as they
// are: deflating them takes longer than all the rest and gains little. The values are all
// true and shrink to nothing.
func (c *converter) writeMatrix(ctx context.Context, path string, m *matrix, p part) error {
	counts := m.counts(p)
	n, entries := len(counts), sum(counts)
	return c.write(path, func(w *bufio.Writer) error {
		z := zip.NewWriter(w)
		z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
		members := []struct {
			name   string
			method uint16
			h      npy.Header
			body   func(w *bufio.Writer) error
		}{
			{"indices", zip.Store, npy.Header{DType: npy.Int32, Shape: []int{int(entries)}}, func(w *bufio.Writer) error { return writeColumns(ctx, w, m, p) }},
			{"indptr", zip.Store, npy.Header{DType: startType(entries), Shape: []int{n + 1}}, func(w *bufio.Writer) error { return writeStarts(w, counts, entries) }},
			{"format", zip.Store, npy.Header{DType: npy.Bytes, ItemSize: 3}, func(w *bufio.Writer) error { return writeText(w, "csr") }},
			{"shape", zip.Store, npy.Header{DType: npy.Int64, Shape: []int{2}}, func(w *bufio.Writer) error { return writeInts(w, int64(n), int64(n)) }},
			{"data", zip.Deflate, npy.Header{DType: npy.Bool, Shape: []int{int(entries)}}, func(w *bufio.Writer) error { return writeTrue(w, entries) }},
		}
		for _, e := range members {
			// The first day that zip knows: equal data give equal bytes.
			member, err := z.CreateHeader(&zip.FileHeader{Name: e.name + ".npy", Method: e.method, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
			if err != nil {
				return err
			}
			if err := writeArray(member, e.h, e.body); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

// writeArray writes an array whose elements body writes.
func writeArray(w io.Writer, h npy.Header, body func(w *bufio.Writer) error) error {
	b := bufio.NewWriterSize(w, outBuffer)
	if err := npy.WriteHeader(b, h); err != nil {
		return err
	}
	if err := body(b); err != nil {
		return err
	}
	return b.Flush()
}

func startType(entries int64) npy.DType {
	if entries <= math.MaxInt32 {
		return npy.Int32
	}
	return npy.Int64
}

// writeColumns writes the columns of the entries of a part.
func writeColumns(ctx context.Context, w *bufio.Writer, m *matrix, p part) error {
	var raw []byte
	return m.rows(ctx, func(v int, row []int32) error {
		if !p.holds(m.roles[v]) {
			return nil
		}
		raw = raw[:0]
		for _, u := range row {
			if p == fullPart || p.holds(m.roles[u]) {
				raw = binary.LittleEndian.AppendUint32(raw, uint32(u))
			}
		}
		_, err := w.Write(raw)
		return err
	})
}

// writeStarts writes where the rows begin, and the end.
func writeStarts(w *bufio.Writer, counts []int32, entries int64) error {
	narrow := startType(entries) == npy.Int32
	at := int64(0)
	for v := 0; ; v++ {
		var raw [8]byte
		binary.LittleEndian.PutUint64(raw[:], uint64(at))
		size := 8
		if narrow {
			size = 4
		}
		if _, err := w.Write(raw[:size]); err != nil {
			return err
		}
		if v == len(counts) {
			return nil
		}
		at += int64(counts[v])
	}
}

func writeText(w *bufio.Writer, s string) error {
	_, err := w.WriteString(s)
	return err
}

func writeInts(w *bufio.Writer, values ...int64) error {
	return binary.Write(w, binary.LittleEndian, values)
}

// writeTrue writes n true values.
func writeTrue(w *bufio.Writer, n int64) error {
	ones := bytes.Repeat([]byte{1}, 1<<14)
	for ; n > 0; n -= int64(len(ones)) {
		if _, err := w.Write(ones[:min(n, int64(len(ones)))]); err != nil {
			return err
		}
	}
	return nil
}

// writeRoles writes role.json.
func writeRoles(w *bufio.Writer, s *split) error {
	for i, nodes := range s.nodes {
		text := fmt.Appendf(nil, "%s%q: [", [...]string{"{", ", ", ", "}[i], roleKeys[i])
		for k, v := range nodes {
			if k > 0 {
				text = append(text, ',')
			}
			text = strconv.AppendInt(text, int64(v), 10)
			if len(text) > 1<<12 {
				if _, err := w.Write(text); err != nil {
					return err
				}
				text = text[:0]
			}
		}
		if _, err := w.Write(append(text, ']')); err != nil {
			return err
		}
	}
	return writeText(w, "}\n")
}

// writeRoleArrays writes role.npz.
func writeRoleArrays(w *bufio.Writer, s *split) error {
	z := zip.NewWriter(w)
	for i, nodes := range s.nodes {
		member, err := z.CreateHeader(&zip.FileHeader{Name: roleKeys[i] + ".npy", Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return err
		}
		if err := npy.Write(member, []int{len(nodes)}, nodes); err != nil {
			return err
		}
	}
	return z.Close()
}

// writeClassMap writes class_map.json; nodes without a label are left out.
func writeClassMap(w *bufio.Writer, l *labels) error {
	separator := "{\n"
	var text []byte
	for v := range l.rows {
		row := l.row(v)
		if !l.multi && row[0] < 0 {
			continue
		}
		text = append(append(text[:0], separator...), '"')
		text = append(strconv.AppendInt(text, int64(v), 10), `":`...)
		separator = ",\n"
		if !l.multi {
			text = strconv.AppendInt(text, int64(row[0]), 10)
		} else {
			for i, bit := range row {
				text = append(text, "[,"[min(i, 1)], '0'+byte(bit))
			}
			text = append(text, ']')
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return writeText(w, "\n}\n")
}

// writeLabelArray writes labels.npy.
func writeLabelArray(w *bufio.Writer, l *labels) error {
	h := npy.Header{DType: npy.Int64, Shape: []int{l.rows}}
	if l.multi {
		h = npy.Header{DType: npy.Uint8, Shape: []int{l.rows, l.columns}}
	}
	return writeArray(w, h, func(w *bufio.Writer) error {
		var raw [8]byte
		for v := range l.rows {
			for _, c := range l.row(v) {
				binary.LittleEndian.PutUint64(raw[:], uint64(int64(c)))
				size := 8
				if l.multi {
					size = 1
				}
				if _, err := w.Write(raw[:size]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
