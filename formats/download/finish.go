package download

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/saint-gnn/saint/internal/fileop"
)

// present checks a file that is there already.
func (f *fetcher) present(ctx context.Context, want string) (*Result, error) {
	digest, size, err := digestOf(ctx, f.path)
	if err != nil {
		return nil, err
	}
	if want != "" && digest != want {
		return nil, &DigestError{f.path, want, digest}
	}
	if err := f.Check(f.path); err != nil {
		return nil, fmt.Errorf("%w; delete it to fetch it again", err)
	}
	r := &Result{Path: f.path, Bytes: size, SHA256: digest, Present: true}
	if want == "" {
		r.Recorded = true
		err = f.record(digest)
	}
	return r, err
}

// finish checks the partial file, which is complete, and gives it its name.
func (f *fetcher) finish(ctx context.Context, want string) (*Result, error) {
	if err := syncFile(f.part); err != nil {
		return nil, err
	}
	digest, size, err := digestOf(ctx, f.part)
	if err != nil {
		return nil, err
	}
	if want != "" && digest != want {
		return nil, &DigestError{f.part, want, digest}
	}
	if err := f.Check(f.part); err != nil {
		// Nothing can be added to a file of full length, so the next try has to start over.
		return nil, errors.Join(err, os.Remove(f.part), f.forget())
	}
	if want == "" {
		if err := f.record(digest); err != nil {
			return nil, err
		}
	}
	if err := fileop.Rename(f.part, f.path); err != nil {
		return nil, err
	}
	if err := f.forget(); err != nil {
		return nil, err
	}
	return &Result{Path: f.path, Bytes: size, SHA256: digest, Resumed: f.resumed, Recorded: want == ""}, nil
}

func syncFile(path string) error {
	file, err := fileop.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// digestOf returns the SHA-256 of a file in hex, and its size.
func digestOf(ctx context.Context, path string) (digest string, size int64, err error) {
	file, err := fileop.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close() //nolint:errcheck // opened for reading
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for {
		if ctx.Err() != nil {
			return "", 0, context.Cause(ctx)
		}
		n, err := file.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), size, nil
		}
		if err != nil {
			return "", 0, err
		}
	}
}

// CheckZip reports a file that is no complete archive; it reads the directory at its end.
func CheckZip(path string) error {
	r, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("%s is not a complete zip archive: %w", path, err)
	}
	return r.Close()
}
