package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/mmapfile"
)

// File is a mapped safetensors file. All methods but Close are safe for concurrent use.
type File struct {
	path     string
	file     *mmapfile.File
	tensors  map[string]*Tensor
	names    []string
	metadata map[string]string
}

// Open maps the file at path and checks all of its header: every tensor's shape matches
// its bytes, and the tensors cover the data without overlap or hole. The error of a file that
// is not there is that of the system, every other one a *formats.InputError.
func Open(path string) (*File, error) {
	m, err := mmapfile.Open(path)
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case errors.As(err, &p):
		return nil, formats.BadInput(path, "cannot be read: %w", p.Err)
	case err != nil:
		return nil, formats.BadInput(path, "%w", err)
	}
	f := &File{path: path, file: m}
	if err := f.parse(m.Bytes()); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return f, nil
}

// Names returns the names of all tensors, sorted. The slice belongs to the file.
func (f *File) Names() []string { return f.names }

// Metadata returns a copy of the string pairs of the header.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Tensor returns the tensor of that name. Its Data is a view that nobody may write to and
// that is invalid after Close; the accessors of Tensor copy.
func (f *File) Tensor(name string) (Tensor, error) {
	t := f.tensors[name]
	if t == nil {
		return Tensor{}, formats.BadInput(f.path, "tensor %q is missing; the file holds %d others", name, len(f.names))
	}
	return *t, nil
}

// Close releases the mapping.
func (f *File) Close() error {
	f.tensors = nil
	return f.file.Close()
}

func (f *File) errorf(off int64, format string, args ...any) error {
	return &formats.InputError{Path: f.path, Offset: off, Err: fmt.Errorf(format, args...)}
}

// parse reads the file's bytes.
func (f *File) parse(b []byte) error {
	if len(b) < 8 {
		return f.errorf(int64(len(b)), "the file ends inside the header length; it is truncated or no safetensors file")
	}
	n := binary.LittleEndian.Uint64(b)
	rest := b[8:]
	switch {
	case n > maxHeader:
		return f.errorf(0, "header length %d, want at most %d: not a safetensors file", n, maxHeader)
	case n > uint64(len(rest)):
		return f.errorf(0, "header length %d exceeds the %d bytes left: the file is truncated or no safetensors file", n, len(rest))
	}
	text, data := rest[:n], rest[n:]
	p := headerParser{text: text, size: int64(len(data))}
	if err := p.parse(); err != nil {
		return f.errorf(8+p.at, "header: %w", err)
	}
	f.tensors, f.metadata = make(map[string]*Tensor, len(p.entries)), p.metadata
	for i := range p.entries {
		e := &p.entries[i]
		f.tensors[e.name] = &Tensor{
			Name: e.name, DType: e.dtype, Shape: e.shape, Data: data[e.begin:e.end:e.end],
			path: f.path, offset: int64(8+n) + e.begin,
		}
		f.names = append(f.names, e.name)
	}
	slices.Sort(f.names)
	return f.checkCover(p.entries, int64(len(data)), 8+int64(n))
}

// checkCover makes sure that the tensors lie end to end and fill the data.
func (f *File) checkCover(entries []entry, size, dataAt int64) error {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	last := int64(0)
	for i := range entries {
		e := &entries[i]
		switch {
		case e.begin < last:
			return f.errorf(8+e.at, "tensor %q begins at data offset %d, inside tensor %q", e.name, e.begin, entries[i-1].name)
		case e.begin > last:
			return f.errorf(8+e.at, "tensor %q begins at data offset %d, %d bytes after the one before it", e.name, e.begin, e.begin-last)
		}
		last = e.end
	}
	if last != size {
		return f.errorf(dataAt+last, "%d bytes follow the last tensor", size-last)
	}
	return nil
}

// entry is one tensor of the header.
type entry struct {
	name       string
	at         int64 // position in the header, for messages
	dtype      DType
	shape      []int
	begin, end int64
	seen       [3]bool
}

func (e *entry) check(size int64) error {
	need, ok := dataSize(e.dtype, e.shape)
	switch {
	case !e.seen[0]:
		return errors.New("dtype is missing")
	case !e.seen[1]:
		return errors.New("shape is missing")
	case !e.seen[2]:
		return errors.New("data_offsets is missing")
	case e.dtype.Size() == 0:
		return fmt.Errorf("type %q is not supported", e.dtype)
	case !ok:
		return fmt.Errorf("shape %s is too large", shapeString(e.shape))
	case e.begin > e.end || e.end > size:
		return fmt.Errorf("data_offsets [%d, %d] in %d bytes of data: the file is truncated or its header is wrong", e.begin, e.end, size)
	case e.end-e.begin != need:
		return fmt.Errorf("%d bytes at data_offsets [%d, %d], but shape %s of %s needs %d", e.end-e.begin, e.begin, e.end, shapeString(e.shape), e.dtype, need)
	}
	return nil
}

