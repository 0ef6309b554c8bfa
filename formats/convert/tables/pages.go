package tables

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// pageHeader is what Parquet's PageHeader says (parquet.thrift) as far as it is checked.
type pageHeader struct {
	kind                     int64
	uncompressed, compressed int64
	values                   int64
	levels                   int64 // bytes before the values that are never compressed
	isCompressed             bool
}

const (
	dataPage, dictionaryPage, dataPageV2 = 0, 2, 3
	maxPageHeader                        = 1 << 20 // statistics hold a value or two
)

// pages walks over the pages of a column. The library would believe what pages say about
// themselves: it allocates what they promise, unpacks more than that, and looks for further
// pages beyond the column's end for ever.
type pages struct {
	r     *bufio.Reader
	left  int64 // bytes of the column
	codec compress.Compression
	most  int64 // that a page may unpack to
	zstd  *zstd.Decoder
	buf   []byte
	out   []byte
}

func newPages(f io.ReaderAt, start, length int64, codec compress.Compression, most int64) (*pages, error) {
	p := &pages{r: bufio.NewReaderSize(io.NewSectionReader(f, start, length), 1<<16), left: length, codec: codec, most: most}
	switch codec {
	case compress.Codecs.Uncompressed, compress.Codecs.Snappy, compress.Codecs.Gzip, compress.Codecs.Brotli:
		return p, nil
	case compress.Codecs.Zstd:
		var err error
		p.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
		return p, err
	}
	return nil, fmt.Errorf("compressed with %s, want none, snappy, gzip, brotli or zstd; write the file again with one of these", codec)
}

func (p *pages) close() {
	if p.zstd != nil {
		p.zstd.Close()
	}
}

// next checks one page and returns the number of its rows' values; a dictionary has none.
func (p *pages) next() (values int64, err error) {
	t := thrift{r: p.r, left: min(p.left, maxPageHeader)}
	before := t.left
	h, err := t.pageHeader()
	if err != nil {
		return 0, err
	}
	p.left -= before - t.left
	switch {
	case h.compressed < 0 || h.compressed > p.left:
		return 0, fmt.Errorf("a page has %d bytes, but the column only %d more", h.compressed, p.left)
	case h.uncompressed < 0 || h.uncompressed > p.most || h.levels < 0 || h.levels > min(h.compressed, h.uncompressed):
		return 0, fmt.Errorf("a page of %d bytes is out of proportion to the file", h.uncompressed)
	}
	if err := p.payload(&h); err != nil {
		return 0, err
	}
	p.left -= h.compressed
	switch {
	case h.kind == dictionaryPage:
		return 0, nil
	case h.kind != dataPage && h.kind != dataPageV2:
		return 0, fmt.Errorf("a page of unknown kind %d", h.kind)
	case h.values <= 0:
		return 0, errors.New("a page without values")
	}
	return h.values, nil
}

// payload passes over the bytes of a page, after a look at how much they unpack to.
func (p *pages) payload(h *pageHeader) error {
	length, want := h.compressed-h.levels, h.uncompressed-h.levels
	if _, err := p.r.Discard(int(h.levels)); err != nil {
		return err
	}
	// A few bytes that stand for nothing are all right.
	const empty = 64
	switch {
	case !h.isCompressed || p.codec == compress.Codecs.Uncompressed:
	case want == 0 && length > empty:
		return fmt.Errorf("a page of no bytes has %d compressed ones", length)
	case p.codec == compress.Codecs.Snappy && length > 0:
		head, err := p.r.Peek(int(min(length, binary.MaxVarintLen64)))
		if err != nil {
			return err
		}
		if n, err := s2.DecodedLen(head); err != nil || int64(n) != want {
			return fmt.Errorf("a page promises %d bytes and holds %d", want, n)
		}
	case p.codec == compress.Codecs.Zstd:
		return p.unpack(length, want)
	}
	_, err := p.r.Discard(int(length))
	return err
}

// unpack looks whether a page stays within its size.
func (p *pages) unpack(length, want int64) error {
	if int64(cap(p.buf)) < length {
		p.buf = make([]byte, length) // not more than the file has
	}
	if _, err := io.ReadFull(p.r, p.buf[:length]); err != nil {
		return err
	}
	if int64(cap(p.out)) < want {
		p.out = make([]byte, 0, want)
	}
	if _, err := p.zstd.DecodeAll(p.buf[:length], p.out[:0:want]); err != nil {
		return fmt.Errorf("a page does not unpack to the %d bytes that it promises: %w", want, err)
	}
	return nil
}

