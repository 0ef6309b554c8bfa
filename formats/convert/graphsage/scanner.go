package graphsage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/internal/fileop"
)

const (
	// scanBuffer is how much of the file is held at once.
	scanBuffer = 256 << 10
	// maxText bounds a string or number that is kept: an id, a key.
	maxText = 64 << 10
	// maxDepth bounds the nesting of values that are skipped.
	maxDepth = 256
)

// scanner reads the tokens of a JSON file of any size. Errors carry line and column.
type scanner struct {
	path      string
	r         io.Reader
	buf       []byte
	pos, end  int
	base      int64 // offset of buf[0]
	line      int   // line of buf[pos], from 1
	lineStart int64 // offset of that line's first byte
	readErr   error
	text      []byte // the last string or number
}

func newScanner(path string, r io.Reader) *scanner {
	return &scanner{path: path, r: r, buf: make([]byte, scanBuffer), line: 1}
}

// scanFile runs f over the file at path.
func scanFile(path string, f func(*scanner) error) error {
	file, err := fileop.Open(path)
	if err != nil {
		return assemble.InFile(path, err)
	}
	defer file.Close() //nolint:errcheck // opened for reading
	return f(newScanner(path, file))
}

// errorf returns an error about the next byte.
func (s *scanner) errorf(format string, args ...any) error {
	return s.errorAt(s.here(), format, args...)
}

// place is a position in the file.
type place struct{ line, col int }

func (s *scanner) here() place { return place{s.line, int(s.base + int64(s.pos) - s.lineStart + 1)} }

func (s *scanner) errorAt(p place, format string, args ...any) error {
	return &formats.InputError{Path: s.path, Offset: -1, Line: p.line, Col: p.col, Err: fmt.Errorf(format, args...)}
}

// fill reads more; it returns false at the end.
func (s *scanner) fill() bool {
	if s.pos < s.end {
		return true
	}
	s.base += int64(s.end)
	s.pos, s.end = 0, 0
	for s.readErr == nil && s.end == 0 {
		s.end, s.readErr = s.r.Read(s.buf)
	}
	return s.end > 0
}

// peek skips white space and returns the next byte; 0 at the end.
func (s *scanner) peek() byte {
	for s.fill() {
		for ; s.pos < s.end; s.pos++ {
			switch c := s.buf[s.pos]; c {
			case '\n':
				s.line++
				s.lineStart = s.base + int64(s.pos) + 1
			case ' ', '\t', '\r':
			default:
				return c
			}
		}
	}
	return 0
}

// unexpected returns the error for a next byte that does not fit.
func (s *scanner) unexpected(want string) error {
	c := s.peek()
	switch {
	case s.pos < s.end && (c < 0x20 || c >= 0x7f):
		return s.errorf("found byte 0x%02x, want %s", c, want)
	case s.pos < s.end:
		return s.errorf("found %q, want %s", rune(c), want)
	case s.readErr != nil && !errors.Is(s.readErr, io.EOF):
		return assemble.InFile(s.path, s.readErr)
	}
	return s.errorf("the file ends here, want %s", want)
}

// expect consumes the byte c after white space.
func (s *scanner) expect(c byte, want string) error {
	if s.peek() != c || s.pos == s.end {
		return s.unexpected(want)
	}
	s.pos++
	return nil
}

// next consumes the comma before a further element or the closing bracket.
func (s *scanner) next(closing byte) (more bool, err error) {
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.unexpected(fmt.Sprintf("',' or '%c'", closing))
}

// object calls member for every key of an object; member must consume the value. The key is
// valid until member reads on.
func (s *scanner) object(want string, member func(key []byte, at place) error) error {
	if err := s.expect('{', want); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for more := true; more; {
		s.peek()
		at := s.here()
		if err := s.str("a key in quotes"); err != nil {
			return err
		}
		if err := s.expect(':', "':' after the key"); err != nil {
			return err
		}
		if err := member(s.text, at); err != nil {
			return err
		}
		var err error
		if more, err = s.next('}'); err != nil {
			return err
		}
	}
	return nil
}

// list calls element before every element of a list; element must consume it.
func (s *scanner) list(want string, element func() error) error {
	if err := s.expect('[', want); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for more := true; more; {
		if err := element(); err != nil {
			return err
		}
		var err error
		if more, err = s.next(']'); err != nil {
			return err
		}
	}
	return nil
}

// finish verifies that nothing but white space follows.
func (s *scanner) finish() error {
	if s.peek(); s.pos < s.end || !errors.Is(s.readErr, io.EOF) {
		return s.unexpected("the end of the file")
	}
	return nil
}

// str consumes a string into s.text.
func (s *scanner) str(want string) error {
	if err := s.expect('"', want); err != nil {
		return err
	}
	start := s.here()
	s.text = s.text[:0]
	for s.fill() {
		chunk := s.buf[s.pos:s.end]
		n := bytes.IndexAny(chunk, "\"\\\n")
		if n < 0 {
			n = len(chunk)
		}
		if len(s.text)+n > maxText {
			return s.errorAt(start, "a string of more than %d bytes", maxText)
		}
		s.text = append(s.text, chunk[:n]...)
		s.pos += n
		if n == len(chunk) {
			continue
		}
		switch chunk[n] {
		case '"':
			s.pos++
			return nil
		case '\n':
			return s.errorf("the line ends within a string")
		}
		if err := s.escape(); err != nil {
			return err
		}
	}
	return s.unexpected("'\"' at the end of the string")
}

