package mmapfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestOpen(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "hello"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			for a := Normal; a <= DontNeed+1; a++ {
				f.Advise(a)
			}
			if got := string(f.Bytes()); got != content {
				t.Errorf("Bytes() = %q, want %q", got, content)
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			f.Advise(Random)
			if f.Bytes() != nil {
				t.Error("Bytes() after Close is not nil")
			}
		})
	}
}

func TestOpenBad(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("folder: no error")
	}
}
