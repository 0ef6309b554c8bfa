package download

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// content returns n bytes that depend on the seed.
func content(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	b[0] = 'P'
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// host is a server that misbehaves as step says for the n-th request, counted from 0.
type host struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func serve(t *testing.T, step func(n int, w http.ResponseWriter, r *http.Request)) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		n := len(h.requests)
		h.requests = append(h.requests, r)
		h.mu.Unlock()
		step(n, w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.requests)
}

// whole answers like a good server.
func whole(w http.ResponseWriter, r *http.Request, body []byte, tag string) {
	w.Header().Set("ETag", tag)
	http.ServeContent(w, r, "x.bin", time.Time{}, bytes.NewReader(body))
}

// cut answers with the rest of body, but ends after n bytes of it.
func cut(w http.ResponseWriter, r *http.Request, body []byte, tag string, n int) {
	rec := httptest.NewRecorder()
	whole(rec, r, body, tag)
	for key, values := range rec.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes()[:min(n, rec.Body.Len())])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func quick() Options { return Options{Backoff: time.Millisecond, Retries: 3, Stall: 5 * time.Second} }

func fetch(t *testing.T, url, path string, o Options) (*Result, error) {
	t.Helper()
	return Fetch(context.Background(), url, path, o)
}

// wantFile checks that a file has the wanted content and that no part of it is left.
func wantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, error %v; want the %d bytes of the server", path, len(got), err, len(want))
	}
	if left, _ := filepath.Glob(path + ".part*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestServers fetches from servers that get over their faults.
func TestServers(t *testing.T) {
	body, other := content(1, 300_000), content(2, 310_000)
	for _, c := range []struct {
		name     string
		step     func(n int, w http.ResponseWriter, r *http.Request)
		want     []byte
		requests int
	}{
		{"good", func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r, body, `"a"`) }, body, 1},
		{"cuts", func(n int, w http.ResponseWriter, r *http.Request) {
			if n < 6 { // more often than Retries, but each time with something gained
				cut(w, r, body, `"a"`, 40_000)
			}
			whole(w, r, body, `"a"`)
		}, body, 7},
		{"no ranges", func(n int, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			if n == 0 {
				cut(w, r, body, "", 100_000)
			}
			whole(w, r, body, "")
		}, body, 2},
		{"changes between tries", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 0 {
				cut(w, r, body, `"a"`, 100_000)
			}
			whole(w, r, other, `"b"`)
		}, other, 2},
		{"changes and ignores If-Range", func(n int, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			if n == 0 {
				cut(w, r, body, `"a"`, 100_000)
			}
			whole(w, r, other, `"b"`)
		}, other, 3},
		{"shrinks", func(n int, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			if n == 0 {
				cut(w, r, body, `"a"`, 100_000)
			}
			whole(w, r, other[:50_000], `"b"`)
		}, other[:50_000], 3},
		{"wrong range", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 0 {
				cut(w, r, body, `"a"`, 100_000)
			}
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", "bytes 0-9/300000")
				w.WriteHeader(http.StatusPartialContent)
				w.Write(body[:10])
				return
			}
			whole(w, r, body, `"a"`)
		}, body, 3},
		{"busy", func(n int, w http.ResponseWriter, r *http.Request) {
			if n < 3 {
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			whole(w, r, body, `"a"`)
		}, body, 4},
		{"unknown length", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Write(body[:1000])
			w.(http.Flusher).Flush()
			w.Write(body[1000:])
		}, body, 1},
		{"unknown length, all there when it cuts", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 0 {
				w.Header().Set("ETag", `"a"`)
				w.Write(body)
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			whole(w, r, body, `"a"`)
		}, body, 2},
		{"announces too much at first", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 0 {
				w.Header().Set("ETag", `"a"`)
				w.Header().Set("Content-Length", "400000")
				w.Write(body)
				return
			}
			whole(w, r, body, `"a"`)
		}, body, 3},
		{"throttles", func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			for rest := body; len(rest) > 0; rest = rest[30_000:] {
				w.Write(rest[:30_000])
				w.(http.Flusher).Flush()
				time.Sleep(2 * time.Millisecond)
			}
		}, body, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := serve(t, c.step)
			path := filepath.Join(t.TempDir(), "x.bin")
			r, err := fetch(t, h.URL, path, quick())
			if err != nil {
				t.Fatalf("Fetch: %v", err)
			}
			wantFile(t, path, c.want)
			if r.SHA256 != digest(c.want) || !r.Recorded || r.Bytes != int64(len(c.want)) {
				t.Errorf("Fetch = %+v", r)
			}
			record, _ := os.ReadFile(path + ".sha256")
			if want := digest(c.want) + "  x.bin\n"; string(record) != want {
				t.Errorf("recorded %q, want %q", record, want)
			}
			if h.count() != c.requests {
				t.Errorf("%d requests, want %d", h.count(), c.requests)
			}
		})
	}
}

