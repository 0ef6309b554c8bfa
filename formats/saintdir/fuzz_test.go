package saintdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/saint-gnn/saint/formats"
)

// parseRolesBytes returns the ids of a role file in its order.
func parseRolesBytes(r io.Reader) (nodes [3][]int32, err error) {
	err = parseRoles(newScanner("role.json", r), func(role int, v int32, _ int64) error {
		nodes[role] = append(nodes[role], v)
		return nil
	})
	return nodes, err
}

// parseLabelBytes returns the content of a label file.
func parseLabelBytes(r io.Reader, size int) (*labelSet, error) {
	p := classParser{labelSet: &labelSet{}, size: int64(size)}
	err := p.parse(newScanner("class_map.json", r))
	return p.labelSet, err
}

// checkFuzzError wants an error with a position inside the file.
func checkFuzzError(t *testing.T, err error, data []byte) {
	t.Helper()
	var in *formats.InputError
	if !errors.As(err, &in) || in.Offset < 0 || in.Offset > int64(len(data)) {
		t.Fatalf("error = %#v, want an InputError with an offset up to %d", err, len(data))
	}
	line, col := lineAndColumn(bytes.NewReader(data), in.Offset)
	before := data[:in.Offset]
	if want := 1 + bytes.Count(before, []byte{'\n'}); line != want {
		t.Fatalf("line of byte %d = %d, want %d", in.Offset, line, want)
	}
	if want := len(before) - bytes.LastIndexByte(before, '\n'); col != want {
		t.Fatalf("column of byte %d = %d, want %d", in.Offset, col, want)
	}
}

func FuzzRoles(f *testing.F) {
	for _, s := range []string{goodRoles, `{"tr":[1.0,2e0],"va":[],"te":[ 3 ]}`, `{"tr":[true],"va":[-1],"te":[x`, "{\n}", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseRolesBytes(bytes.NewReader(data))
		slow, slowErr := parseRolesBytes(iotest.OneByteReader(bytes.NewReader(data)))
		if !reflect.DeepEqual(got, slow) || (err == nil) != (slowErr == nil) || err != nil && err.Error() != slowErr.Error() {
			t.Fatalf("read at once: %v, %v; byte by byte: %v, %v", got, err, slow, slowErr)
		}
		if err != nil {
			checkFuzzError(t, err, data)
			return
		}
		// Whatever is accepted is what encoding/json sees, apart from truth values.
		var want map[string][]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		for i, key := range roleKeys {
			if len(want[key]) != len(got[i]) {
				t.Fatalf("role %s has %d nodes, want %d", key, len(got[i]), len(want[key]))
			}
			for k, v := range want[key] {
				if f, ok := v.(float64); ok && f != float64(got[i][k]) {
					t.Fatalf("role %s, entry %d = %d, want %v", key, k, got[i][k], f)
				}
			}
		}
	})
}

func FuzzClassMap(f *testing.F) {
	for _, s := range []string{
		goodLabels, `{"0":[0,1],"1":[1,0]}`, `{"0":[0, 1], "7":[true,0.0]}`, `{"0":-5,"3":1e3}`,
		`{"0":[0,1],"1":[1]}`, `{"0":[0,`, `{"0":[1 ,0]}`, "{}", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseLabelBytes(bytes.NewReader(data), len(data))
		slow, slowErr := parseLabelBytes(iotest.OneByteReader(bytes.NewReader(data)), 0)
		if !slices.Equal(got.bits, slow.bits) || !slices.Equal(got.class, slow.class) || !slices.Equal(got.ids, slow.ids) ||
			(err == nil) != (slowErr == nil) || err != nil && err.Error() != slowErr.Error() {
			t.Fatalf("read at once: %v, %v; byte by byte: %v, %v", got, err, slow, slowErr)
		}
		if err != nil {
			checkFuzzError(t, err, data)
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted, but encoding/json refuses it")
		}
		if n := len(got.ids); n == 0 || n != got.entries() {
			t.Fatalf("%d keys for %d labels", n, got.entries())
		}
	})
}

// classMapText returns a class map of n nodes; separator stands between the values.
func classMapText(n, classes int, separator string) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	for v := range n {
		fmt.Fprintf(&b, "%c\"%d\":%s[", "{,"[min(v, 1)], v, separator[1:])
		for c := range classes {
			if c > 0 {
				b.WriteString(separator)
			}
			b.WriteByte('0' + byte(r.IntN(8)/7))
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.Bytes()
}

func TestScannerAcrossRefills(t *testing.T) {
	text := classMapText(3000, 121, ", ") // more than four buffers
	want, err := parseLabelBytes(bytes.NewReader(text), len(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseLabelBytes(iotest.HalfReader(bytes.NewReader(text)), 0)
	if err != nil || !slices.Equal(got.bits, want.bits) || !slices.Equal(got.ids, want.ids) {
		t.Errorf("reading in small pieces gives other labels (%v)", err)
	}
	if ones, entries := bytes.Count(text, []byte(", 1")), len(want.bits); entries != 3000*121 || ones == 0 {
		t.Errorf("%d entries, want %d", entries, 3000*121)
	}
	broken := errors.New("disk is gone")
	_, err = parseLabelBytes(io.MultiReader(bytes.NewReader(text[:300_000]), iotest.ErrReader(broken)), 0)
	if !errors.Is(err, broken) {
		t.Errorf("error = %v, want %v", err, broken)
	}
}

func TestClassMapMemoryIsBounded(t *testing.T) {
	text := classMapText(2000, 100, ",")
	l, err := parseLabelBytes(bytes.NewReader(text), len(text))
	if err != nil {
		t.Fatal(err)
	}
	if c := cap(l.bits); c > len(text)/2+100 {
		t.Errorf("%d bytes for the labels of a file of %d bytes, want at most half", c, len(text))
	}
}

func BenchmarkClassMap(b *testing.B) {
	single := "{" + strings.Repeat(`"123456":17, `, 500_000) + `"1":1}`
	tests := []struct {
		name string
		text []byte
	}{
		{"multi", classMapText(50_000, 100, ",")},
		{"multi-spaced", classMapText(50_000, 100, ", ")},
		{"single", []byte(single)},
	}
	for _, test := range tests {
		b.Run(test.name, func(b *testing.B) {
			b.SetBytes(int64(len(test.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseLabelBytes(bytes.NewReader(test.text), len(test.text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRoles(b *testing.B) {
	text := []byte(`{"tr":[` + strings.Repeat("123456, ", 1_000_000) + `1],"va":[],"te":[]}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := parseRolesBytes(bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
