package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

var info = Info{
	Version: "1", State: Running, Seed: 1<<63 + 1, Device: "cpu", Data: "d", DataName: "n", Fingerprint: "f", Config: "c.yml", ConfigHash: "h",
	Epochs: 3, EdgeWeight: true, ScoreEvery: 2, InitFrom: "i", Command: []string{"saint", "train"}, Started: "2000-01-01T00:00:00Z",
}

func create(t *testing.T) *Dir {
	t.Helper()
	d, err := Create(filepath.Join(t.TempDir(), "runs", "one"), info, []byte("network: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCreateOpen(t *testing.T) {
	d := create(t)
	got, err := Open(d.Path)
	if err != nil || !reflect.DeepEqual(got, d) || !reflect.DeepEqual(got.Info, info) {
		t.Errorf("Open = %+v, %v, want %+v", got, err, d)
	}
	if got := read(t, d.ConfigPath()); got != "network: 1\n" {
		t.Errorf("config.yml = %q", got)
	}
	for _, path := range []string{d.NormPath(2), d.BestPath(), d.LastPath(), d.StatePath()} {
		write(t, path, "x") // their folders exist
	}
	if got, want := filepath.Base(d.NormPath(2)), "phase2.safetensors"; got != want {
		t.Errorf("NormPath(2) ends in %s, want %s", got, want)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(d.Path), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("Create left %v, %v beside the folder", left, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	d := create(t)
	before := read(t, filepath.Join(d.Path, "run.json"))
	var exists *ExistsError
	if _, err := Create(d.Path, Info{}, nil); !errors.As(err, &exists) || !strings.Contains(err.Error(), "--resume "+d.Path) {
		t.Errorf("Create in a folder that is used = %v, want an ExistsError that says how to go on", err)
	}
	if read(t, filepath.Join(d.Path, "run.json")) != before {
		t.Error("Create changed a folder that is used")
	}
	empty := t.TempDir()
	if _, err := Create(empty, info, nil); err != nil {
		t.Errorf("Create in an empty folder = %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := Create(path, info, nil); err == nil || errors.As(err, &exists) {
			t.Errorf("Create(%s) = %v, want another error", path, err)
		}
	}
	if read(t, file) != "x" {
		t.Error("Create overwrote a file")
	}
}

func TestOpenErrors(t *testing.T) {
	var input *formats.InputError
	if _, err := Open(t.TempDir()); !errors.As(err, &input) || !strings.Contains(err.Error(), "no run.json") {
		t.Errorf("Open of an empty folder = %v, want an InputError", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); !errors.As(err, &input) {
		t.Errorf("Open of a missing folder = %v, want an InputError", err)
	}
	d := create(t)
	for _, text := range []string{"", "{", `{"seed": -1}`, `[]`} {
		write(t, filepath.Join(d.Path, "run.json"), text)
		if _, err := Open(d.Path); !errors.As(err, &input) || !strings.HasSuffix(input.Path, "run.json") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open with run.json %q = %v, want an InputError of run.json", text, err)
		}
	}
}

func TestSetState(t *testing.T) {
	d := create(t)
	for _, c := range []struct {
		state string
		cause error
		want  string
	}{{Failed, errors.New("disk \"full\""), "disk \"full\""}, {Interrupted, nil, ""}, {Done, nil, ""}} {
		if err := d.SetState(c.state, c.cause); err != nil {
			t.Fatal(err)
		}
		got, err := Open(d.Path)
		if err != nil || got.Info.State != c.state || got.Info.Error != c.want || got.Info.Seed != info.Seed {
			t.Errorf("after SetState(%s, %v): %+v, %v", c.state, c.cause, got, err)
		}
	}
	if err := os.RemoveAll(d.Path); err != nil {
		t.Fatal(err)
	}
	if err := d.SetState(Done, nil); err == nil {
		t.Error("SetState without a folder succeeded")
	}
}

func TestMetrics(t *testing.T) {
	d := create(t)
	path := filepath.Join(d.Path, "metrics.jsonl")
	if err := d.TrimMetrics(3); err != nil {
		t.Errorf("TrimMetrics without a file = %v", err)
	}
	type line struct {
		Type  string `json:"type"`
		Epoch int    `json:"epoch"`
	}
	for e := range 3 {
		if err := d.AppendMetrics(line{"epoch", e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.AppendMetrics(line{"result", 2}); err != nil {
		t.Fatal(err)
	}
	zero, one := "{\"type\":\"epoch\",\"epoch\":0}\n", "{\"type\":\"epoch\",\"epoch\":1}\n"
	if got, want := read(t, path), zero+one+"{\"type\":\"epoch\",\"epoch\":2}\n{\"type\":\"result\",\"epoch\":2}\n"; got != want {
		t.Errorf("metrics.jsonl = %q, want %q", got, want)
	}
	if err := d.AppendMetrics(func() {}); err == nil {
		t.Error("AppendMetrics of a function succeeded")
	}
	for _, c := range []struct {
		name, text string
		epoch      int
		want       string
	}{
		{"later epochs and result", read(t, path), 2, zero + one},
		{"all", zero + one, 0, ""},
		{"cut line", zero + one[:9], 5, zero},
		{"cut newline", zero + one[:len(one)-1], 5, zero + one},
		{"not JSON, blank, no epoch", "x\n\n{\"type\":\"epoch\"}\n[1]\n" + zero, 5, zero},
		{"empty", "", 1, ""},
	} {
		write(t, path, c.text)
		if err := d.TrimMetrics(c.epoch); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := read(t, path); got != c.want {
			t.Errorf("%s: metrics.jsonl = %q, want %q", c.name, got, c.want)
		}
	}
	write(t, path, zero+strings.Repeat("x", 1<<20+1))
	var input *formats.InputError
	if err := d.TrimMetrics(1); !errors.As(err, &input) {
		t.Errorf("TrimMetrics of an endless line = %v, want an InputError", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if d.AppendMetrics(line{}) == nil || d.TrimMetrics(0) == nil {
		t.Error("a folder in place of metrics.jsonl is no error")
	}
}
