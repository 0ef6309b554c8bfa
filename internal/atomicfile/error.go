package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// writeError says which file could not be written, under the name that it would have had.
type writeError struct {
	path string
	err  error
}

// Error names the file and the cause.
func (e *writeError) Error() string { return "write " + e.path + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *writeError) Unwrap() error { return e.err }

// failed returns the error of writing target by way of tmp. Names of temporary files, which
// are gone when somebody reads the message, become those of the files they stood for.
func failed(target, tmp string, err error) error {
	for cause := err; cause != nil; cause = next(cause) {
		path := ""
		var reason error
		switch e := cause.(type) { //nolint:errorlint // the loop unwraps
		case *writeError:
			path, reason = e.path, e.err
		case *fs.PathError:
			path, reason = e.Path, e.Err
		case *os.LinkError:
			path, reason = e.Old, e.Err
		default:
			continue
		}
		if path == target {
			return &writeError{target, reason}
		}
		if rest, ok := strings.CutPrefix(path, tmp); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
			return &writeError{filepath.Join(target, rest), reason}
		}
	}
	return &writeError{target, err}
}

// next unwraps; of several errors the first is what counts.
func next(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		if list := all.Unwrap(); len(list) > 0 {
			return list[0]
		}
		return nil
	}
	return errors.Unwrap(err)
}
