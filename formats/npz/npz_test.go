package npz

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

var (
	goldenIndptr  = []int64{0, 2, 2, 3, 6}
	goldenIndices = []int32{1, 3, 0, 0, 1, 2}
)

func TestReadCSRGolden(t *testing.T) {
	values := []float32{2, 1, 3, 1, 1, 1}
	for name, want := range map[string]struct {
		dtype npy.DType
		data  []float32
	}{
		"csr_bool":          {npy.Bool, []float32{1, 1, 1, 1, 1, 1}},
		"csr_int64":         {npy.Int64, values},
		"csr_float32":       {npy.Float32, values},
		"csr_float64":       {npy.Float64, values},
		"csr_array":         {npy.Int64, values},
		"csr_int64_unicode": {npy.Float32, values},
		"zip64":             {npy.Float32, values},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ReadCSR("testdata/" + name + ".npz")
			if err != nil {
				t.Fatal(err)
			}
			if m.Rows != 4 || m.Cols != 4 || !slices.Equal(m.Indptr, goldenIndptr) || !slices.Equal(m.Indices, goldenIndices) || m.DataType != want.dtype {
				t.Errorf("ReadCSR = %+v", m)
			}
			if data, err := m.Data(); err != nil || !slices.Equal(data, want.data) {
				t.Errorf("Data() = %v, %v, want %v", data, err, want.data)
			}
		})
	}
}

func TestArchiveGolden(t *testing.T) {
	a, err := Open("testdata/roles.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := a.Names(); !slices.Equal(got, []string{"tr", "va", "te"}) {
		t.Errorf("Names() = %v", got)
	}
	arrays, err := a.ReadAll("te", "tr")
	if err != nil {
		t.Fatal(err)
	}
	te, _ := arrays[0].Int32s()
	tr, _ := arrays[1].Int32s()
	if !slices.Equal(te, []int32{7}) || !slices.Equal(tr, []int32{0, 1, 2, 3, 4}) {
		t.Errorf("te = %v, tr = %v", te, tr)
	}
	if h, err := a.Header("va"); err != nil || h.DType != npy.Int64 || h.Len() != 2 {
		t.Errorf("Header(va) = %v, %v", &h, err)
	}
	_, err = a.ReadAll("tr", "no", "nor")
	var bad *formats.InputError
	if !errors.As(err, &bad) || err.Error() != "testdata/roles.npz: array no is missing; the archive holds tr, va, te" {
		t.Errorf("ReadAll of a missing array = %v", err)
	}
}

func TestWriteReadCSR(t *testing.T) {
	for _, compress := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "m.npz")
		data := []bool{true, true, true, true, true, true}
		if err := WriteCSR(path, 4, 4, goldenIndptr, goldenIndices, data, compress); err != nil {
			t.Fatal(err)
		}
		first, _ := os.ReadFile(path)
		m, err := ReadCSR(path)
		if err != nil || !slices.Equal(m.Indptr, goldenIndptr) || !slices.Equal(m.Indices, goldenIndices) || m.DataType != npy.Bool {
			t.Errorf("compress %t: ReadCSR = %+v, %v", compress, m, err)
		}
		if err := WriteCSR(path, 4, 4, goldenIndptr, goldenIndices, data, compress); err != nil {
			t.Fatal(err)
		}
		if second, _ := os.ReadFile(path); !slices.Equal(first, second) {
			t.Errorf("compress %t: two writes differ", compress)
		}
	}
	if err := WriteCSR(filepath.Join(t.TempDir(), "e.npz"), 0, 0, []int64{0}, nil, []float32{}, true); err != nil {
		t.Errorf("empty matrix: %v", err)
	}
}

