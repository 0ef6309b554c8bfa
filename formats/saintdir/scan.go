package saintdir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/fileop"
)

const (
	// scanBuffer is the number of bytes that a scanner holds at once.
	scanBuffer = 256 << 10
	// maxToken bounds a number or a key. The longest int64 has 20 bytes.
	maxToken = 64
)

// scanner reads the tokens of a JSON file of any size with one buffer. encoding/json would
// make a value of every number, at a tenth of the speed. Errors carry the byte offset.
type scanner struct {
	path     string
	r        io.Reader
	buf      []byte
	pos, end int   // buf[pos:end] is not consumed yet
	base     int64 // offset of buf[0] in the file
	readErr  error // what ended reading; io.EOF at the end
	token    [maxToken]byte
}

func newScanner(path string, r io.Reader) *scanner {
	return &scanner{path: path, r: r, buf: make([]byte, scanBuffer)}
}

// offset returns the position of the next byte.
func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// errorAt returns an error about the byte at off.
func (s *scanner) errorAt(off int64, format string, args ...any) error {
	return &formats.InputError{Path: s.path, Offset: off, Err: fmt.Errorf(format, args...)}
}

// fill moves what is not consumed to the front and reads more. It returns whether there is
// more than before.
func (s *scanner) fill() bool {
	copy(s.buf, s.buf[s.pos:s.end])
	s.base += int64(s.pos)
	s.end -= s.pos
	s.pos = 0
	for s.readErr == nil && s.end < len(s.buf) {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.readErr = err
		if n > 0 {
			return true
		}
	}
	return false
}

// ensure makes n unconsumed bytes available unless the file ends before.
func (s *scanner) ensure(n int) {
	for s.end-s.pos < n && s.fill() {
	}
}

// peek skips white space and returns the next byte without consuming it; 0 at the end.
func (s *scanner) peek() byte {
	for {
		for ; s.pos < s.end; s.pos++ {
			if c := s.buf[s.pos]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				return c
			}
		}
		if !s.fill() {
			return 0
		}
	}
}

// found describes the next byte for an error message.
func (s *scanner) found() string {
	c := s.peek()
	switch {
	case s.pos == s.end:
		return "the end of the file"
	case c < 0x20 || c >= 0x7f:
		return fmt.Sprintf("byte 0x%02x", c)
	default:
		return strconv.QuoteRune(rune(c))
	}
}

// unexpected returns the error for a next byte that does not fit.
func (s *scanner) unexpected(want string) error {
	found := s.found()
	if s.readErr != nil && !errors.Is(s.readErr, io.EOF) {
		return s.readErr
	}
	return s.errorAt(s.offset(), "found %s, want %s", found, want)
}

// expect consumes the byte c, after white space.
func (s *scanner) expect(c byte, want string) error {
	if s.peek() != c || s.pos == s.end {
		return s.unexpected(want)
	}
	s.pos++
	return nil
}

// more consumes the comma before a further element, or the closing bracket.
func (s *scanner) more(closing byte) (bool, error) {
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	default:
		return false, s.unexpected(fmt.Sprintf("',' or '%c'", closing))
	}
}

// finish verifies that nothing but white space follows.
func (s *scanner) finish() error {
	if s.peek(); s.pos < s.end || !errors.Is(s.readErr, io.EOF) {
		return s.unexpected("the end of the file")
	}
	return nil
}

// key consumes a string and the colon after it. The bytes are valid until the next call.
// No key of the files that are read here has an escape, so one with a backslash is refused.
func (s *scanner) key(want string) (text []byte, at int64, err error) {
	if s.peek() != '"' {
		return nil, 0, s.unexpected(want)
	}
	s.ensure(maxToken + 2)
	at = s.offset()
	rest := s.buf[s.pos+1 : min(s.end, s.pos+maxToken+2)]
	n := bytes.IndexByte(rest, '"')
	if n < 0 || bytes.IndexByte(rest[:n], '\\') >= 0 {
		return nil, 0, s.errorAt(at, "key is not closed, too long or has an escape, want %s", want)
	}
	// The colon may need a refill, which moves the buffer.
	text = s.token[:copy(s.token[:], rest[:n])]
	s.pos += n + 2
	return text, at, s.expect(':', "':' after the key")
}