// headerParser walks the header's JSON token by token: encoding/json's maps would hide a
// name that appears twice.
type headerParser struct {
	text     []byte
	size     int64 // bytes of data behind the header
	dec      *json.Decoder
	at       int64 // start of the value being read, for messages
	entries  []entry
	metadata map[string]string
}

func (p *headerParser) parse() error {
	if len(p.text) == 0 || p.text[0] != '{' {
		return errors.New("it does not begin with {")
	}
	if !utf8.Valid(p.text) {
		return errors.New("it is not valid UTF-8")
	}
	p.dec = json.NewDecoder(bytes.NewReader(p.text))
	p.dec.UseNumber()
	names := map[string]bool{}
	err := p.object(func(name string, at int64) error {
		if names[name] {
			p.at = at
			return fmt.Errorf("tensor %q appears twice", name)
		}
		names[name] = true
		if name == metadataKey {
			return p.readMetadata()
		}
		return p.readEntry(name, at)
	})
	if err != nil {
		return err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

// token returns the next token and remembers where it ended.
func (p *headerParser) token() (json.Token, error) {
	tok, err := p.dec.Token()
	p.at = p.dec.InputOffset()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("the JSON ends too early")
	}
	return tok, err
}

func (p *headerParser) delim(want json.Delim) error {
	tok, err := p.token()
	if err != nil {
		return err
	}
	if d, ok := tok.(json.Delim); !ok || d != want {
		return fmt.Errorf("%v, want %v", tok, want)
	}
	return nil
}

// object calls value after each key of an object; value consumes what belongs to the key.
func (p *headerParser) object(value func(key string, at int64) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		key, err := p.str()
		if err != nil {
			return err
		}
		if err := value(key, p.at); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p *headerParser) str() (string, error) {
	tok, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", fmt.Errorf("%v, want a string", tok)
	}
	return s, nil
}

func (p *headerParser) readMetadata() error {
	p.metadata = map[string]string{}
	return p.object(func(key string, at int64) error {
		value, err := p.str()
		if err != nil {
			return fmt.Errorf("metadata %q: %w", key, err)
		}
		if _, twice := p.metadata[key]; twice {
			p.at = at
			return fmt.Errorf("metadata %q appears twice", key)
		}
		p.metadata[key] = value
		return nil
	})
}

func (p *headerParser) readEntry(name string, at int64) error {
	e := entry{name: name, at: at}
	err := p.object(func(key string, at int64) (err error) {
		field := slices.Index([]string{"dtype", "shape", "data_offsets"}, key)
		if field < 0 || e.seen[field] {
			p.at = at
			return fmt.Errorf("tensor %q: key %q is unknown or appears twice", name, key)
		}
		e.seen[field] = true
		switch field {
		case 0:
			var s string
			s, err = p.str()
			e.dtype = DType(s)
		case 1:
			e.shape, err = p.ints()
		case 2:
			err = p.offsets(&e)
		}
		if err != nil {
			return fmt.Errorf("tensor %q: %s: %w", name, key, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// At once, so that a long header of bad entries fails at the first.
	if err := e.check(p.size); err != nil {
		p.at = at
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	p.entries = append(p.entries, e)
	return nil
}

func (p *headerParser) offsets(e *entry) error {
	v, err := p.ints()
	if err != nil {
		return err
	}
	if len(v) != 2 {
		return fmt.Errorf("%d numbers, want two", len(v))
	}
	e.begin, e.end = int64(v[0]), int64(v[1])
	return nil
}

// ints reads an array of whole numbers from 0 to the largest int.
func (p *headerParser) ints() ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	out := []int{}
	for p.dec.More() {
		tok, err := p.token()
		if err != nil {
			return nil, err
		}
		num, ok := tok.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v, want a number", tok)
		}
		n, err := strconv.ParseUint(num.String(), 10, 64)
		if err != nil || n > math.MaxInt {
			return nil, fmt.Errorf("%s, want a whole number of at most %d", num, math.MaxInt)
		}
		if len(out) == maxRank {
			return nil, fmt.Errorf("more than %d numbers", maxRank)
		}
		out = append(out, int(n))
	}
	return out, p.delim(']')
}
