package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run in double precision says so, is evaluated and resumed in it, and in nothing else.
func TestTrainInDoublePrecision(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	want, _ := train(t, config, "--dtype", "d", "--epochs", "4")
	dir, out := train(t, config, "--dtype", "d", "--epochs", "2", "--json")
	if i := info(t, dir); i["dtype"] != "d" || !strings.HasPrefix(i["device"].(string), "cpu (float64") {
		t.Errorf("run.json: dtype %v, device %v, want d and the CPU with float64", i["dtype"], i["device"])
	}
	if text := string(readFile(t, dir, "config.yml")); !strings.Contains(text, "dtype: d\n") {
		t.Errorf("config.yml has no dtype: d:\n%s", text)
	}
	single, _ := train(t, config, "--dtype", "s", "--epochs", "4")
	if i := info(t, single); i["dtype"] != nil {
		t.Errorf("run.json of single precision: dtype %v, want none", i["dtype"])
	}
	saint(t, "train", "--resume", dir, "--dtype", "s").fails(t, exitUsage, "has d; leave the flag out")
	saint(t, "train", "--resume", single, "--dtype", "d").fails(t, exitUsage, "has s; leave the flag out")
	saint(t, "train", "--resume", dir, "--gpu", "0").fails(t, exitUsage, "double precision, which this version has on the CPU only")
	must(t, "train", "--resume", dir, "--epochs", "4")
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Error("2 + 4 epochs of double precision differ from 6")
	}
	saint(t, "train", "--data_prefix", "synth:tiny", "--train_config", config, "--dtype", "d", "--n_bits", "2").fails(t, exitUsage, "dtype d: activations")
	saint(t, "eval", dir, "--gpu", "0").fails(t, exitUsage, "best.safetensors is double precision")
	lines := must(t, "eval", dir, "--json").objects(t)
	last := lines[len(lines)-1]
	if last["split"] != "test" || last["f1_micro"].(float64) <= 0 {
		t.Errorf("eval printed %v, want scores of the test nodes", last)
	}
	if all := out.objects(t); all[len(all)-1]["type"] != "result" {
		t.Errorf("train printed %v last, want the result", all[len(all)-1])
	}
	file := filepath.Join(t.TempDir(), "p.npy")
	must(t, "predict", dir, "--probabilities", "--out", file)
	// The parameters start a run of single precision, and of double.
	params := filepath.Join(dir, "checkpoints", "last.safetensors")
	train(t, config, "--saved_model_path", params, "--epochs", "1")
	train(t, config, "--saved_model_path", filepath.Join(single, "checkpoints", "last.safetensors"), "--epochs", "1", "--dtype", "d")
}

// The configuration can ask for a precision, and the flag has the last word.
func TestPrecisionOfConfiguration(t *testing.T) {
	config := writeConfig(t, "softmax", "1")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	double := filepath.Join(t.TempDir(), "double.yml")
	for _, c := range []struct{ value, flag, want string }{{"d", "", "d"}, {"d", "s", ""}, {"s", "", ""}, {"s", "d", "d"}} {
		with := strings.Replace(string(text), "params:\n  - ", "params:\n  - dtype: "+c.value+"\n    ", 1)
		if err := os.WriteFile(double, []byte(with), 0o600); err != nil {
			t.Fatal(err)
		}
		var args []string
		if c.flag != "" {
			args = []string{"--dtype", c.flag}
		}
		dir, _ := train(t, double, args...)
		if got, _ := info(t, dir)["dtype"].(string); got != c.want {
			t.Errorf("dtype: %s with --dtype %q: run.json has %q, want %q", c.value, c.flag, got, c.want)
		}
	}
	bad := strings.Replace(string(text), "params:\n  - ", "params:\n  - dtype: double\n    ", 1)
	if err := os.WriteFile(double, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	saint(t, "config", "check", double).fails(t, exitUsage, "double.yml", `dtype is "double", want one of s, d`)
}

// A plan in double precision is what the run takes, to the byte.
func TestPlanDoublePrecision(t *testing.T) {
	config := filepath.Join(t.TempDir(), "c.yml")
	text := "network:\n  - dim: 16\n    arch: '1-1'\n    aggr: mean\n    loss: softmax\n    act: relu\nparams:\n  - lr: 0.01\n    dropout: 0.1\nphase:\n  - end: 1\n    sampler: full_batch\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data := []string{"--data_prefix", "synth:tiny", "--train_config", config, "--dtype", "d", "--json"}
	plan := must(t, append([]string{"plan"}, data...)...).objects(t)[0]
	took := must(t, append([]string{"train", "--debug_mem"}, data...)...).objects(t)[0]
	for _, key := range []string{"parameter_bytes", "gradient_bytes", "optimizer_bytes", "data_bytes", "activation_bytes", "peak_bytes"} {
		if plan[key] == nil || plan[key] != took[key] {
			t.Errorf("plan: %s %v, the run took %v", key, plan[key], took[key])
		}
	}
	saint(t, append([]string{"plan", "--n_bits", "2"}, data...)...).fails(t, exitUsage, "single precision only")
	saint(t, append([]string{"plan", "--compat", "exact"}, data...)...).fails(t, exitUsage, "leave out --compat")
	saint(t, append([]string{"plan"}, append(data, "--dtype", "q")...)...).fails(t, exitUsage, `--dtype is "q"`)
}
