package npy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// dictParser reads the one Python literal that a header holds:
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//
// Keys in any order, each once; single or double quotes; any white space; the last comma
// is optional; numbers may end in L, as Python 2 wrote them. Nothing is evaluated.
type dictParser struct {
	text    []byte
	at      int // next byte; after an error, the byte it is about
	shapeAt int
}

var errEnd = errors.New("it ends too early")

func (p *dictParser) parse() (Header, error) {
	var h Header
	seen := map[string]bool{}
	if err := p.expect('{'); err != nil {
		return h, err
	}
	for p.peek() != '}' {
		keyAt := p.at
		key, err := p.str()
		if err != nil {
			return h, err
		}
		if seen[key] {
			p.at = keyAt
			return h, fmt.Errorf("key %q appears twice", key)
		}
		seen[key] = true
		if err := p.expect(':'); err != nil {
			return h, err
		}
		if err := p.value(&h, key, keyAt); err != nil {
			return h, err
		}
		if p.peek() != ',' {
			break
		}
		p.at++
	}
	if err := p.expect('}'); err != nil {
		return h, err
	}
	if p.peek(); p.at < len(p.text) {
		return h, fmt.Errorf("%q after the closing brace", p.text[p.at])
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			p.at = 0
			return h, fmt.Errorf("key %q is missing", key)
		}
	}
	return h, nil
}

func (p *dictParser) value(h *Header, key string, keyAt int) (err error) {
	switch key {
	case "descr":
		return p.descr(h)
	case "fortran_order":
		h.Fortran, err = p.boolean()
	case "shape":
		p.peek()
		p.shapeAt = p.at
		h.Shape, err = p.tuple()
	default:
		p.at = keyAt
		err = fmt.Errorf("unknown key %q, want descr, fortran_order and shape", key)
	}
	return err
}

// peek skips white space and returns the next byte, 0 at the end.
func (p *dictParser) peek() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *dictParser) expect(want byte) error {
	switch got := p.peek(); {
	case p.at == len(p.text):
		return fmt.Errorf("%w, want %q", errEnd, want)
	case got != want:
		return fmt.Errorf("%q, want %q", got, want)
	}
	p.at++
	return nil
}

func (p *dictParser) str() (string, error) {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		if p.at == len(p.text) {
			return "", fmt.Errorf("%w, want a string", errEnd)
		}
		return "", fmt.Errorf("%q, want a string in quotes", quote)
	}
	start := p.at + 1
	for i := start; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == quote:
			p.at = i + 1
			return string(p.text[start:i]), nil
		case c == '\\' || c < ' ' || c > '~':
			p.at = i
			return "", fmt.Errorf("%q inside a string", c)
		}
	}
	return "", errors.New("a string without its closing quote")
}

func (p *dictParser) word() string {
	p.peek()
	start := p.at
	for p.at < len(p.text) && isWord(p.text[p.at]) {
		p.at++
	}
	return string(p.text[start:p.at])
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-' || c == '+' || c == '.'
}

func (p *dictParser) boolean() (bool, error) {
	p.peek()
	start := p.at
	switch w := p.word(); w {
	case "True":
		return true, nil
	case "False":
		return false, nil
	default:
		p.at = start
		return false, fmt.Errorf("fortran_order is %q, want True or False", w)
	}
}

func (p *dictParser) tuple() ([]int, error) {
	start := p.at
	if err := p.expect('('); err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	shape, comma := []int{}, false
	for p.peek() != ')' {
		if len(shape) == maxRank {
			p.at = start
			return nil, fmt.Errorf("shape has more than %d dimensions", maxRank)
		}
		d, err := p.extent()
		if err != nil {
			return nil, err
		}
		shape = append(shape, d)
		if comma = p.peek() == ','; !comma {
			break
		}
		p.at++
	}
	if err := p.expect(')'); err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	if len(shape) == 1 && !comma {
		p.at = start
		return nil, fmt.Errorf("shape is the number (%d), want a tuple such as (%d,)", shape[0], shape[0])
	}
	return shape, nil
}

func (p *dictParser) extent() (int, error) {
	p.peek()
	start := p.at
	w := p.word()
	digits := w
	if n := len(w); n > 1 && w[n-1] == 'L' {
		digits = w[:n-1]
	}
	d, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case w == "" || errors.Is(err, strconv.ErrSyntax):
		p.at = start
		return 0, fmt.Errorf("shape holds %q, want a number", w)
	case err != nil || d > math.MaxInt:
		p.at = start
		return 0, fmt.Errorf("shape holds %s, which is too large for this machine", digits)
	case len(digits) > 1 && digits[0] == '0': // Python's numbers do not begin so, and NumPy refuses them
		p.at = start
		return 0, fmt.Errorf("shape holds %s, want a number without leading zeros", digits)
	case d < 0:
		p.at = start
		return 0, fmt.Errorf("shape holds the negative number %d", d)
	}
	return int(d), nil
}

// descr reads the element type: byte order, kind letter, size.
func (p *dictParser) descr(h *Header) error {
	c := p.peek()
	start := p.at
	if c == '[' || c == '(' {
		return errors.New("descr: structured arrays are not supported; save one plain array per file")
	}
	text, err := p.str()
	if err != nil {
		return fmt.Errorf("descr: %w", err)
	}
	if err := parseDescr(text, h); err != nil {
		p.at = start
		return err
	}
	return nil
}

func parseDescr(text string, h *Header) error {
	rest := text
	if rest != "" {
		switch rest[0] {
		case '>':
			h.BigEndian = true
			rest = rest[1:]
		// "=" is the byte order of the machine that wrote the file, of which only little-endian
		// ones are left.
		case '<', '|', '=':
			rest = rest[1:]
		}
	}
	if rest == "?" {
		rest = "b1"
	}
	bad := fmt.Errorf("descr: element type %q is not supported, want bool, int8…64, uint8…64, float16, float32 or float64", text)
	if len(rest) < 2 {
		if rest == "O" {
			return errors.New("descr: the array holds Python objects, which are never loaded; save it with a numeric dtype")
		}
		return bad
	}
	width, err := strconv.ParseUint(rest[1:], 10, 28)
	if err != nil || rest[1] == '0' && width != 0 {
		return bad
	}
	for d := Bool; d <= Unicode; d++ {
		t := &dtypes[d]
		switch {
		case t.kind != rest[0]:
		case d >= Bytes:
			h.DType, h.ItemSize = d, int(width)*t.size
		case int(width) == t.size:
			h.DType, h.ItemSize = d, t.size
		}
	}
	if h.DType == 0 {
		return bad
	}
	if h.DType.Size() == 1 {
		h.BigEndian = false
	}
	return nil
}
