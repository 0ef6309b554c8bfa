package tfevents

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// crc is the sum of RFC 3720 with the mask, bit by bit: the test shares no code with the writer.
func crc(data []byte) uint32 {
	c := ^uint32(0)
	for _, b := range data {
		c ^= uint32(b)
		for range 8 {
			c = c>>1 ^ 0x82f63b78*(c&1)
		}
	}
	c = ^c
	return (c>>15 | c<<17) + 0xa282ead8
}

// frames splits a file into its records.
func frames(t *testing.T, file []byte) [][]byte {
	t.Helper()
	var all [][]byte
	for len(file) > 0 {
		n := binary.LittleEndian.Uint64(file)
		if got, want := binary.LittleEndian.Uint32(file[8:]), crc(file[:8]); got != want {
			t.Fatalf("sum of the length = %#x, want %#x", got, want)
		}
		data := file[12 : 12+n]
		if got, want := binary.LittleEndian.Uint32(file[12+n:]), crc(data); got != want {
			t.Fatalf("sum of the data = %#x, want %#x", got, want)
		}
		all, file = append(all, data), file[16+n:]
	}
	return all
}

// message prints a protobuf message as its fields; nested names those that are messages.
func message(t *testing.T, b []byte, path string, nested map[string]bool) string {
	t.Helper()
	var out []string
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		b = b[n:]
		field := fmt.Sprintf("%s%d", path, key>>3)
		switch key & 7 {
		case 0:
			v, n := binary.Uvarint(b)
			b = b[n:]
			out = append(out, fmt.Sprintf("%s=%d", field, int64(v)))
		case 1:
			out = append(out, fmt.Sprintf("%s=%.6f", field, math.Float64frombits(binary.LittleEndian.Uint64(b))))
			b = b[8:]
		case 2:
			size, n := binary.Uvarint(b)
			data := b[n : n+int(size)]
			b = b[n+int(size):]
			if nested[field] {
				out = append(out, field+"{"+message(t, data, field+".", nested)+"}")
			} else {
				out = append(out, fmt.Sprintf("%s=%q", field, data))
			}
		case 5:
			out = append(out, fmt.Sprintf("%s=%g", field, math.Float32frombits(binary.LittleEndian.Uint32(b))))
			b = b[4:]
		default:
			t.Fatalf("wire type %d", key&7)
		}
	}
	return strings.Join(out, " ")
}

func TestWriter(t *testing.T) {
	var file bytes.Buffer
	now := time.Unix(1700000000, 250_000_000)
	w, err := NewWriter(&file, now)
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.Restart(3, now))
	check(w.Scalars(3, now, Scalar{"train/loss", 0.5}, Scalar{"none", math.NaN()}, Scalar{"validation/f1 ü", 0.75}))
	check(w.Scalars(4, now, Scalar{"none", math.NaN()}))
	check(w.Scalars(1<<40, now.Add(time.Second), Scalar{"train/loss", math.Inf(1)}))
	nested := map[string]bool{"5": true, "5.1": true, "7": true}
	var got []string
	for _, f := range frames(t, file.Bytes()) {
		got = append(got, message(t, f, "", nested))
	}
	want := []string{
		`1=1700000000.250000 2=0 3="brain.Event:2"`,
		`1=1700000000.250000 2=3 7{7.1=1}`,
		`1=1700000000.250000 2=3 5{5.1{5.1.1="train/loss" 5.1.2=0.5} 5.1{5.1.1="validation/f1 ü" 5.1.2=0.75}}`,
		`1=1700000001.250000 2=1099511627776 5{5.1{5.1.1="train/loss" 5.1.2=+Inf}}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMasked compares with sums that RFC 3720 gives.
func TestMasked(t *testing.T) {
	for _, test := range []struct {
		name string
		data []byte
		sum  uint32
	}{
		{"zeros", make([]byte, 32), 0x8a9136aa},
		{"ones", bytes.Repeat([]byte{0xff}, 32), 0x62a8ab43},
	} {
		want := (test.sum>>15 | test.sum<<17) + 0xa282ead8
		if got := masked(test.data); got != want {
			t.Errorf("masked(%s) = %#x, want %#x", test.name, got, want)
		}
	}
}

func TestFileName(t *testing.T) {
	now := time.Unix(1700000000, 0)
	a, b, c := FileName(now, 1), FileName(now, 2), FileName(now.Add(time.Second), 1)
	if a >= b || b >= c || !strings.Contains(a, "tfevents") {
		t.Errorf("FileName = %q, %q, %q, want names in order with tfevents in them", a, b, c)
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriteFails(t *testing.T) {
	if _, err := NewWriter(full{}, time.Now()); err == nil {
		t.Error("NewWriter on a full disk = nil, want an error")
	}
}

func TestAllocations(t *testing.T) {
	var file bytes.Buffer
	file.Grow(1 << 20)
	w, err := NewWriter(&file, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	values := []Scalar{{"a", 1}, {"b", 2}}
	if got := testing.AllocsPerRun(100, func() { w.Scalars(1, time.Time{}, values...) }); got != 0 {
		t.Errorf("Scalars allocates %v times, want 0", got)
	}
}
