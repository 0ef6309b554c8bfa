package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// paperFolder makes a folder of data folders with a small ppi in it.
func paperFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, "synth", "tiny", "--out", filepath.Join(dir, "ppi"), "--quiet")
	return dir
}

func TestReproduce(t *testing.T) {
	data, out := paperFolder(t), filepath.Join(t.TempDir(), "runs")
	args := []string{"reproduce", "table2", "--data", data, "--out", out, "--only", "ppi2_rw,flickr2_*", "--epochs", "1", "--gpu", "-1"}
	lines := must(t, append(args, "--seeds", "1", "--json")...).objects(t)
	if len(lines) != 5 {
		t.Fatalf("%d rows, want ppi2_rw and four of Flickr: %v", len(lines), lines)
	}
	first := lines[0]
	if first["type"] != "reproduce" || first["config"] != "table2/ppi2_rw.yml" || first["paper"] != 0.981 || first["verdict"] != "below" || first["epochs"] != 1.0 || first["of_epochs"] != 1000.0 {
		t.Errorf("row %v, want one epoch of ppi2_rw below the paper", first)
	}
	if lines[1]["verdict"] != "data missing" || lines[1]["test_f1_micro_mean"] != nil {
		t.Errorf("row %v, want data missing", lines[1])
	}
	run := filepath.Join(out, "ppi2_rw-1-epochs", "seed-1")
	before := string(readFile(t, run, "run.json"))
	plot := filepath.Join(t.TempDir(), "curves.svg")
	o := must(t, append(args, "--seeds", "2", "--plot", plot)...)
	if !strings.Contains(o.stderr, "seed 1, finished before") || string(readFile(t, run, "run.json")) != before {
		t.Errorf("the finished run was repeated; stderr:\n%s", o.stderr)
	}
	if !strings.Contains(o.stderr, "run 2 of 2: ppi2_rw, seed 2; ") || !strings.Contains(o.stderr, "left of this row") {
		t.Errorf("stderr does not tell how long it takes:\n%s", o.stderr)
	}
	if rows := strings.Split(o.stdout, "\n"); !strings.HasPrefix(rows[1], "ppi2_rw ") || !strings.Contains(rows[1], " 0.981 ") || len(rows) != 7 {
		t.Errorf("stdout is\n%s", o.stdout)
	}
	if text := string(readFile(t, plot)); !strings.Contains(text, "ppi2_rw") {
		t.Error("the plot has no line of ppi2_rw")
	}
	if err := os.WriteFile(filepath.Join(run, "metrics.jsonl"), []byte("{\"type\":\"epoch\"}\n{"), 0o666); err != nil {
		t.Fatal(err)
	}
	saint(t, append(args, "--seeds", "1", "--quiet", "--json")...).fails(t, exitInput, "metrics.jsonl:2: damaged", "to repeat the run")
}

func TestReproduceResumes(t *testing.T) {
	data, out := paperFolder(t), filepath.Join(t.TempDir(), "runs")
	args := []string{"reproduce", "table2", "--data", data, "--out", out, "--only", "ppi2_e", "--epochs", "8", "--seeds", "1", "--gpu", "-1", "--json"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan outcome)
	go func() { ended <- saintIn(ctx, t, false, args...) }()
	run := filepath.Join(out, "ppi2_e-8-epochs", "seed-1")
	for range 4000 {
		if _, err := os.Stat(filepath.Join(run, "checkpoints", "best.safetensors")); err == nil {
			break
		}
		select {
		case o := <-ended:
			t.Fatalf("the run ended early: %v", o)
		default:
			time.Sleep(5 * time.Millisecond)
		}
	}
	cancel()
	o := <-ended
	if o.code != exitInterrupted || o.stdout != "" || !strings.HasSuffix(o.stderr, "saved, the same command goes on\n") {
		t.Fatalf("interrupted: exit %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
	}
	if got := info(t, run)["state"]; got != "interrupted" {
		t.Errorf("state %v, want interrupted", got)
	}
	must(t, args...)
	if got := info(t, run)["state"]; got != "done" {
		t.Errorf("state %v, want done", got)
	}
	if got := strings.Count(string(readFile(t, run, "metrics.jsonl")), `"type":"epoch"`); got != 8 {
		t.Errorf("metrics.jsonl has %d epochs, want 8", got)
	}
}

func TestReproduceRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
		args string
		want string
	}{
		{"unknown table", exitUsage, "reproduce table3", `unknown command "reproduce table3", did you mean table2?`},
		{"unknown row", exitUsage, "reproduce table2 --data . --only ppi2_rww", "did you mean ppi2_rw?"},
		{"no data", exitInput, "reproduce table2 --data nowhere", "nowhere: no such folder"},
		{"seeds", exitUsage, "reproduce table2 --data . --seeds 0", "--seeds is 0, want 1 to 100"},
		{"epochs", exitUsage, "reproduce table2 --data . --epochs 0", "--epochs is 0"},
		{"out", exitUsage, "reproduce exact --data_prefix synth:tiny --train_config rw.yml --gpu -1 --out main.go", "--out main.go: main.go is a file"},
		{"below a file", exitUsage, "reproduce table2 --data . --out main.go/a/b", "--out main.go/a/b: main.go is a file"},
		{"plot", exitUsage, "reproduce table2 --data . --plot x.pdf", "--plot x.pdf: want a name"},
		{"device", exitDevice, "reproduce table2 --data . --gpu 0", "--gpu 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			saint(t, strings.Fields(tc.args)...).fails(t, tc.code, tc.want)
		})
	}
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		tests []float64
		want  string
	}{
		{[]float64{0.980, 0.978}, "reproduced"},
		{[]float64{0.970, 0.971, 0.972}, "below"},
		{[]float64{0.988, 0.989}, "above"},
		{[]float64{0.965, 0.985}, "reproduced"}, // within two deviations of its own seeds
		{[]float64{0.9761}, "reproduced"},
	} {
		l := reproduceLine{Tests: tc.tests, Paper: 0.981}
		if l.compare(); l.Verdict != tc.want {
			t.Errorf("verdict of %v = %s, want %s", tc.tests, l.Verdict, tc.want)
		}
	}
}
