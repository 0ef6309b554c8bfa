//go:build unix && !solaris && !aix

package rundir

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	first, err := Create(path, Info{State: Running}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // locking twice is fine
		if err := first.Lock(); err != nil {
			t.Fatal(err)
		}
	}
	second, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if err := second.Lock(); !errors.As(err, &busy) || busy.Path != path {
		t.Errorf("second Lock = %v, want a *BusyError for %s", err, path)
	}
	first.Unlock()
	first.Unlock()
	if err := second.Lock(); err != nil {
		t.Errorf("Lock after Unlock = %v, want nil", err)
	}
	second.Unlock()
}
