package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"gonum.org/v1/plot/plotter"
)

// writeRun writes the folder of a run whose validations are given by their F1.
func writeRun(t *testing.T, dir string, change map[string]any, f1 ...float64) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	info := map[string]any{
		"version": "1", "state": "done", "seed": 1, "device": "cpu", "data_name": "ppi", "train_config": "rw.yml", "command": []string{"saint", "train"},
	}
	config := strings.NewReplacer("LOSS", "softmax", "END", "9").Replace(smallConfig)
	for key, value := range change {
		if key == "config" {
			config = value.(string)
			continue
		}
		info[key] = value
	}
	text, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	var metrics strings.Builder
	for i, v := range f1 {
		fmt.Fprintf(&metrics, `{"type":"epoch","epoch":%d,"train_loss":%v,"val_f1_micro":%v,"val_loss":0.5,"seconds":2}`+"\n", i, 1/v, v)
	}
	if info["state"] == "done" {
		fmt.Fprintf(&metrics, `{"type":"result","best_epoch":1,"epochs":%d,"val_f1_micro":%v,"test_f1_micro":0.25,"last_test_f1_micro":0.125,"load_seconds":1,"norm_seconds":2,"train_seconds":10,"sample_wait_seconds":3,"eval_seconds":4,"total_seconds":20,"peak_rss_bytes":5000000}`+"\n",
			len(f1), f1[len(f1)-1])
	}
	for name, content := range map[string]string{"run.json": string(text), "config.yml": config, "metrics.jsonl": metrics.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// texts returns what a page shows, without tags, and the elements that it has.
func texts(t *testing.T, page []byte) (text string, elements map[string]int) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	elements = map[string]int{}
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.ElementNode:
			elements[n.Data]++
		case n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style":
			b.WriteString(strings.TrimSpace(n.Data) + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " "), elements
}

func TestReportPage(t *testing.T) {
	tmp := t.TempDir()
	a := writeRun(t, filepath.Join(tmp, "first"), nil, 0.5, 0.75)
	b := writeRun(t, filepath.Join(tmp, "second"), map[string]any{
		"seed": 7, "config": strings.NewReplacer("LOSS", "softmax", "END", "9", "lr: 0.01", "lr: 0.5").Replace(smallConfig),
	}, 0.6, 0.8, 0.7)
	out := filepath.Join(tmp, "r.html")
	if o := must(t, "report", a, b, "--out", out); o.stdout != "report of 2 runs: "+out+"\n" {
		t.Errorf("stdout %q", o.stdout)
	}
	page := readFile(t, out)
	text, elements := texts(t, page)
	for _, want := range []string{
		"first done 2 1 0.7500 0.2500 0.1250 20.0 s", "second done 3 1 0.7000 0.2500 0.1250 20.0 s",
		"seed 1 7", "params[0].lr 0.01 0.5", "first 5 MB",
		"loading 1.00 s (5.0 %), normalisation 2.00 s (10.0 %), training 7.00 s (35.0 %), waiting for samples 3.00 s (15.0 %), evaluation 4.00 s (20.0 %), other 3.00 s (15.0 %)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page shows\n%s\nwant %q in it", text, want)
		}
	}
	if strings.Contains(text, "params[0].dropout 0") {
		t.Error("the differences hold what the runs have in common")
	}
	if n := elements["figure"]; n != 6 || elements["script"] != 1 {
		t.Errorf("%d charts, %d scripts, want 6 and 1", n, elements["script"])
	}
	// One file, and no network.
	if found := regexp.MustCompile(`(?i)https?:|//[a-z]|src=|@import|url\(|<link|<iframe`).FindAll(page, -1); found != nil {
		t.Errorf("the page refers to something outside: %q", found)
	}
	if strings.Contains(string(page), "ZgotmplZ") {
		t.Error("the template has refused a value")
	}
	o := must(t, "report", a, a, "--out", out, "--json")
	if l := o.last(t); l["runs"] != 1.0 || l["out"] != out {
		t.Errorf("--json = %v, want one run in %s", l, out)
	}
}

// TestReportEscapes: nothing of a run becomes markup or script.
func TestReportEscapes(t *testing.T) {
	tmp := t.TempDir()
	const evil = `</script><script>alert(1)</script><img src=x onerror=alert(2)>'"` + "`${x}`"
	folder := strings.ReplaceAll(evil, "/", "_")
	a := writeRun(t, filepath.Join(tmp, folder), map[string]any{
		"state": evil, "error": evil, "data_name": evil, "train_config": evil, "device": evil, "version": evil, "command": []string{evil}, "started": evil, "data_prefix": evil,
	}, 0.5, 0.75)
	b := writeRun(t, filepath.Join(tmp, "plain"), nil, 0.5, 0.6)
	out := filepath.Join(tmp, "r.html")
	must(t, "report", a, b, "--out", out)
	text, elements := texts(t, readFile(t, out))
	if elements["img"] != 0 || elements["script"] != 1 {
		t.Errorf("the page has %d images and %d scripts, want none and one", elements["img"], elements["script"])
	}
	for _, want := range []string{evil, folder} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q as text", want)
		}
	}
}

