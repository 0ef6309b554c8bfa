package ogb

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// cursor walks over the values of a block of CSV text. After a mistake, at is where it is.
type cursor struct {
	text  []byte
	at    int
	line  int // 1-based
	begin int // of the line
}

func newCursor(text []byte) cursor { return cursor{text: text, line: 1} }

// more reports whether a line follows.
func (c *cursor) more() bool { return c.at < len(c.text) }

// fail returns an error at the cursor.
func (c *cursor) fail(format string, args ...any) *lineError {
	return &lineError{line: c.line, col: c.at - c.begin + 1, err: fmt.Errorf(format, args...)}
}

// field returns what stands from the cursor to the next comma or line end, for messages
// and for rare forms. It does not move.
func (c *cursor) field() []byte {
	end := c.at
	for end < len(c.text) && c.text[end] != ',' && c.text[end] != '\n' && c.text[end] != '\r' {
		end++
	}
	return c.text[c.at:end]
}

// shown is field for messages.
func (c *cursor) shown() string {
	const most = 40
	f := c.field()
	if len(f) == 0 {
		return "nothing"
	}
	if len(f) > most {
		return strconv.Quote(string(f[:most])) + "…"
	}
	return strconv.Quote(string(f))
}

// comma consumes the separator in front of value number next of want.
func (c *cursor) comma(next, want int) *lineError {
	if c.at < len(c.text) && c.text[c.at] == ',' {
		c.at++
		return nil
	}
	if c.lineEnds() {
		return c.fail("the line ends after %d %s, want %d", next-1, values(next-1), want)
	}
	return c.fail("unexpected %s, want a comma and value %d of %d", c.shown(), next, want)
}

// newline consumes the end of a line of want values.
func (c *cursor) newline(want int) *lineError {
	if c.at < len(c.text) && c.text[c.at] == '\r' {
		c.at++
	}
	switch {
	case c.at == len(c.text):
		return nil
	case c.text[c.at] == '\n':
		c.at++
		c.line++
		c.begin = c.at
		return nil
	case c.text[c.at] == ',':
		return c.fail("the line goes on after %d %s, want no more", want, values(want))
	}
	return c.fail("unexpected %s, want the end of the line after %d %s", c.shown(), want, values(want))
}

func (c *cursor) lineEnds() bool {
	return c.at == len(c.text) || c.text[c.at] == '\n' || c.text[c.at] == '\r'
}

func values(n int) string {
	if n == 1 {
		return "value"
	}
	return "values"
}

// id consumes a node id below nodes.
func (c *cursor) id(nodes int) (int32, *lineError) {
	start := c.at
	v := 0
	for c.at < len(c.text) {
		d := c.text[c.at] - '0'
		if d > 9 {
			break
		}
		v = v*10 + int(d)
		if v > math.MaxInt32 {
			break
		}
		c.at++
	}
	if c.at == start || c.at < len(c.text) && c.text[c.at] > ',' || v >= nodes {
		c.at = start
		return 0, c.badID(nodes)
	}
	return int32(v), nil
}

// badID says what is wrong with a node id.
func (c *cursor) badID(nodes int) *lineError {
	f := strings.TrimPrefix(string(c.field()), "-")
	for _, b := range []byte(f) {
		if b < '0' || b > '9' {
			return c.fail("%s is not a node id, want a whole number", c.shown())
		}
	}
	if f == "" {
		return c.fail("a node id is missing")
	}
	return c.fail("node id %s, but there are %d nodes (ids 0 to %d)", c.field(), nodes, nodes-1)
}

// parsePairs parses lines of two node ids.
func parsePairs(text []byte, nodes int) ([]int32, *lineError) {
	out := make([]int32, 0, 2*countLines(text))
	for c := newCursor(text); c.more(); {
		u, bad := c.id(nodes)
		if bad == nil {
			bad = c.comma(2, 2)
		}
		if bad != nil {
			return nil, bad
		}
		v, bad := c.id(nodes)
		if bad == nil {
			bad = c.newline(2)
		}
		if bad != nil {
			return nil, bad
		}
		out = append(out, u, v)
	}
	return out, nil
}

// parseIDs parses lines of one node id.
func parseIDs(text []byte, nodes int) ([]int32, *lineError) {
	out := make([]int32, 0, countLines(text))
	for c := newCursor(text); c.more(); {
		v, bad := c.id(nodes)
		if bad == nil {
			bad = c.newline(1)
		}
		if bad != nil {
			return nil, bad
		}
		out = append(out, v)
	}
	return out, nil
}