// escape consumes a backslash and what belongs to it.
func (s *scanner) escape() error {
	s.pos++
	if !s.fill() {
		return s.unexpected("an escape")
	}
	c := s.buf[s.pos]
	const letters, values = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := bytes.IndexByte([]byte(letters), c); i >= 0 {
		s.pos++
		s.text = append(s.text, values[i])
		return nil
	}
	switch {
	case c == 'u':
	case c < ' ' || c > '~': // not to be printed
		return s.errorf("unknown escape: \\ before byte 0x%02x", c)
	default:
		return s.errorf("unknown escape \\%c", c)
	}
	s.pos++
	r, err := s.hex()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(r) && s.fill() && s.buf[s.pos] == '\\' {
		s.pos++
		if !s.fill() || s.buf[s.pos] != 'u' {
			return s.unexpected("the second half of a surrogate pair")
		}
		s.pos++
		low, err := s.hex()
		if err != nil {
			return err
		}
		r = utf16.DecodeRune(r, low)
	}
	s.text = utf8.AppendRune(s.text, r)
	return nil
}

// hex consumes four hexadecimal digits.
func (s *scanner) hex() (rune, error) {
	var digits [4]byte
	for i := range digits {
		if !s.fill() {
			return 0, s.unexpected("four hexadecimal digits")
		}
		digits[i] = s.buf[s.pos]
		s.pos++
	}
	v, err := strconv.ParseUint(string(digits[:]), 16, 32)
	if err != nil {
		return 0, s.errorf("%q is not four hexadecimal digits", digits[:])
	}
	return rune(v), nil
}

// word consumes a number, true, false, null, NaN or Infinity into s.text.
func (s *scanner) word(want string) error {
	s.peek()
	s.text = s.text[:0]
	for s.fill() {
		n := s.pos
		for n < s.end && isWord(s.buf[n]) {
			n++
		}
		s.text = append(s.text, s.buf[s.pos:n]...)
		s.pos = n
		if n < s.end {
			break
		}
		if len(s.text) > maxText {
			return s.errorf("a value of more than %d bytes", maxText)
		}
	}
	if len(s.text) == 0 {
		return s.unexpected(want)
	}
	return nil
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// id consumes a node id, a string or a whole number, into s.text. Numbers keep their digits,
// so that 7 and "7" name the same node.
func (s *scanner) id(want string) (number bool, err error) {
	if s.peek() == '"' {
		return false, s.str(want)
	}
	at := s.here()
	if err := s.word(want); err != nil {
		return false, err
	}
	if _, err := strconv.ParseInt(string(s.text), 10, 64); err != nil {
		return false, s.errorAt(at, "found %q, want %s", clip(s.text), want)
	}
	return true, nil
}

// flag consumes true or false, or 0 or 1.
func (s *scanner) flag(name string) (bool, error) {
	s.peek()
	at := s.here()
	if err := s.word("true or false"); err != nil {
		return false, err
	}
	switch string(s.text) {
	case "true", "1":
		return true, nil
	case "false", "0", "null":
		return false, nil
	}
	return false, s.errorAt(at, "%s is %q, want true or false", name, clip(s.text))
}

// number consumes a number.
func (s *scanner) number(name string) (float64, error) {
	s.peek()
	at := s.here()
	if err := s.word("a number"); err != nil {
		return 0, err
	}
	x, err := strconv.ParseFloat(string(s.text), 64)
	if err != nil {
		return 0, s.errorAt(at, "%s is %q, want a number", name, clip(s.text))
	}
	return x, nil
}

// skip consumes any value.
func (s *scanner) skip() error { return s.skipNested(0) }

func (s *scanner) skipNested(depth int) error {
	if depth > maxDepth {
		return s.errorf("values are nested deeper than %d", maxDepth)
	}
	switch s.peek() {
	case '{':
		return s.object("'{'", func([]byte, place) error { return s.skipNested(depth + 1) })
	case '[':
		return s.list("'['", func() error { return s.skipNested(depth + 1) })
	case '"':
		return s.skipString()
	}
	at := s.here()
	if err := s.word("a value"); err != nil {
		return err
	}
	switch string(s.text) {
	case "true", "false", "null", "NaN", "Infinity", "-Infinity":
		return nil
	}
	if _, err := strconv.ParseFloat(string(s.text), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return s.errorAt(at, "found %q, want a value", clip(s.text))
	}
	return nil
}

// skipString consumes a string of any length.
func (s *scanner) skipString() error {
	s.pos++
	for s.fill() {
		c := s.buf[s.pos]
		s.pos++
		switch c {
		case '"':
			return nil
		case '\\':
			if s.fill() {
				s.pos++
			}
		case '\n':
			return s.errorf("the line ends within a string")
		}
	}
	return s.unexpected("'\"' at the end of the string")
}

// clip shortens a text for a message.
func clip(text []byte) []byte {
	const most = 40
	if len(text) > most {
		return append(bytes.Clone(text[:most]), "…"...)
	}
	return text
}
