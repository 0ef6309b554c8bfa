package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats/inspect"
)

func TestInspect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	must(t, "synth", "--out", dir, "tiny")
	var reports [2]inspect.Report
	for i, prefix := range []string{"synth:tiny", dir} {
		o := must(t, "inspect", prefix, "--json")
		if err := json.Unmarshal([]byte(o.stdout), &reports[i]); err != nil {
			t.Fatalf("inspect --json %s printed %q: %v", prefix, o.stdout, err)
		}
		if strings.Count(o.stdout, "\n") != 1 {
			t.Errorf("inspect --json printed more than one line")
		}
	}
	if a, b := reports[0].Fingerprint, reports[1].Fingerprint; a != b || len(a) != 64 {
		t.Errorf("fingerprints of the generated graph and of its folder = %s and %s", a, b)
	}
	text := must(t, "inspect", dir).stdout
	for _, want := range []string{"2,000 nodes", "20,000 stored edges (undirected)", "edge homophily", "nothing stands out"} {
		if !strings.Contains(text, want) {
			t.Errorf("inspect printed no %q:\n%s", want, text)
		}
	}
}

func TestInspectPlot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"synth:tiny", "synth:ppi-like"} {
		path := filepath.Join(dir, "a.PNG")
		must(t, "inspect", "--plot", path, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if b := img.Bounds(); b.Dx() < 1000 || b.Dy() < 400 {
			t.Errorf("%s is %v, want at least 1000 x 400", path, b)
		}
	}
	var svg [2]string
	for i := range svg {
		path := filepath.Join(dir, "a.svg")
		must(t, "inspect", "synth:tiny", "--plot", path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		svg[i] = string(data)
	}
	if svg[0] != svg[1] || !strings.Contains(svg[0], "</svg>") {
		t.Errorf("two plots of the same data differ, or are no SVG")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInspectErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"inspect"}, exitUsage, "one data folder"},
		{[]string{"inspect", "a", "b"}, exitUsage, "one data folder"},
		{[]string{"inspect", "synth:tiny", "--plot", "x.pdf"}, exitUsage, ".svg or .png"},
		{[]string{"inspect", "synth:tiny", "--plot", filepath.Join(t.TempDir(), "no", "x.png")}, exitUsage, "--plot"},
		{[]string{"inspect", "synth:nothing"}, exitUsage, "unknown generated graph"},
		{[]string{"inspect", filepath.Join(t.TempDir(), "ppi")}, exitInput, "saint download ppi"},
		{[]string{"inspect", t.TempDir()}, exitInput, "'saint convert' makes one"},
	} {
		o := saint(t, c.args...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 || o.stdout != "" {
			t.Errorf("saint %s: exit %d, %q, want %d and one line with %q", strings.Join(c.args, " "), o.code, o.stderr, c.code, c.want)
		}
	}
}
