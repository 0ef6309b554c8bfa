package ogb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"path/filepath"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/internal/fileop"
)

// spill builds a matrix whose entries do not fit into memory: they are distributed over
// files by ranges of rows, and then each file is sorted by itself. A file that is still too
// large is distributed again; one that is a single row goes through a bitmap.
type spill struct {
	m          *matrix
	ctx        context.Context //nolint:containedctx // lives for one call of build
	dir        string
	undirected bool
	budget     int64 // bytes for the entries of one file and the starts of its rows
	workers    int
	create     func(path string) (io.WriteCloser, error)
	entries    int64 // that went into files
	files      int
	out        *bufio.Writer
	scratch    []byte
}

// bucket is a file of entries row, column (little-endian int32) of the rows lo…hi-1.
type bucket struct {
	path    string
	lo, hi  int
	entries int64
	file    io.WriteCloser
	w       *bufio.Writer
}

const (
	entryBytes  = 8
	bucketBytes = 1 << 14 // buffer of a file
	maxBuckets  = 256
	// least is what a spill takes at least beside what every conversion does.
	least = maxBuckets*bucketBytes + 1<<20
)

// inFiles builds the matrix from the edges that source delivers. expected is their declared
// number. What is left in dir is the file of the columns.
func (m *matrix) inFiles(ctx context.Context, s *spill, expected int64, source func(take func(pairs) error) error) (err error) {
	s.m, s.ctx = m, ctx
	if s.undirected {
		expected *= 2
	}
	buckets, err := s.open(0, len(m.roles), expected)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(buckets)) }()
	width := buckets[0].hi
	err = source(func(p pairs) error {
		for i := 0; i+1 < len(p); i += 2 {
			u, v := p[i], p[i+1]
			if u == v {
				m.loops++
			}
			if err := buckets[int(u)/width].add(u, v); err != nil {
				return err
			}
			if s.undirected && u != v {
				if err := buckets[int(v)/width].add(v, u); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.file = filepath.Join(s.dir, "columns")
	file, err := s.create(m.file)
	if err != nil {
		return err
	}
	s.out = bufio.NewWriterSize(file, 1<<20)
	for _, b := range buckets {
		s.entries += b.entries
		if err := s.sort(b); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	m.merged = s.entries - sum(m.full)
	return errors.Join(s.out.Flush(), file.Close())
}

// open makes files for the rows lo…hi-1 so that each is likely to fit; two at least, so that
// dividing a file comes to an end.
func (s *spill) open(lo, hi int, entries int64) ([]*bucket, error) {
	count := min(maxBuckets, hi-lo, int(entries*4*2/s.budget)+2)
	width := (hi - lo + count - 1) / count
	var buckets []*bucket
	for at := lo; at < hi; at += width {
		s.files++
		b := &bucket{path: filepath.Join(s.dir, fmt.Sprintf("rows%d", s.files)), lo: at, hi: min(hi, at+width)}
		var err error
		if b.file, err = s.create(b.path); err != nil {
			return nil, errors.Join(err, closeAll(buckets))
		}
		b.w = bufio.NewWriterSize(b.file, bucketBytes)
		buckets = append(buckets, b)
	}
	return buckets, nil
}

func closeAll(buckets []*bucket) error {
	var err error
	for _, b := range buckets {
		err = errors.Join(err, b.close())
	}
	return err
}

func (b *bucket) close() error {
	if b.file == nil {
		return nil
	}
	err := errors.Join(b.w.Flush(), b.file.Close())
	b.file, b.w = nil, nil
	return err
}

func (b *bucket) add(row, column int32) error {
	b.entries++
	var raw [entryBytes]byte
	binary.LittleEndian.PutUint32(raw[:], uint32(row))
	binary.LittleEndian.PutUint32(raw[4:], uint32(column))
	_, err := b.w.Write(raw[:])
	return err
}

// each calls visit for the entries of a closed file.
func (b *bucket) each(ctx context.Context, visit func(row, column int32) error) error {
	f, err := fileop.Open(b.path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(f, buf)
		for raw := buf[:n]; len(raw) >= entryBytes; raw = raw[entryBytes:] {
			if err := visit(int32(binary.LittleEndian.Uint32(raw)), int32(binary.LittleEndian.Uint32(raw[4:]))); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sort appends the sorted rows of a file to the columns and removes the file.
func (s *spill) sort(b *bucket) error {
	if err := b.close(); err != nil {
		return err
	}
	var err error
	switch need := b.entries*4 + int64(b.hi-b.lo)*8; {
	case need <= s.budget:
		err = s.sortInMemory(b)
	case b.hi-b.lo == 1:
		err = s.sortRow(b)
	default:
		err = s.divide(b)
	}
	return errors.Join(err, fileop.Remove(b.path))
}

// divide distributes the entries of a file over smaller ones.
func (s *spill) divide(b *bucket) (err error) {
	parts, err := s.open(b.lo, b.hi, b.entries)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(parts)) }()
	width := parts[0].hi - parts[0].lo
	err = b.each(s.ctx, func(row, column int32) error { return parts[(int(row)-b.lo)/width].add(row, column) })
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := s.sort(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *spill) sortInMemory(b *bucket) error {
	rows := b.hi - b.lo
	start := make([]int64, rows+1)
	count := func(row, _ int32) error { start[int(row)-b.lo+1]++; return nil }
	if err := b.each(s.ctx, count); err != nil {
		return err
	}
	total := int64(0)
	for v := range rows {
		start[v+1], total = total, total+start[v+1]
	}
	columns := make([]int32, total)
	place := func(row, column int32) error {
		at := &start[int(row)-b.lo+1]
		columns[*at] = column
		*at++
		return nil
	}
	if err := b.each(s.ctx, place); err != nil {
		return err
	}
	const step = 1 << 12
	p := pool.New().WithMaxGoroutines(s.workers)
	for lo := 0; lo < rows; lo += step {
		p.Go(func() {
			for v := lo; v < min(rows, lo+step); v++ {
				s.m.count(b.lo+v, sortUnique(columns[start[v]:start[v+1]]))
			}
		})
	}
	p.Wait()
	for v := range rows {
		if err := s.write(columns[start[v] : start[v]+int64(s.m.full[b.lo+v])]); err != nil {
			return err
		}
	}
	return nil
}

// sortRow sorts a single row by marking its columns.
func (s *spill) sortRow(b *bucket) error {
	marks := make([]uint64, (len(s.m.roles)+63)/64)
	err := b.each(s.ctx, func(_, column int32) error {
		marks[column>>6] |= 1 << (column & 63)
		return nil
	})
	if err != nil {
		return err
	}
	var row []int32
	for i, word := range marks {
		for ; word != 0; word &= word - 1 {
			row = append(row, int32(i<<6+bits.TrailingZeros64(word)))
		}
	}
	s.m.count(b.lo, row)
	return s.write(row)
}

// write appends one row to the columns.
func (s *spill) write(row []int32) error {
	s.scratch = s.scratch[:0]
	for _, u := range row {
		s.scratch = binary.LittleEndian.AppendUint32(s.scratch, uint32(u))
	}
	_, err := s.out.Write(s.scratch)
	return err
}

// rows calls visit for all rows in order. The row is valid until visit returns.
func (m *matrix) rows(ctx context.Context, visit func(v int, row []int32) error) error {
	var in *bufio.Reader
	if m.file != "" {
		f, err := fileop.Open(m.file)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // opened for reading
		in = bufio.NewReaderSize(f, 1<<20)
	}
	var raw []byte
	var row []int32
	at := 0
	for v, n := range m.full {
		if v&0xffff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if in == nil {
			row = m.columns[at : at+int(n)]
			at += int(n)
		} else {
			raw = append(raw[:0], make([]byte, 4*int(n))...)
			if _, err := io.ReadFull(in, raw); err != nil {
				return fmt.Errorf("read %s: %w", m.file, err)
			}
			row = row[:0]
			for ; len(raw) >= 4; raw = raw[4:] {
				row = append(row, int32(binary.LittleEndian.Uint32(raw)))
			}
		}
		if err := visit(v, row); err != nil {
			return err
		}
	}
	return nil
}
