package npy

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

func TestReader(t *testing.T) {
	const n = 100_003
	values := make([]int64, n)
	for i := range values {
		values[i] = int64(i * 3)
	}
	var file bytes.Buffer
	if err := Write(&file, []int{n}, values); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(file.Bytes()), Source{Path: "x", Size: int64(file.Len())})
	if err != nil {
		t.Fatal(err)
	}
	ints, floats := make([]int32, 50_000), make([]float32, 50_000)
	if err := r.Int32s(ints); err != nil || ints[49_999] != 3*49_999 {
		t.Fatalf("Int32s: %d, %v", ints[49_999], err)
	}
	if err := r.Skip(2); err != nil {
		t.Fatal(err)
	}
	if err := r.Float32s(floats); err != nil || floats[0] != 3*50_002 || floats[49_999] != 3*100_001 {
		t.Fatalf("Float32s: %v, %v, %v", floats[0], floats[49_999], err)
	}
	if r.Left() != 1 {
		t.Errorf("Left() = %d, want 1", r.Left())
	}
	if err := r.Skip(2); err == nil {
		t.Error("Skip beyond the end: no error")
	}
}

func TestReaderBad(t *testing.T) {
	var file bytes.Buffer
	if err := Write(&file, []int{3}, []float64{1, 2.5, 3}); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"not whole": {whole, "byte 136: element 1 is 2.5"},
		"truncated": {whole[:len(whole)-1], "truncated"},
		"no array":  {[]byte("hello, world"), "not a NumPy array"},
	} {
		r, err := NewReader(bytes.NewReader(c.raw), Source{Path: "x", Size: -1})
		if err == nil {
			err = r.Int32s(make([]int32, 3))
			if name == "truncated" {
				r, _ = NewReader(bytes.NewReader(c.raw), Source{Path: "x", Size: -1})
				err = r.Skip(3)
			}
		}
		var in *formats.InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an InputError with %q", name, err, c.want)
		}
	}
}
