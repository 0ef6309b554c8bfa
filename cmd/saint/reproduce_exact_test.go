package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestReproduceExact(t *testing.T) {
	out := filepath.Join(t.TempDir(), "runs")
	args := []string{
		"reproduce", "exact", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--out", out, "--epochs", "2", "--seeds", "2", "--gpu", "-1",
	}
	lines := must(t, append(args, "--only", "int2, int2-kept0.125", "--json")...).objects(t)
	if len(lines) != 3 {
		t.Fatalf("%d lines, want keep and two more: %v", len(lines), lines)
	}
	for i, mode := range []string{"keep", "int2", "int2-kept0.125"} {
		l := lines[i]
		if l["type"] != "reproduce_exact" || l["mode"] != mode || l["epochs"] != 2.0 || len(l["drop"].([]any)) != 2 {
			t.Errorf("line %v, want two seeds of %s", l, mode)
		}
	}
	if l := lines[0]; l["drop_mean"] != 0.0 || l["verdict"] != "-" {
		t.Errorf("line %v, want no drop below itself", l)
	}
	if lines[1]["drop_limit"] != 0.01 || lines[2]["verdict"] != "reported" {
		t.Errorf("lines %v, want a limit of 0.01 and one that is reported", lines[1:])
	}
	config := string(readFile(t, out, "tiny_rw-int2-kept0.125-2-epochs", "seed-1", "config.yml"))
	if !strings.Contains(config, "n_bits: 2") || !strings.Contains(config, "kept_frac: 0.125") {
		t.Errorf("the run with codes and projection has the configuration\n%s", config)
	}
	o := must(t, append(args, "--finished")...)
	rows := strings.Split(o.stdout, "\n")
	if len(rows) != 8 || !strings.HasPrefix(rows[2], "int8") || !strings.Contains(rows[2], "no runs") || !strings.HasPrefix(rows[4], "int2 ") || strings.Contains(rows[4], "no runs") {
		t.Errorf("of finished runs stdout is\n%s", o.stdout)
	}
	for _, key := range []string{"seeds", "test_f1_micro", "drop"} {
		if l := must(t, append(args, "--finished", "--json")...).objects(t)[1]; l[key] == nil || len(l[key].([]any)) != 0 {
			t.Errorf("of no runs %s is %v, want an empty list", key, l[key])
		}
	}
	saint(t, append(args, "--only", "int3")...).fails(t, exitUsage, `--only has "int3", did you mean int`)
	saint(t, "reproduce", "exact", "--data_prefix", "synth:tiny?seed=2", "--train_config", "rw.yml", "--out", out, "--epochs", "2", "--finished", "--quiet").
		fails(t, exitUsage, "holds a run on synth:tiny, not on synth:tiny?seed=2; choose another --out")
	saint(t, "reproduce", "exact", "--data_prefix", "synth:tiny").fails(t, exitUsage, "--train_config is missing")
	saint(t, "reproduce", "exact").fails(t, exitUsage, "--data_prefix is missing")
}

func TestExactVerdict(t *testing.T) {
	for _, tc := range []struct {
		name  string
		mode  string
		drops []float64
		most  float64
		want  string
	}{
		{"plain", "keep", []float64{0, 0}, 0, "-"},
		{"at the limit", "int8", []float64{0.001, 0.003}, 0.002, "within the limit"},
		{"better", "int8", []float64{-0.01}, 0.002, "within the limit"},
		{"noise", "int8", []float64{0.02, -0.01}, 0.002, "within two standard errors"},
		{"worse", "int8", []float64{0.003, 0.0031}, 0.002, "above the limit"},
		{"one seed", "int8", []float64{0.003}, 0.002, "above the limit"},
		{"none", "int8", nil, 0.002, "no runs"},
		{"without a limit", "int1", []float64{0.2}, 0, "reported"},
	} {
		l := exactLine{Mode: tc.mode, Drops: tc.drops}
		if l.compare(tc.most); l.Verdict != tc.want {
			t.Errorf("%s: verdict of drops %v with the limit %v = %s, want %s", tc.name, tc.drops, tc.most, l.Verdict, tc.want)
		}
	}
}