func TestReadCSRBad(t *testing.T) {
	entries := func() map[string]*Entry {
		return map[string]*Entry{
			"format":  {Name: "format", Data: "csr"},
			"shape":   {Name: "shape", Shape: []int{2}, Data: []int64{4, 4}},
			"indptr":  {Name: "indptr", Shape: []int{5}, Data: goldenIndptr},
			"indices": {Name: "indices", Shape: []int{6}, Data: goldenIndices},
			"data":    {Name: "data", Shape: []int{6}, Data: make([]float32, 6)},
		}
	}
	tests := []struct {
		name string
		edit func(e map[string]*Entry)
		want string
	}{
		{"no format", func(e map[string]*Entry) { delete(e, "format") }, "array format is missing"},
		{"format is a number", func(e map[string]*Entry) { e["format"] = &Entry{"format", nil, []int32{1}} }, "want strings"},
		{"unknown format", func(e map[string]*Entry) { e["format"].Data = "xyz" }, `unknown format "xyz"`},
		{"no shape", func(e map[string]*Entry) { delete(e, "shape") }, "array shape is missing"},
		{"shape of three", func(e map[string]*Entry) { e["shape"] = &Entry{"shape", []int{3}, []int64{4, 4, 4}} }, "want two"},
		{"negative shape", func(e map[string]*Entry) { e["shape"].Data = []int64{-1, 4} }, "-1 by 4"},
		{"too many columns", func(e map[string]*Entry) { e["shape"].Data = []int64{4, 1 << 31} }, "at most 2147483647 columns"},
		{"rows overflow", func(e map[string]*Entry) { e["shape"].Data = []int64{1<<63 - 1, 4} }, "9223372036854775807 by 4"},
		{"shape is float", func(e map[string]*Entry) { e["shape"].Data = []float64{4.5, 4} }, "element 0 is 4.5, want int64"},
		{"no indptr", func(e map[string]*Entry) { delete(e, "indptr") }, "array indptr is missing"},
		{"indptr short", func(e map[string]*Entry) { e["indptr"] = &Entry{"indptr", []int{4}, goldenIndptr[:4]} }, "has 4 entries, want 5"},
		{"indptr empty", func(e map[string]*Entry) { e["indptr"] = &Entry{"indptr", []int{0}, []int64{}} }, "has 0 entries, want 5"},
		{"indptr of floats", func(e map[string]*Entry) { e["indptr"].Data = []float64{0, 2, 2, 3, 6} }, "want one dimension of integers"},
		{"indptr start", func(e map[string]*Entry) { e["indptr"].Data = []int64{1, 2, 2, 3, 6} }, "starts at 1"},
		{"indptr decreases", func(e map[string]*Entry) { e["indptr"].Data = []int64{0, 2, 1, 3, 6} }, "decreases at row 1: 2, then 1"},
		{"indptr end", func(e map[string]*Entry) { e["indptr"].Data = []int64{0, 2, 2, 3, 7} }, "ends at 7, but there are 6"},
		{"index too large", func(e map[string]*Entry) { e["indices"].Data = []int32{1, 3, 0, 0, 4, 2} }, "row 3 has column 4 (entry 4 of indices)"},
		{"index negative", func(e map[string]*Entry) { e["indices"].Data = []int32{1, 3, -1, 0, 1, 2} }, "row 2 has column -1"},
		{"index beyond int32", func(e map[string]*Entry) { e["indices"].Data = []int64{1, 3, 0, 0, 1 << 40, 2} }, "element 4 is 1099511627776, want int32"},
		{"indices two-dimensional", func(e map[string]*Entry) { e["indices"].Shape = []int{2, 3} }, "want one dimension"},
		{"no data", func(e map[string]*Entry) { delete(e, "data") }, "array data is missing"},
		{"data short", func(e map[string]*Entry) { e["data"] = &Entry{"data", []int{5}, make([]bool, 5)} }, "want 6 numbers"},
		{"data is a string", func(e map[string]*Entry) { e["data"] = &Entry{"data", nil, "abcdef"} }, "want 6 numbers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := entries()
			tt.edit(e)
			var list []Entry
			for _, name := range []string{"format", "shape", "indptr", "indices", "data"} {
				if e[name] != nil {
					list = append(list, *e[name])
				}
			}
			path := filepath.Join(t.TempDir(), "m.npz")
			if err := WriteFile(path, true, list); err != nil {
				t.Fatal(err)
			}
			_, err := ReadCSR(path)
			wantInputError(t, err, path, tt.want)
		})
	}
	for _, format := range []string{"csc", "coo", "bsr", "dia"} {
		path := "testdata/" + format + ".npz"
		_, err := ReadCSR(path)
		wantInputError(t, err, path, "has format "+format+", want csr")
	}
}

func wantInputError(t *testing.T, err error, path, text string) {
	t.Helper()
	var bad *formats.InputError
	if !errors.As(err, &bad) || bad.Path != path || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error = %v, want an InputError of %s with %q", err, path, text)
	}
}
