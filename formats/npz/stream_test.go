package npz

import (
	"os"
	"path/filepath"
	"testing"
)

// lastHalf streams the second half of array x of an archive.
func lastHalf(path string, n int) ([]int32, error) {
	a, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	m, err := a.Stream("x")
	if err != nil {
		return nil, err
	}
	defer m.Close()
	got := make([]int32, n)
	if err := m.Skip(n); err != nil {
		return nil, err
	}
	if err := m.Int32s(got); err != nil {
		return nil, err
	}
	return got, m.Finish()
}

func TestStream(t *testing.T) {
	const n = 25_000
	values := make([]int64, 2*n)
	for i := range values {
		values[i] = int64(i)
	}
	for name, compress := range map[string]bool{"stored": false, "deflated": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.npz")
			if err := WriteFile(path, compress, []Entry{{Name: "x", Shape: []int{2, n}, Data: values}}); err != nil {
				t.Fatal(err)
			}
			got, err := lastHalf(path, n)
			if err != nil || got[0] != n || got[n-1] != 2*n-1 {
				t.Fatalf("second half from %d to %d, %v; want %d to %d", got[0], got[n-1], err, n, 2*n-1)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)/4] ^= 1
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := lastHalf(path, n); err == nil {
				t.Error("a flipped bit goes unnoticed")
			}
		})
	}
}

func TestStreamMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := WriteFile(path, false, []Entry{{Name: "y", Data: "text"}}); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, name := range []string{"x", "y"} {
		if _, err := a.Stream(name); err == nil {
			t.Errorf("Stream(%q): no error", name)
		}
	}
}
