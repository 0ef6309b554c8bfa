package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tinyArxiv returns an archive of OGB's form with four nodes.
func tinyArxiv(t *testing.T) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, text := range map[string]string{
		"raw/edge.csv.gz":          "0,1\n1,2\n2,3\n",
		"raw/node-feat.csv.gz":     "0,1\n1,0\n2,1\n3,5\n",
		"raw/node-label.csv.gz":    "0\n1\n0\n1\n",
		"raw/num-node-list.csv.gz": "4\n",
		"raw/num-edge-list.csv.gz": "3\n",
		"split/time/train.csv.gz":  "0\n1\n",
		"split/time/valid.csv.gz":  "2\n",
		"split/time/test.csv.gz":   "3\n",
	} {
		f, err := w.Create("arxiv/" + name)
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(f)
		z.Write([]byte(text))
		z.Close()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func TestDownloadArchive(t *testing.T) {
	archive := tinyArxiv(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mirror/arxiv.zip" {
			http.NotFound(w, r)
			return
		}
		w.Write(archive)
	}))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "new")
	args := []string{"download", "ogbn_arxiv", "--dir", dir, "--base_url", server.URL + "/mirror/", "--no_convert"}
	text := must(t, args...).stdout
	for _, want := range []string{"digest recorded", "saint convert ogb --in " + filepath.Join(dir, "arxiv.zip") + " --out " + filepath.Join(dir, "ogbn-arxiv")} {
		if !strings.Contains(text, want) {
			t.Errorf("download printed no %q:\n%s", want, text)
		}
	}
	var line downloadLine
	again := must(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(again.stdout), &line); err != nil || !line.Present || line.Bytes != int64(len(archive)) {
		t.Errorf("second download printed %+v, %v; want it present", line, err)
	}
	if !strings.Contains(again.stderr, "check "+filepath.Join(dir, "arxiv.zip")) || strings.Contains(again.stderr, server.URL) {
		t.Errorf("second download says %q, want that it checks the file", again.stderr)
	}
	// Without --no_convert the archive, which is there, becomes a folder; once.
	for range 2 {
		must(t, args[:len(args)-1]...)
		must(t, "inspect", filepath.Join(dir, "ogbn-arxiv"))
	}
	o := saint(t, "download", "ogbn-products", "--dir", dir, "--base-url", server.URL)
	if o.code != exitFailure || !strings.Contains(o.stderr, "404") || !strings.Contains(o.stderr, "By hand: open https://snap.stanford.edu/") {
		t.Errorf("download of a missing file: exit %d, %q", o.code, o.stderr)
	}
}

func TestDownloadFolderFromMirror(t *testing.T) {
	root := t.TempDir()
	must(t, "synth", "tiny", "--out", filepath.Join(root, "ppi"))
	server := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer server.Close()
	dir := t.TempDir()
	o := must(t, "download", "ppi", "--dir", dir, "--base_url", server.URL)
	if !strings.Contains(o.stdout, "next: saint inspect ") {
		t.Errorf("download printed\n%s", o.stdout)
	}
	must(t, "inspect", filepath.Join(dir, "ppi"))
	if left, _ := filepath.Glob(filepath.Join(dir, "ppi", "*.part*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDownloadErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"download"}, exitUsage, "ogbn-arxiv"},
		{[]string{"download", "cora"}, exitUsage, "unknown data set"},
		{[]string{"download", "ogbn-mag"}, exitUsage, "several kinds"},
		{[]string{"download", "ogbn-arxiv", "--base_url", "ftp://x/y"}, exitUsage, "--base_url"},
		{[]string{"download", "ogbn-arxiv", "--sha256", "12"}, exitUsage, "64 hexadecimal"},
		{[]string{"download", "ppi", "--sha256", strings.Repeat("0", 64)}, exitUsage, "5 files"},
		{[]string{"download", "ogbn-arxiv", "--retries", "-1"}, exitUsage, "--retries is -1"},
		{[]string{"download", "reddit"}, exitFailure, "drive.google.com"},
		{[]string{"download", "ogbn-arxiv", "--dir", filepath.Join(file, "x")}, exitFailure, "--dir"},
	} {
		o := saint(t, c.args...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 || o.stdout != "" {
			t.Errorf("saint %s: exit %d, %q, want %d and one line with %q", strings.Join(c.args, " "), o.code, o.stderr, c.code, c.want)
		}
	}
}
