package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answers is a server that gives one answer after the other, the last one for ever.
type answers struct {
	list []http.Response
	body [][]byte
	n    int
}

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	i := min(a.n, len(a.list)-1)
	a.n++
	resp := a.list[i]
	resp.Body = io.NopCloser(bytes.NewReader(a.body[i]))
	return &resp, nil
}

// fuzzAnswer takes an answer apart that is written as status, then lines of headers, then,
// behind an empty line, the body.
func fuzzAnswer(text []byte) (http.Response, []byte) {
	head, body, _ := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	resp := http.Response{Header: http.Header{}, ContentLength: -1}
	fmt.Sscan(lines[0], &resp.StatusCode)
	resp.Status = fmt.Sprint(resp.StatusCode)
	for _, line := range lines[1:] {
		key, value, _ := strings.Cut(line, ":")
		if key == "Retry-After" {
			continue // the test has no time
		}
		if key == "Content-Length" {
			fmt.Sscan(value, &resp.ContentLength)
			continue
		}
		resp.Header.Set(key, strings.TrimPrefix(value, " "))
	}
	return resp, body
}

// FuzzFetch meets any answers with anything left behind by an earlier try: a file that gets
// its name is whole, has the recorded digest and is no web page; otherwise there is none.
func FuzzFetch(f *testing.F) {
	const url = "http://example.invalid/x"
	note := `{"url":"` + url + `","etag":"\"a\"","size":6}`
	record := digest([]byte("abcdef")) + "  x.bin\n"
	for _, s := range []struct{ note, part, record, first, second string }{
		{"", "", "", "200\nContent-Length:6\nETag: \"a\"\n\nabcdef", ""},
		{note, "abc", "", "206\nETag: \"a\"\nContent-Range: bytes 3-5/6\n\ndef", ""},
		{note, "abc", record, "206\nETag: \"b\"\nContent-Range: bytes 3-5/6\n\nxyz", "200\n\nabcdef"},
		{note, "abcdef", "", "", ""},
		{`{"url":"` + url + `","size":0}`, "abc", "", "416\nContent-Range: bytes */3", "404"},
		{"{", "abc", "nonsense", "503", "200\nContent-Type: text/html\n\nbusy"},
		{"", "", "", "200\nContent-Length:9\n\nabc", "206\nContent-Range: bytes 3-8/*\n\ndefghi"},
		{note, "abc", "", "206\nContent-Range: bytes 2-5/6\n\ncdef", "200\n\n \n<html>"},
	} {
		f.Add([]byte(s.note), []byte(s.part), []byte(s.record), []byte(s.first), []byte(s.second))
	}
	dir := f.TempDir()
	path := filepath.Join(dir, "x.bin")
	f.Fuzz(func(t *testing.T, note, part, record, first, second []byte) {
		prepare(t, path, note, part, record)
		var a answers
		for _, text := range [][]byte{first, second} {
			resp, body := fuzzAnswer(text)
			a.list, a.body = append(a.list, resp), append(a.body, body)
		}
		const most = 1 << 12
		r, err := Fetch(context.Background(), url, path, Options{
			Client: &http.Client{Transport: &a}, MaxBytes: most, Retries: 2, Backoff: time.Nanosecond, Stall: time.Minute,
		})
		if a.n > 40 {
			t.Fatalf("%d requests", a.n)
		}
		content, readErr := os.ReadFile(path)
		if info, err := os.Stat(path + ".part"); err == nil && info.Size() > max(most, int64(len(part))) {
			t.Fatalf("%d bytes are kept, want at most %d", info.Size(), most)
		}
		if err != nil {
			if !errors.Is(readErr, os.ErrNotExist) {
				t.Fatalf("Fetch = %v, but the file is there", err)
			}
			return
		}
		if readErr != nil {
			t.Fatal(readErr)
		}
		checkFetched(t, r, content, part, record)
		// A second call finds it and asks nobody.
		asked := a.n
		if r, err := Fetch(context.Background(), url, path, Options{Client: &http.Client{Transport: &a}}); err != nil || !r.Present || a.n != asked {
			t.Fatalf("again: %+v, %v after %d requests", r, err, a.n-asked)
		}
	})
}

// prepare leaves what an earlier try has left.
func prepare(t *testing.T, path string, note, part, record []byte) {
	t.Helper()
	for name, b := range map[string][]byte{"": nil, ".part": part, ".part.json": note, ".sha256": record} {
		os.Remove(path + name)
		if len(b) > 0 {
			if err := os.WriteFile(path+name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkFetched compares a file that got its name with what was left behind and recorded.
func checkFetched(t *testing.T, r *Result, content, part, record []byte) {
	t.Helper()
	recorded, _, _ := strings.Cut(strings.TrimSpace(string(record)), " ")
	switch {
	case r.Bytes != int64(len(content)) || r.SHA256 != digest(content):
		t.Fatalf("Fetch = %+v, but the file holds %q", r, content)
	case len(record) > 0 && !strings.EqualFold(recorded, r.SHA256):
		t.Fatalf("the file has digest %s, recorded was %s", r.SHA256, record)
	case r.Resumed > int64(len(part)) || !bytes.HasPrefix(content, part[:r.Resumed]):
		t.Fatalf("%q does not go on from the %d bytes of %q", content, r.Resumed, part)
	case r.Resumed == 0 && looksLikePage(content):
		t.Fatalf("a web page got the name: %q", content)
	}
}

// FuzzRange takes Content-Range apart.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes 5-9/10", "bytes 0-0/*", "bytes */5", "bytes -1-2/3", "bytes 9223372036854775807-9/9223372036854775807", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start, size, ok := contentRange(text)
		if ok && (start < 0 || size != 0 && size <= start || !strings.HasPrefix(text, "bytes ")) {
			t.Fatalf("contentRange(%q) = %d, %d", text, start, size)
		}
		if ok && size > 0 {
			again := fmt.Sprintf("bytes %d-%d/%d", start, size-1, size)
			if s, n, ok := contentRange(again); !ok || s != start || n != size {
				t.Fatalf("contentRange(%q) = %d, %d, %t, want %d, %d", again, s, n, ok, start, size)
			}
		}
	})
}

// FuzzLookup finds data sets by any spelling of their names only.
func FuzzLookup(f *testing.F) {
	for _, name := range append(Names(), "OGBN_Arxiv", "ogbn-mag", "") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, err := Lookup(name)
		if err == nil && !strings.EqualFold(s.Name, strings.ReplaceAll(name, "_", "-")) {
			t.Fatalf("Lookup(%q) = %s", name, s.Name)
		}
	})
}
