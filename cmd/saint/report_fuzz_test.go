package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	trainconfig "github.com/saint-gnn/saint/train_config"
)

// FuzzReport makes a page of any run folder: the metrics and the description of the run are
// anything at all. It is refused as bad input, or gives a page that holds none of the folder's
// text as markup.
func FuzzReport(f *testing.F) {
	const info = `{"version":"1","state":"running","seed":1,"device":"cpu","isa":"avx2","data_prefix":"ppi","data_name":"ppi","epochs":3,"command":["saint"],"started":"2026-01-01T00:00:00Z"}`
	const metrics = `{"type":"epoch","epoch":0,"phase":0,"train_loss":0.5,"train_f1_micro":0.4,"val_f1_micro":0.6,"val_f1_macro":0.5,"val_loss":1,"seconds":2}
{"type":"baseline","epochs":2,"val_f1_micro":0.5}
{"type":"result","best_epoch":1,"epochs":2,"val_f1_micro":0.5,"device":"cpu","peak_rss_bytes":1000}
`
	for _, seed := range [][2]string{
		{info, metrics},
		{info, ""},
		{info, metrics[:len(metrics)-30]},
		{"{", metrics},
		{"", ""},
		{info, "{}\n[]\n"},
		{info, "\x00\n"},
		{strings.ReplaceAll(info, `"ppi"`, `"<script>alert(1)</script>"`), metrics},
		{strings.Replace(info, "running", "done", 1), metrics},
		{info, `{"type":"epoch","epoch":9007199254740993,"train_loss":1e308,"val_loss":-1e308,"seconds":-1}` + "\n" + metrics},
		{info, strings.Repeat(`{"type":"epoch","epoch":-1,"train_loss":null}`+"\n", 3)},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	config, err := trainconfig.Load("table2/ppi2_rw.yml", "")
	if err != nil {
		f.Fatal(err)
	}
	dir := filepath.Join(f.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	write := func(t testing.TB, name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(f, "config.yml", config.Resolved())
	f.Fuzz(func(t *testing.T, info, metrics []byte) {
		write(t, "run.json", info)
		write(t, "metrics.jsonl", metrics)
		runs, err := readReported([]string{dir})
		if err != nil {
			if code := exitCode(err); code != exitInput && code != exitUsage || strings.ContainsAny(oneLine(err.Error()), "\r\n") {
				t.Fatalf("error %q with exit code %d, want bad input", err, exitCode(err))
			}
			return
		}
		page, err := newReportPage(runs, time.Unix(0, 0))
		if err != nil {
			var usage *usageError
			if !errors.As(err, &usage) {
				t.Fatalf("a page of a run that was read: %v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := reportTemplate.Execute(&out, page); err != nil {
			t.Fatalf("the page of a run that was read: %v", err)
		}
		if bytes.Contains(bytes.ToLower(out.Bytes()), []byte("<script>alert")) {
			t.Fatal("text of the run is markup in the page")
		}
	})
}