// TestRefused meets servers that never give the file.
func TestRefused(t *testing.T) {
	body := content(1, 100_000)
	for _, c := range []struct {
		name     string
		step     func(n int, w http.ResponseWriter, r *http.Request)
		want     string
		requests int // 0: any
	}{
		{"quota page", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write([]byte("<!DOCTYPE html><p>Quota exceeded"))
		}, "web page", 1},
		{"quota page in disguise", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/zip")
			w.Write([]byte("\n <html><p>Quota exceeded"))
		}, "web page", 1},
		{"not there", func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "404", 1},
		{"always busy", func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "given up after 4 tries", 4},
		{"never what it announces", func(_ int, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			w.Header().Set("Content-Length", "200000")
			w.Write(body)
		}, "given up after 4 tries", 4},
		{"announces far too much", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000000000000000")
			w.Write(body)
		}, "announces 9000000000000000 bytes", 1},
		{"never ends", func(_ int, w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(body); err != nil {
					return
				}
			}
		}, "larger than", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := serve(t, c.step)
			path := filepath.Join(t.TempDir(), "x.bin")
			o := quick()
			o.MaxBytes = 1 << 20
			_, err := fetch(t, h.URL, path, o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Fetch = %v, want an error with %q", err, c.want)
			}
			if c.requests > 0 && h.count() != c.requests {
				t.Errorf("%d requests, want %d", h.count(), c.requests)
			}
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is there", path)
			}
			if info, err := os.Stat(path + ".part"); err == nil && info.Size() > 1<<20 {
				t.Errorf("%d bytes were stored, want at most %d", info.Size(), 1<<20)
			}
		})
	}
}

func TestStall(t *testing.T) {
	body := content(1, 100_000)
	h := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 0 {
			w.Header().Set("ETag", `"a"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:60_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		whole(w, r, body, `"a"`)
	})
	path := filepath.Join(t.TempDir(), "x.bin")
	o := quick()
	o.Stall = 100 * time.Millisecond
	if _, err := fetch(t, h.URL, path, o); err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	wantFile(t, path, body)
}

// TestInterrupted cancels a download and goes on with it in a second call.
func TestInterrupted(t *testing.T) {
	body := content(1, 500_000)
	ctx, cancel := context.WithCancel(context.Background())
	h := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 0 {
			w.Header().Set("ETag", `"a"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:200_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		whole(w, r, body, `"a"`)
	})
	path := filepath.Join(t.TempDir(), "x.bin")
	o := quick()
	o.Progress = func(done, _ int64) {
		if done == 200_000 {
			cancel()
		}
	}
	if _, err := Fetch(ctx, h.URL, path, o); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "200000 bytes are kept") {
		t.Fatalf("interrupted Fetch = %v", err)
	}
	r, err := fetch(t, h.URL, path, quick())
	if err != nil || r.Resumed != 200_000 {
		t.Fatalf("second Fetch = %+v, %v, want 200000 bytes resumed", r, err)
	}
	if got := h.requests[1].Header.Get("Range"); got != "bytes=200000-" {
		t.Errorf("second request asked for %q", got)
	}
	wantFile(t, path, body)
	// A third call asks nobody.
	if r, err = fetch(t, h.URL, path, quick()); err != nil || !r.Present || r.Recorded || h.count() != 2 {
		t.Errorf("third Fetch = %+v, %v after %d requests, want it present after 2", r, err, h.count())
	}
}

