package tables

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

func folder(t testing.TB, format Format) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tables")
	if err := Write(t.Context(), dir, converttest.Odd(false), format, assemble.Reports{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDamage cuts the files short and flips bits: there is never a panic, and an error is
// one about the file.
func TestDamage(t *testing.T) {
	for _, format := range []Format{Parquet, Arrow} {
		for _, name := range []string{nodesName, edgesName} {
			t.Run(name+" "+string(format), func(t *testing.T) {
				dir := folder(t, format)
				path := filepath.Join(dir, name+"."+string(format))
				good, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(good); i += 5 {
					b := append([]byte(nil), good...)
					b[i] ^= 1 << (i % 8)
					readDamaged(t, dir, path, "a flipped bit", i, b)
					if i%2 == 0 {
						readDamaged(t, dir, path, "the end", i, good[:i])
					}
				}
			})
		}
	}
}

func readDamaged(t *testing.T, dir, path, what string, at int, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(t.Context(), dir, ReadOptions{})
	var in *formats.InputError
	if err != nil && (!errors.As(err, &in) || !strings.HasPrefix(err.Error(), dir) || strings.Contains(err.Error(), "\n")) {
		t.Errorf("%s at byte %d: %q, want one line that begins with %s", what, at, err, dir)
	}
}

func TestMissing(t *testing.T) {
	dir := folder(t, Parquet)
	os.Remove(filepath.Join(dir, "edges.parquet"))
	if _, err := Read(t.Context(), dir, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "no table edges.parquet") {
		t.Errorf("Read = %v, want no table edges.parquet", err)
	}
	if _, err := Read(t.Context(), filepath.Join(dir, "nodes.parquet"), ReadOptions{}); err == nil || !strings.Contains(err.Error(), "want the folder") {
		t.Errorf("Read = %v, want the folder", err)
	}
	os.Rename(filepath.Join(dir, "nodes.parquet"), filepath.Join(dir, "edges.parquet"))
	if _, err := Read(t.Context(), dir, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "no table nodes.parquet") {
		t.Errorf("Read = %v, want no table nodes.parquet", err)
	}
}

func FuzzEach(f *testing.F) {
	for _, format := range []Format{Parquet, Arrow} {
		for _, name := range []string{nodesName, edgesName} {
			b, err := os.ReadFile(filepath.Join(folder(f, format), name+"."+string(format)))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		Each(t.Context(), path, func(names []string) ([]string, error) { return names, nil }, func(columns []Column) error {
			for _, c := range columns {
				for i := range c.Len() {
					c.Text(i)
					c.Float(i)
					if l, ok, err := c.List(i); err == nil && ok && l.Len() > 0 {
						l.Float(0)
					}
				}
			}
			return nil
		})
	})
}
