package npz

import (
	"errors"
	"io"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

// Member is an array of an archive that is read piece by piece. It is not safe for
// concurrent use.
type Member struct {
	*npy.Reader
	path, name string
	r          io.ReadCloser
}

// Stream starts reading the array of that name without taking it into memory. Several
// members, or one member several times, may be streamed at once.
func (a *Archive) Stream(name string) (*Member, error) {
	r, src, err := a.open(name)
	if err != nil {
		return nil, err
	}
	reader, err := npy.NewReader(r, src)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &Member{Reader: reader, path: a.path, name: name, r: r}, nil
}

// Finish verifies the checksum after all elements were read or skipped.
func (m *Member) Finish() error {
	var past [1]byte
	if _, err := io.ReadFull(m.r, past[:]); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("it holds more bytes than the archive declares")
		}
		return formats.BadInput(m.path, "array %s: %w", m.name, err)
	}
	return nil
}

// Close ends reading; the archive stays open.
func (m *Member) Close() error { return m.r.Close() }
