package ogb

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
)

// FuzzPairs compares the parser of edges with the obvious one.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{"", "1,2\n3,4", "0,0\r\n", "1,2,3\n", "19,20\n", "x\n", ",\n", "1,2\n\n", "2147483648,1", "00000000000000000001,2\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const nodes = 20
		got, bad := parsePairs(text, nodes)
		want, at := slowPairs(string(text), nodes)
		if (bad != nil) != (at > 0) || bad != nil && (bad.line != at || bad.col < 1) {
			t.Fatalf("parsePairs(%q): error %+v, want one in line %d", text, bad, at)
		}
		if bad == nil && len(got) != len(want) {
			t.Fatalf("parsePairs(%q) = %v, want %v", text, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("parsePairs(%q) = %v, want %v", text, got, want)
			}
		}
	})
}

// slowPairs returns the ids, or the number of the first bad line.
func slowPairs(text string, nodes int) (ids []int32, bad int) {
	for i, line := range strings.SplitAfter(text, "\n") {
		if line == "" {
			break
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		parts := strings.Split(line, ",")
		if len(parts) != 2 {
			return nil, i + 1
		}
		for _, p := range parts {
			v, err := strconv.ParseUint(p, 10, 64)
			if err != nil || v >= uint64(nodes) || strings.ContainsAny(p, "+_") {
				return nil, i + 1
			}
			ids = append(ids, int32(v))
		}
	}
	return ids, 0
}

// FuzzFloat compares the parser of numbers with the standard library's, bit by bit.
func FuzzFloat(f *testing.F) {
	for _, s := range []string{"0", "-0.057943", "1e22", "123456789012345678901", "0.019318640232086182", "1e-400", "1e400", ".5", "5.", "+1", "e5", "1e", "nan", "0x1p3", "1_0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		x, n, ok := parseFloat(text)
		if !ok {
			return
		}
		if n < 1 || n > len(text) {
			t.Fatalf("parseFloat(%q) took %d bytes", text, n)
		}
		want, _ := strconv.ParseFloat(string(text[:n]), 64)
		if math.Float64bits(x) != math.Float64bits(want) {
			t.Fatalf("parseFloat(%q) = %v, want %v", text, x, want)
		}
	})
}

// FuzzTables runs the parsers of features and labels: they never panic, return whole lines,
// and name a place within the text.
func FuzzTables(f *testing.F) {
	f.Add([]byte("1.5,2\n3,4\n"), uint8(2))
	f.Add([]byte("nan,1\r\n,0\n"), uint8(2))
	f.Add([]byte("1e39\n"), uint8(1))
	f.Add([]byte("\"\"\n7\n"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, c uint8) {
		columns := int(c%5) + 1
		lines := countLines(text)
		check := func(what string, values int, bad *lineError) {
			if bad == nil && values != lines*columns {
				t.Fatalf("%s of %q: %d values of %d lines, %d columns", what, text, values, lines, columns)
			}
			if bad != nil && (bad.line < 1 || bad.line > lines || bad.col < 1 || bad.col > len(text)+1) {
				t.Fatalf("%s of %q: error at %d:%d", what, text, bad.line, bad.col)
			}
		}
		floats, bad := parseFloats(nil, text, columns)
		check("parseFloats", len(floats), bad)
		for _, x := range floats {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Fatalf("parseFloats(%q) holds %v", text, x)
			}
		}
		labels, bad := parseLabels(text, columns, most(columns))
		check("parseLabels", len(labels), bad)
		for _, l := range labels {
			if l < noLabel || int(l) > most(columns) {
				t.Fatalf("parseLabels(%q) holds %d", text, l)
			}
		}
		parseCounts(text)
	})
}

// FuzzBlocks cuts a text into small pieces on the way in: lines and their number stay.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte("1,2\n3,4\n5,6"), uint8(1))
	f.Add([]byte("\n\n"), uint8(3))
	f.Fuzz(func(t *testing.T, text []byte, step uint8) {
		s := &scanner{path: "x", workers: 2, broken: func(_ int64, err error) error { return err }, after: func(int64) {}}
		var got []byte
		lines, err := scanLines(t.Context(), s, &stepReader{text, int(step)%7 + 1}, func(b []byte) ([]byte, *lineError) {
			return bytes.Clone(b), nil
		}, func(b []byte) error {
			got = append(got, b...)
			return nil
		})
		if err != nil || !bytes.Equal(got, text) || int(lines) != countLines(text) {
			t.Fatalf("scanLines(%q) gave %q, %d lines, %v", text, got, lines, err)
		}
	})
}
