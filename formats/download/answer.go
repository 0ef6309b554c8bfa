package download

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRestarts bounds how often a file may change while it is fetched.
const maxRestarts = 3

// accept looks at an answer's head. again says that the request has to be made anew.
func (f *fetcher) accept(resp *http.Response) (again bool, wait time.Duration, err error) {
	switch code := resp.StatusCode; {
	case code == http.StatusOK || code == http.StatusPartialContent:
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" || kind == "application/xhtml+xml" {
			return false, 0, permanent{errWebPage}
		}
	case code == http.StatusRequestedRangeNotSatisfiable && f.have > 0:
		if f.state.Size == 0 && resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", f.have) {
			f.state.Size = f.have // all there was, which was not known before
			return true, 0, nil
		}
		return true, 0, f.startOver("the server's file is shorter than what is here")
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return false, retryAfter(resp), fmt.Errorf("the server answers %s", resp.Status)
	default:
		return false, 0, permanent{fmt.Errorf("the server answers %s", resp.Status)}
	}
	next := state{URL: f.url, ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}
	if resp.StatusCode == http.StatusPartialContent {
		return f.acceptPart(resp, next)
	}
	if f.have > 0 {
		// The whole file: the server knows no ranges, or its file is another one by now.
		if err := f.startOver("the server sends the file from its beginning"); err != nil {
			return false, 0, err
		}
	}
	next.Size = max(0, resp.ContentLength)
	return false, 0, f.begin(next)
}

// acceptPart checks that a partial answer continues what is here.
func (f *fetcher) acceptPart(resp *http.Response, next state) (again bool, wait time.Duration, err error) {
	start, size, ok := contentRange(resp.Header.Get("Content-Range"))
	switch {
	case f.have == 0 || !ok || start != f.have:
		return true, 0, f.startOver(fmt.Sprintf("the server sends the range %q, asked for was byte %d on", resp.Header.Get("Content-Range"), f.have))
	case f.state.Size > 0 && size > 0 && size != f.state.Size, differ(f.state.ETag, next.ETag), differ(f.state.LastModified, next.LastModified):
		return true, 0, f.startOver("the server's file has changed")
	}
	if f.state.Size == 0 && size > 0 {
		next.Size = size
		return false, 0, f.begin(next)
	}
	return false, 0, nil
}

// differ reports whether two things that are known differ.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// begin notes what a file is before its bytes are stored.
func (f *fetcher) begin(s state) error {
	if s.Size > f.MaxBytes {
		return permanent{fmt.Errorf("the server announces %d bytes, more than the %d that this file may have", s.Size, f.MaxBytes)}
	}
	f.state = s
	if err := f.save(); err != nil {
		return permanent{err}
	}
	return nil
}

// startOver drops what is here, unless that happens too often.
func (f *fetcher) startOver(why string) error {
	if f.restarts++; f.restarts > maxRestarts {
		return permanent{fmt.Errorf("%s, for the %d. time", why, f.restarts)}
	}
	f.Logf("%s: starting over", why)
	if err := f.restart(); err != nil {
		return permanent{err}
	}
	return nil
}

// validator returns what makes a server send the rest of the same file only; weak tags do not.
func (s *state) validator() string {
	if s.ETag != "" && !strings.HasPrefix(s.ETag, "W/") {
		return s.ETag
	}
	return s.LastModified
}

// contentRange takes "bytes 5-9/10" apart; a size of * is 0.
func contentRange(text string) (start, size int64, ok bool) {
	rest, ok := strings.CutPrefix(text, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	first, _, ok3 := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil || start < 0 {
		return 0, 0, false
	}
	if total == "*" {
		return start, 0, true
	}
	size, err = strconv.ParseInt(total, 10, 64)
	return start, size, err == nil && size > start
}

// retryAfter returns how long a server wants to be left alone, at most two minutes.
func retryAfter(resp *http.Response) time.Duration {
	n, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 120)) * time.Second
}

// looksLikePage reports whether a file begins as HTML or XML does.
func looksLikePage(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(head) > 0 && head[0] == '<'
}
