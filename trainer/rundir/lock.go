package rundir

import (
	"errors"
	"fmt"
	"os"
)

// errLocked is what lockFile returns when another process holds the lock.
var errLocked = errors.New("locked")

// BusyError says that another process is training in a run folder. The command line maps it
// to exit code 2.
type BusyError struct{ Path string }

// Error says what to do.
func (e *BusyError) Error() string {
	return e.Path + ": another process is training in this run folder; wait for it, or choose another --run_dir"
}

// Lock keeps other processes from training in the folder until Unlock or the end of this
// process, however it ends. Locking again does nothing. Where the system has no such locks
// it does nothing either. Nothing is written: the lock is on the folder itself.
func (d *Dir) Lock() error {
	if d.lock != nil {
		return nil
	}
	f, err := os.Open(d.Path)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close() // opened for reading
		if errors.Is(err, errLocked) {
			return &BusyError{Path: d.Path}
		}
		return nil // a file system without locks is used at its owner's risk
	}
	d.lock = f
	return nil
}

// Unlock ends what Lock began.
func (d *Dir) Unlock() {
	if d.lock != nil {
		_ = d.lock.Close() // opened for reading
		d.lock = nil
	}
}