func TestDigest(t *testing.T) {
	body := content(1, 10_000)
	h := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r, body, `"a"`) })
	dir := t.TempDir()
	path := filepath.Join(dir, "x.bin")
	var wrong *DigestError
	o := quick()
	o.SHA256 = digest([]byte("other"))
	if _, err := fetch(t, h.URL, path, o); !errors.As(err, &wrong) {
		t.Errorf("Fetch with another digest = %v, want a *DigestError", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Errorf("a file with the wrong digest got its name")
	}
	// The bytes are there: with the right digest nobody is asked again.
	o.SHA256 = strings.ToUpper(digest(body))
	if r, err := fetch(t, h.URL, path, o); err != nil || r.Recorded || h.count() != 1 {
		t.Errorf("Fetch with the right digest = %+v, %v after %d requests", r, err, h.count())
	}
	// A file that was put there by hand gets its digest recorded, and is checked from then on.
	if r, err := fetch(t, h.URL, path, quick()); err != nil || !r.Recorded || !r.Present {
		t.Errorf("Fetch of a present file = %+v, %v", r, err)
	}
	os.WriteFile(path, []byte("damaged"), 0o666)
	if _, err := fetch(t, h.URL, path, quick()); !errors.As(err, &wrong) {
		t.Errorf("Fetch of a damaged file = %v, want a *DigestError", err)
	}
	os.WriteFile(path+".sha256", []byte("nonsense"), 0o666)
	if _, err := fetch(t, h.URL, path, quick()); err == nil || !strings.Contains(err.Error(), "holds no SHA-256") {
		t.Errorf("Fetch with a damaged record = %v", err)
	}
}

func TestCheckZip(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, _ := w.Create("a")
	f.Write(content(3, 5000))
	w.Close()
	good := buf.Bytes()
	bodies := [][]byte{good[:len(good)-30], good}
	h := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		whole(w, r, bodies[min(n, 1)], fmt.Sprintf(`"%d"`, min(n, 1)))
	})
	path := filepath.Join(t.TempDir(), "x.zip")
	o := quick()
	o.Check = CheckZip
	if _, err := fetch(t, h.URL, path, o); err == nil || !strings.Contains(err.Error(), "not a complete zip") {
		t.Errorf("Fetch of half an archive = %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := fetch(t, h.URL, path, o); err != nil {
		t.Errorf("Fetch of the whole archive = %v", err)
	}
	wantFile(t, path, good)
}

func TestUnreachable(t *testing.T) {
	h := serve(t, func(int, http.ResponseWriter, *http.Request) {})
	h.Close()
	path := filepath.Join(t.TempDir(), "x.bin")
	if _, err := fetch(t, h.URL, path, quick()); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("Fetch from nobody = %v", err)
	}
	if _, err := fetch(t, h.URL, filepath.Join(t.TempDir(), "no", "x"), quick()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Fetch into a missing folder = %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A server that names its file and then sends nothing of it leaves nothing behind.
func TestNothingSent(t *testing.T) {
	h := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("ETag", `"1"`)
	})
	path := filepath.Join(t.TempDir(), "x.bin")
	if _, err := fetch(t, h.URL, path, quick()); err == nil {
		t.Error("Fetch of nothing = nil, want an error")
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLookup(t *testing.T) {
	for _, name := range Names() {
		s, err := Lookup(strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		if err != nil || s.Name != name || len(s.Files) == 0 || s.Page == "" || s.MaxBytes == 0 {
			t.Errorf("Lookup(%s) = %+v, %v", name, s, err)
		}
	}
	for _, name := range []string{"", "cora", "ogbn-mag"} {
		if _, err := Lookup(name); err == nil {
			t.Errorf("Lookup(%q) = nil, want an error", name)
		}
	}
}
