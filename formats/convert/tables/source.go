package tables

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// attentive is a source that remembers why the system could not read: the libraries make
// damaged pages of it.
type attentive struct {
	source
	failed atomic.Pointer[error]
}

func (a *attentive) note(n int, err error) (int, error) {
	if err != nil && !errors.Is(err, io.EOF) {
		a.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// ReadAt reads on.
func (a *attentive) ReadAt(p []byte, off int64) (int, error) { return a.note(a.source.ReadAt(p, off)) }

// Read reads on.
func (a *attentive) Read(p []byte) (int, error) { return a.note(a.source.Read(p)) }

// cause returns why err came about.
func (a *attentive) cause(err error, path string) error {
	if first := a.failed.Load(); first != nil {
		return assemble.InFile(path, *first)
	}
	return err
}
