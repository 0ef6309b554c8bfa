package npz

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReadCSRReal reads the adjacency files of real data folders.
func TestReadCSRReal(t *testing.T) {
	root := os.Getenv("SAINT_TEST_DATA")
	if root == "" {
		t.Skip("set SAINT_TEST_DATA to a folder of data folders to read real matrices")
	}
	paths, _ := filepath.Glob(filepath.Join(root, "*", "adj_*.npz"))
	for _, path := range paths {
		m, err := ReadCSR(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.Data()
		if err != nil || len(data) != len(m.Indices) || m.Rows != m.Cols {
			t.Errorf("%s: %d by %d, %d indices, %d values, %v", path, m.Rows, m.Cols, len(m.Indices), len(data), err)
		}
		t.Logf("%s: %d rows, %d entries of %s", path, m.Rows, len(m.Indices), m.DataType)
	}
}