// parseFloats parses lines of numbers that float32 can hold and appends them to out.
func parseFloats(out []float32, text []byte, columns int) ([]float32, *lineError) {
	for c := newCursor(text); c.more(); {
		for j := range columns {
			if j > 0 {
				if bad := c.comma(j+1, columns); bad != nil {
					return nil, bad
				}
			}
			x, bad := c.float(columns)
			if bad != nil {
				return nil, bad
			}
			out = append(out, x)
		}
		if bad := c.newline(columns); bad != nil {
			return nil, bad
		}
	}
	return out, nil
}

// float consumes a finite number.
func (c *cursor) float(columns int) (float32, *lineError) {
	x, n, ok := parseFloat(c.text[c.at:])
	if !ok {
		if len(c.field()) == 0 && columns > 1 && c.lineEnds() {
			return 0, c.fail("the line ends here, want %d numbers", columns)
		}
		return 0, c.fail("%s is not a number", c.shown())
	}
	if y := float32(x); !math.IsInf(float64(y), 0) {
		c.at += n
		return y, nil
	}
	return 0, c.fail("%s is too great for a 32-bit number", c.shown())
}

// powers of ten that float64 holds exactly.
var powers = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseFloat reads a decimal number at the front of text, correctly rounded to float64, and
// returns the number of its bytes. Words such as nan and inf are no numbers here.
func parseFloat(text []byte) (x float64, n int, ok bool) {
	i := 0
	negative := false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	var mantissa uint64
	digits, exponent := 0, 0
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		mantissa = mantissa*10 + uint64(text[i]-'0') // may overflow: not used then
		digits++
	}
	if i < len(text) && text[i] == '.' {
		i++
		for ; i < len(text) && text[i]-'0' <= 9; i++ {
			mantissa = mantissa*10 + uint64(text[i]-'0')
			digits++
			exponent--
		}
	}
	if digits == 0 {
		return 0, 0, false
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		shift, m := parseExponent(text[i+1:])
		if m == 0 {
			return 0, 0, false
		}
		i += 1 + m
		exponent += shift
	}
	// A mantissa and a power of ten that are both exact give the nearest number in one
	// rounding (Clinger 1990).
	if digits <= 19 && mantissa < 1<<53 && exponent >= -22 && exponent <= 22 {
		x = float64(mantissa)
		if exponent < 0 {
			x /= powers[-exponent]
		} else {
			x *= powers[exponent]
		}
		if negative {
			x = -x
		}
		return x, i, true
	}
	// What strconv returns beside an error of range is the infinity that callers look for.
	x, _ = strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), i), 64)
	return x, i, true
}

// parseExponent reads the digits behind an e. Greater ones than any number has are clipped.
func parseExponent(text []byte) (e, n int) {
	i := 0
	negative := false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	first := i
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		e = min(e*10+int(text[i]-'0'), 1<<20)
	}
	if i == first {
		return 0, 0
	}
	if negative {
		e = -e
	}
	return e, i
}

// maxClass is the greatest class number: an output layer has a column for each.
const maxClass = 1<<20 - 1

// noLabel stands for a label that is missing.
const noLabel = -1

// parseLabels parses lines of whole numbers up to most, or of nan or nothing for a label
// that is missing.
func parseLabels(text []byte, columns, most int) ([]int32, *lineError) {
	out := make([]int32, 0, columns*countLines(text))
	for c := newCursor(text); c.more(); {
		for j := range columns {
			if j > 0 {
				if bad := c.comma(j+1, columns); bad != nil {
					return nil, bad
				}
			}
			v, bad := c.label(most)
			if bad != nil {
				return nil, bad
			}
			out = append(out, v)
		}
		if bad := c.newline(columns); bad != nil {
			return nil, bad
		}
	}
	return out, nil
}

func (c *cursor) label(most int) (int32, *lineError) {
	f := c.field()
	switch strings.ToLower(string(f)) { // short forms do not allocate
	case "", `""`, "nan":
		c.at += len(f)
		return noLabel, nil
	}
	x, n, ok := parseFloat(f)
	switch {
	case !ok || n != len(f) || x != math.Trunc(x):
		return 0, c.fail("label %s, want a whole number, or nan where there is none", c.shown())
	case x < 0 || x > float64(most):
		return 0, c.fail("label %s, want 0 to %d", c.shown(), most)
	}
	c.at += n
	return int32(x), nil
}