// TestReportOfRunning: a run that is writing its metrics can be looked at.
func TestReportOfRunning(t *testing.T) {
	tmp := t.TempDir()
	out := filepath.Join(tmp, "r.html")
	running := writeRun(t, filepath.Join(tmp, "running"), map[string]any{"state": "running"}, 0.5, 0.75, 0.625)
	f, err := os.OpenFile(filepath.Join(running, "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"type":"epoch","epoch":3,"trai`)
	f.Close()
	must(t, "report", running, "--out", out)
	if text, _ := texts(t, readFile(t, out)); !strings.Contains(text, "running running 3 1 0.7500 - - -") {
		t.Errorf("the page shows\n%s\nwant the three whole validations", text)
	}
	fresh := writeRun(t, filepath.Join(tmp, "fresh"), map[string]any{"state": "running"})
	if err := os.Remove(filepath.Join(fresh, "metrics.jsonl")); err != nil {
		t.Fatal(err)
	}
	must(t, "report", fresh, "--out", out)
	if text, _ := texts(t, readFile(t, out)); !strings.Contains(text, "No epoch was validated yet.") {
		t.Errorf("the page of a run that has just begun shows\n%s", text)
	}
	// The folder of several seeds stands for them; one epoch is a dot.
	writeRun(t, filepath.Join(tmp, "many", "seed-1"), nil, 0.5)
	writeRun(t, filepath.Join(tmp, "many", "seed-2"), nil, 0.5)
	must(t, "report", filepath.Join(tmp, "many"), "--out", out)
	if text, _ := texts(t, readFile(t, out)); !strings.Contains(text, "many/seed-1") || !strings.Contains(text, "many/seed-2") {
		t.Errorf("the page of two seeds shows\n%s", text)
	}
}

func TestReportTooMany(t *testing.T) {
	args := []string{"report", "--out", filepath.Join(t.TempDir(), "r.html")}
	for i := range mostReported + 1 {
		args = append(args, fmt.Sprint("/nowhere/", i))
	}
	saint(t, args...).fails(t, exitUsage, "65 runs")
}

func TestNameRuns(t *testing.T) {
	tests := []struct{ paths, want string }{
		{"/a/x /a/y", "x y"},
		{"/a/x /b/x", "a/x b/x"},
		{"/a/x /b/x /b/y", "a/x b/x y"},
		{"/x /a/x", "/x a/x"},
		{"/a/r/seed-1 /a/r/seed-2", "r/seed-1 r/seed-2"},
		{"/a/r /a/r/baseline", "r r/baseline"},
	}
	for _, test := range tests {
		var runs []*reportedRun
		for _, p := range strings.Fields(test.paths) {
			runs = append(runs, &reportedRun{Path: p})
		}
		nameRuns(runs)
		var got []string
		for _, r := range runs {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("nameRuns(%s) = %s, want %s", test.paths, strings.Join(got, " "), test.want)
		}
	}
}

func TestFlatten(t *testing.T) {
	const text = "network:\n  - dim: 16\n    arch: '1-0'\nparams:\n  - lr: 0.01\n    adam:\n      beta: 0.9\n    list:\n      - 1\n      - 2\nphase:\n  - end: 3\n    sampler: rw\n  - end: 5\n"
	want := "network[0].dim=16 network[0].arch='1-0' params[0].lr=0.01 params[0].adam.beta=0.9 params[0].list[0]=1 params[0].list[1]=2 phase[0].end=3 phase[0].sampler=rw phase[1].end=5"
	var got []string
	for _, s := range flatten(text) {
		got = append(got, s.Key+"="+s.Value)
	}
	if strings.Join(got, " ") != want {
		t.Errorf("flatten =\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
}

func TestThin(t *testing.T) {
	var xy plotter.XYs
	for i := range 10000 {
		xy = append(xy, plotter.XY{X: float64(i), Y: math.Sin(float64(i) / 700)})
	}
	xy[1234].Y = 5
	got := thin(xy)
	if len(got) > mostPoints {
		t.Errorf("thin left %d points, want at most %d", len(got), mostPoints)
	}
	peak, last := 0.0, -1.0
	for _, p := range got {
		if p.X <= last {
			t.Fatalf("x = %v after %v", p.X, last)
		}
		last, peak = p.X, max(peak, p.Y)
	}
	if peak != 5 {
		t.Errorf("the greatest value left is %v, want 5", peak)
	}
}

func TestRoundTicks(t *testing.T) {
	tests := []struct {
		lo, hi float64
		whole  bool
		want   string
	}{
		{0, 29, true, "0 5 10 15 20 25"},
		{0, 1, true, "0 1"},
		{0, 1999, true, "0 500 1000 1500"},
		{0.66, 0.93, false, "0.70 0.75 0.80 0.85 0.90"},
		{-1, 1, false, "-1.0 -0.5 0.0 0.5 1.0"},
		{0, 0, false, ""},
		{math.Inf(-1), 0, false, ""},
	}
	for _, test := range tests {
		var got []string
		for _, tick := range (roundTicks{test.whole}).Ticks(test.lo, test.hi) {
			got = append(got, tick.Label)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("Ticks(%v, %v) = %v, want %s", test.lo, test.hi, got, test.want)
		}
	}
}

func TestOverTime(t *testing.T) {
	r := &reportedRun{Epochs: []epochLine{{Epoch: 1, Seconds: 2, ValF1Micro: 0.5}, {Epoch: 4, Seconds: 1, ValF1Micro: 0.6}}}
	if got := fmt.Sprint(overTime(r)); got != "[{4 0.5} {7 0.6}]" {
		t.Errorf("overTime = %s, want [{4 0.5} {7 0.6}]", got)
	}
}