// thrift reads structures in Thrift's compact protocol.
type thrift struct {
	r    *bufio.Reader
	left int64
}

// Types of the compact protocol.
const (
	tStop, tTrue, tFalse, tByte, tI16, tI32, tI64, tDouble, tBinary, tList, tSet, tMap, tStruct = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
)

var errPageHeader = errors.New("a page header is damaged")

func (t *thrift) byte() (byte, error) {
	if t.left--; t.left < 0 {
		return 0, errPageHeader
	}
	b, err := t.r.ReadByte()
	if err != nil {
		return 0, errPageHeader
	}
	return b, nil
}

func (t *thrift) varint() (uint64, error) {
	v := uint64(0)
	for shift := 0; shift < 64; shift += 7 {
		b, err := t.byte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errPageHeader
}

// integer reads a zigzag number.
func (t *thrift) integer() (int64, error) {
	v, err := t.varint()
	return int64(v>>1) ^ -int64(v&1), err
}

// fields calls visit for every field of a structure. visit consumes the value and reports
// true, or leaves it.
func (t *thrift) fields(depth int, visit func(id int64, kind byte) (bool, error)) error {
	id := int64(0)
	for {
		b, err := t.byte()
		if err != nil || b == tStop {
			return err
		}
		if id += int64(b >> 4); b>>4 == 0 {
			if id, err = t.integer(); err != nil {
				return err
			}
		}
		taken, err := visit(id, b&15)
		if err == nil && !taken {
			err = t.skip(b&15, depth)
		}
		if err != nil {
			return err
		}
	}
}

// skip passes over a value of a field.
func (t *thrift) skip(kind byte, depth int) error {
	if depth == 0 {
		return errPageHeader
	}
	switch kind {
	case tTrue, tFalse:
		return nil
	case tByte:
		_, err := t.byte()
		return err
	case tI16, tI32, tI64:
		_, err := t.varint()
		return err
	case tDouble:
		return t.discard(8)
	case tBinary:
		n, err := t.varint()
		if err != nil {
			return err
		}
		return t.discard(n)
	case tStruct:
		return t.fields(depth-1, func(int64, byte) (bool, error) { return false, nil })
	}
	return errPageHeader // page headers have no lists, sets and maps
}

func (t *thrift) discard(n uint64) error {
	if n > uint64(max(0, t.left)) {
		return errPageHeader
	}
	t.left -= int64(n)
	if _, err := t.r.Discard(int(n)); err != nil {
		return errPageHeader
	}
	return nil
}

// pageHeader reads a page's header.
func (t *thrift) pageHeader() (pageHeader, error) {
	const depth = 6
	h := pageHeader{isCompressed: true}
	number := func(to *int64) (bool, error) {
		v, err := t.integer()
		*to = v
		return true, err
	}
	err := t.fields(depth, func(id int64, kind byte) (bool, error) {
		switch {
		case kind == tI32 && id == 1:
			return number(&h.kind)
		case kind == tI32 && id == 2:
			return number(&h.uncompressed)
		case kind == tI32 && id == 3:
			return number(&h.compressed)
		case kind == tStruct && (id == 5 || id == 8): // both kinds of data pages
			return true, t.dataPage(&h, id == 8, depth)
		}
		return false, nil
	})
	return h, err
}

// dataPage reads the header of a data page.
func (t *thrift) dataPage(h *pageHeader, v2 bool, depth int) error {
	return t.fields(depth-1, func(id int64, kind byte) (bool, error) {
		switch {
		case kind == tI32 && id == 1:
			var err error
			h.values, err = t.integer()
			return true, err
		case v2 && kind == tI32 && (id == 5 || id == 6):
			n, err := t.integer()
			if n < 0 {
				err = errPageHeader
			}
			h.levels += n
			return true, err
		case v2 && id == 7 && (kind == tTrue || kind == tFalse):
			h.isCompressed = kind == tTrue
			return true, nil
		}
		return false, nil
	})
}
