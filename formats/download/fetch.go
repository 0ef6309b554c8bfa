package download

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/internal/fileop"
)

// Options say how to fetch. The zero value is ready.
type Options struct {
	Client *http.Client // nil: one that gives up on servers that do not answer
	// SHA256 is the expected digest in hex, if it is known.
	SHA256 string
	// MaxBytes bounds the file; 0: 1 TiB.
	MaxBytes int64
	// Retries is how often in a row a request may fail without a byte gained; 0: 5, negative: none.
	Retries int
	// Backoff is the pause before the first retry; it doubles up to a minute. 0: one second.
	Backoff time.Duration
	// Stall is how long the server may send nothing; 0: one minute.
	Stall time.Duration
	// Check is called on the complete file before it gets its name; its error rejects the file.
	Check func(path string) error
	// Progress is told how many bytes of how many (0: unknown) are there. It may be nil.
	Progress func(done, total int64)
	// Logf is told of retries and decisions, a line each. It may be nil.
	Logf func(format string, args ...any)
}

func (o *Options) setDefaults() {
	if o.Client == nil {
		o.Client = newClient()
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 40
	}
	if o.Retries == 0 {
		o.Retries = 5
	}
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	if o.Check == nil {
		o.Check = func(string) error { return nil }
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
}

func newClient() *http.Client {
	if base, ok := http.DefaultTransport.(*http.Transport); ok {
		t := base.Clone()
		t.ResponseHeaderTimeout = time.Minute
		t.DisableCompression = true // lengths and ranges are those of the file
		return &http.Client{Transport: t}
	}
	return &http.Client{}
}

// Result says what Fetch left behind.
type Result struct {
	Path   string
	Bytes  int64
	SHA256 string
	// Present says that the complete file was there already, Resumed how many bytes of it were,
	// and Recorded that its digest was new and is now in Path.sha256.
	Present  bool
	Resumed  int64
	Recorded bool
}

// errWebPage says that a server answered with a page for people.
var errWebPage = errors.New("the server sent a web page in place of the file (a quota, a login or a moved address)")

// DigestError says that a file is not the one that was expected.
type DigestError struct{ Path, Want, Got string }

// Error says what to do.
func (e *DigestError) Error() string {
	return fmt.Sprintf("%s has SHA-256 %s, want %s; delete it to fetch it again, or %s.sha256 if the published file has changed",
		e.Path, e.Got, e.Want, strings.TrimSuffix(e.Path, partSuffix))
}

// InterruptedError says what a cancelled download left behind; it wraps the context's error.
type InterruptedError struct {
	Part  string
	Bytes int64
	Err   error
}

// Error says how to go on.
func (e *InterruptedError) Error() string {
	return fmt.Sprintf("interrupted; %d bytes are kept in %s, the same command goes on from there", e.Bytes, e.Part)
}

// Unwrap returns the context's error.
func (e *InterruptedError) Unwrap() error { return e.Err }

const partSuffix = ".part"

// state is what is known of a file that is partly there; it lies beside it as JSON.
type state struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Size         int64  `json:"size"` // of the whole file; 0: unknown
}

// fetcher is one Fetch under way.
type fetcher struct {
	Options
	url, path, part, note string
	state                 state
	have                  int64 // bytes in the partial file
	resumed               int64
	restarts              int
}