// nodeID returns the node id that text spells, or -1.
func nodeID(text []byte) int32 {
	if len(text) == 0 || len(text) > 10 || text[0] == '0' && len(text) > 1 {
		return -1
	}
	v := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return -1
		}
		v = 10*v + int64(c-'0')
	}
	if v > maxNodeID {
		return -1
	}
	return int32(v)
}

// integer consumes a number without fraction (1.0 counts as one) or a truth value, which
// stands for 0 or 1. want names what belongs there.
func (s *scanner) integer(want string) (int64, error) {
	first := s.peek()
	if v, n := plainInteger(s.buf[s.pos:s.end]); n > 0 {
		s.pos += n
		return v, nil
	}
	s.ensure(maxToken + 1)
	token := s.buf[s.pos:min(s.end, s.pos+maxToken+1)]
	n := 0
	for n < len(token) && isTokenByte(token[n]) {
		n++
	}
	switch {
	case n == 0:
		return 0, s.unexpected(want)
	case n > maxToken:
		return 0, s.errorAt(s.offset(), "a value of more than %d characters, want %s", maxToken, want)
	}
	token = token[:n]
	if first == 't' || first == 'f' {
		if string(token) != "true" && string(token) != "false" {
			return 0, s.errorAt(s.offset(), "found %q, want %s", token, want)
		}
		s.pos += n
		if first == 't' {
			return 1, nil
		}
		return 0, nil
	}
	v, ok := parseInteger(token)
	if !ok {
		return 0, s.errorAt(s.offset(), "found %q, want %s", token, want)
	}
	s.pos += n
	return v, nil
}

// plainInteger returns the value and length of the digits that text begins with. The length
// is 0 for anything that needs a closer look, also if text ends with the digits.
func plainInteger(text []byte) (v int64, n int) {
	const safe = 18 // digits that fit into an int64 whatever they are
	for n < min(len(text), safe) && text[n]-'0' <= 9 {
		v = 10*v + int64(text[n]-'0')
		n++
	}
	if n == 0 || n == len(text) || isTokenByte(text[n]) || text[0] == '0' && n > 1 {
		return 0, 0
	}
	return v, n
}

func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// parseInteger returns the value of a JSON number without fraction.
func parseInteger(token []byte) (int64, bool) {
	digits := token
	if digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 && digits[1] >= '0' && digits[1] <= '9' {
		return 0, false
	}
	plain := true
	for i, c := range digits {
		if c < '0' || c > '9' {
			plain = false
		}
		if c == '.' && (i+1 == len(digits) || digits[i+1] < '0' || digits[i+1] > '9') {
			return 0, false
		}
		if c == 'x' || c == 'X' || c == 'p' || c == 'P' {
			return 0, false
		}
	}
	if plain {
		v, err := strconv.ParseInt(string(token), 10, 64)
		return v, err == nil
	}
	f, err := strconv.ParseFloat(string(token), 64)
	const exact = 1 << 53
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, false
	}
	return int64(f), true
}

// scanFile runs f over the file at path. An error with a byte offset gets line and column.
func scanFile(path string, f func(s *scanner) error) error {
	file, err := fileop.Open(path)
	if err != nil {
		return inFile(path, err)
	}
	defer file.Close() //nolint:errcheck // opened for reading
	if err := f(newScanner(path, file)); err != nil {
		return locate(file, inFile(path, err))
	}
	return nil
}

// locate adds line and column to an error with a byte offset.
func locate(file io.ReadSeeker, err error) error {
	var in *formats.InputError
	if errors.As(err, &in) && in.Offset >= 0 && in.Line == 0 {
		if _, seekErr := file.Seek(0, io.SeekStart); seekErr == nil {
			in.Line, in.Col = lineAndColumn(file, in.Offset)
		}
	}
	return err
}

// lineAndColumn returns the 1-based position of the byte at offset; 0, 0 if r ends before.
func lineAndColumn(r io.Reader, offset int64) (line, col int) {
	line, col = 1, 1
	buf := make([]byte, scanBuffer)
	for offset > 0 {
		n, err := r.Read(buf[:min(int64(len(buf)), offset)])
		offset -= int64(n)
		if lines := bytes.Count(buf[:n], []byte{'\n'}); lines > 0 {
			line += lines
			col = n - bytes.LastIndexByte(buf[:n], '\n')
		} else {
			col += n
		}
		if err != nil && offset > 0 {
			return 0, 0
		}
	}
	return line, col
}