// Fetch gets url as the file path, whose folder must exist. What an earlier call left in
// path.part is resumed if the server confirms that its file is still the same; so ctx may be
// cancelled, and the process killed, at any time. The digest is compared with Options.SHA256 and
// with path.sha256; where there is neither, path.sha256 is written, in the form that sha256sum
// checks. Two processes must not fetch one path at a time.
func Fetch(ctx context.Context, url, path string, o Options) (*Result, error) {
	o.setDefaults()
	f := &fetcher{Options: o, url: url, path: path, part: path + partSuffix, note: path + partSuffix + ".json"}
	want, err := f.wanted()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err == nil {
		return f.present(ctx, want)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := f.restore(); err != nil {
		return nil, err
	}
	if err := f.fill(ctx); err != nil {
		if f.have == 0 { // nothing to go on from
			return nil, errors.Join(err, os.Remove(f.part), f.forget())
		}
		return nil, err
	}
	return f.finish(ctx, want)
}

// restore reads what an earlier try left.
func (f *fetcher) restore() error {
	text, err := fileop.ReadFile(f.note)
	if err == nil && json.Unmarshal(text, &f.state) == nil && f.state.URL == f.url && f.state.Size >= 0 {
		if info, err := os.Stat(f.part); err == nil {
			f.have = info.Size()
		}
	}
	if f.have == 0 || f.state.Size > 0 && f.have > f.state.Size {
		return f.restart()
	}
	f.resumed = f.have
	return nil
}

// restart forgets what is there.
func (f *fetcher) restart() error {
	f.have, f.resumed, f.state = 0, 0, state{URL: f.url}
	if err := f.forget(); err != nil {
		return err
	}
	file, err := fileop.Create(f.part)
	if err != nil {
		return err
	}
	return file.Close()
}

// forget removes what is known of the partial file, if anything is.
func (f *fetcher) forget() error {
	if err := fileop.Remove(f.note); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// permanent marks an error that another try will not cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// fill requests what is missing until nothing is.
func (f *fetcher) fill(ctx context.Context) error {
	failures, pause := 0, f.Backoff
	for f.state.Size == 0 || f.have < f.state.Size {
		before := f.have
		done, wait, err := f.request(ctx)
		if err == nil && done {
			return nil
		}
		var final permanent
		switch {
		case ctx.Err() != nil:
			return &InterruptedError{Part: f.part, Bytes: f.have, Err: context.Cause(ctx)}
		case errors.As(err, &final):
			return final.error
		case err == nil:
			continue
		}
		if failures++; f.have > before {
			failures, pause = 1, f.Backoff
		}
		if failures > f.Retries {
			return fmt.Errorf("given up after %d tries: %w", failures, err)
		}
		wait = max(wait, pause)
		f.Logf("%v; trying again in %s", err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		pause = min(2*pause, time.Minute)
	}
	return nil
}

// request asks once for the rest of the file. done says that the server has sent all there is;
// wait is how long it wants to be left alone.
func (f *fetcher) request(ctx context.Context) (done bool, wait time.Duration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, http.NoBody)
	if err != nil {
		return false, 0, permanent{err}
	}
	if f.have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", f.have))
		if v := f.state.validator(); v != "" {
			req.Header.Set("If-Range", v)
		}
	}
	stall := time.AfterFunc(f.Stall, cancel)
	defer stall.Stop()
	resp, err := f.Client.Do(req)
	if err != nil {
		return false, 0, unreachable(err, f.Stall)
	}
	defer resp.Body.Close() //nolint:errcheck // what was read is checked by its length
	if again, wait, err := f.accept(resp); again || err != nil {
		return false, wait, err
	}
	done, err = f.receive(&watched{r: resp.Body, stall: stall, limit: f.Stall})
	return done, 0, err
}

// unreachable makes errors final that mean that there is no network.
func unreachable(err error, stall time.Duration) error {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound, errors.Is(err, syscall.ENETUNREACH):
		return permanent{fmt.Errorf("the server cannot be reached: %w", err)}
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("no answer for %s", stall)
	}
	return err
}

// receive appends a body to the partial file.
func (f *fetcher) receive(body io.Reader) (done bool, err error) {
	file, err := fileop.OpenFile(f.part, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return false, permanent{err}
	}
	defer func() {
		if closeErr := file.Close(); closeErr != nil {
			err = errors.Join(err, permanent{closeErr})
		}
	}()
	buf := make([]byte, 256<<10)
	for {
		n, readErr := body.Read(buf)
		if f.have == 0 && n > 0 && looksLikePage(buf[:n]) {
			return false, permanent{errWebPage}
		}
		if f.have+int64(n) > f.MaxBytes {
			return false, permanent{fmt.Errorf("the file is larger than %d bytes, which is more than it should be", f.MaxBytes)}
		}
		written, err := file.Write(buf[:n])
		f.have += int64(written)
		if err != nil {
			return false, permanent{err}
		}
		f.Progress(f.have, f.state.Size)
		switch {
		case readErr == io.EOF && f.state.Size > 0 && f.have < f.state.Size:
			return false, fmt.Errorf("the connection ended after %d of %d bytes", f.have, f.state.Size)
		case readErr == io.EOF:
			return true, nil
		case readErr != nil:
			return false, readErr
		}
	}
}

// watched ends a body whose server falls silent.
type watched struct {
	r     io.Reader
	stall *time.Timer
	limit time.Duration
}

// Read reads on and winds the clock.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("nothing came for %s", w.limit)
	}
	w.stall.Reset(w.limit)
	return n, err
}

// save writes down what is known of the file, before its first byte is.
func (f *fetcher) save() error {
	return atomicfile.Write(f.note, func(w io.Writer) error { return json.NewEncoder(w).Encode(f.state) })
}

// wanted returns the digest that the file must have, "" if none is known.
func (f *fetcher) wanted() (string, error) {
	if f.SHA256 != "" {
		return strings.ToLower(f.SHA256), nil
	}
	text, err := fileop.ReadFile(f.path + ".sha256")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	digest, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if len(digest) != 64 {
		return "", fmt.Errorf("%s.sha256 holds no SHA-256; delete it, or correct it", f.path)
	}
	return strings.ToLower(digest), nil
}

// record writes the digest of a file for which none was known.
func (f *fetcher) record(digest string) error {
	return atomicfile.Write(f.path+".sha256", func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s  %s\n", digest, filepath.Base(f.path))
		return err
	})
}
