package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/rundir"
)

func TestResumeRaisesEpochs(t *testing.T) {
	config := writeConfig(t, "softmax", "6")
	want, _ := train(t, config)
	dir, _ := train(t, config, "--epochs", "2", "--seed", "1")
	if bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Fatal("two epochs give the parameters of six")
	}
	o := must(t, "train", "--resume", dir, "--epochs", "6", "--json")
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Error("2 + 4 epochs differ from 6")
	}
	if lines := o.objects(t); len(lines) != 5 || lines[0]["epoch"] != 2.0 || lines[4]["epochs"] != 6.0 {
		t.Errorf("the resumed run printed %v, want epochs 2 to 5 and a result of 6", lines)
	}
	if got := strings.Count(string(readFile(t, dir, "metrics.jsonl")), `"type":"epoch"`); got != 6 {
		t.Errorf("metrics.jsonl has %d epochs, want 6", got)
	}
	if i := info(t, dir); i["state"] != "done" || i["epochs"] != 6.0 {
		t.Errorf("run.json: state %v, epochs %v, want done, 6", i["state"], i["epochs"])
	}
	// A finished run tells its result again and changes nothing.
	must(t, "train", "--resume", dir)
	if !bytes.Equal(lastOf(t, dir), lastOf(t, want)) {
		t.Error("resuming a finished run changes it")
	}
}

func TestResumeWhileAnotherProcessTrains(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("run folders are not locked on Windows")
	}
	dir, _ := train(t, writeConfig(t, "softmax", "2"))
	other, err := rundir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	saint(t, "train", "--resume", dir).fails(t, exitUsage, "another process is training")
	other.Unlock()
	must(t, "train", "--resume", dir)
}

func TestResumeFromAnotherFolder(t *testing.T) {
	tmp := t.TempDir()
	t.Chdir(tmp)
	must(t, "synth", "tiny", "--out", "tiny")
	config := writeConfig(t, "softmax", "3")
	must(t, "train", "--data_prefix", "tiny", "--train_config", config, "--run_dir", "run", "--epochs", "1")
	t.Chdir(filepath.Dir(tmp))
	dir := filepath.Join(tmp, "run")
	must(t, "train", "--resume", dir, "--epochs", "3")
	must(t, "eval", dir)
}

func TestResumeRefused(t *testing.T) {
	config := writeConfig(t, "softmax", "3")
	dir, _ := train(t, config)
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no run", []string{"--resume", t.TempDir()}, exitInput, "not a run folder"},
		{"other seed", []string{"--resume", dir, "--seed", "2"}, exitUsage, "has seed 1"},
		{"other interval of scores", []string{"--resume", dir, "--eval_train_every", "2"}, exitUsage, "was started with 15"},
		{"other configuration", []string{"--resume", dir, "--train_config", "rw.yml"}, exitUsage, "is not the configuration"},
		{"other data", []string{"--resume", dir, "--data_prefix", "synth:tiny?seed=2", "--quiet"}, exitUsage, "does not hold the data"},
		{"fewer epochs", []string{"--resume", dir, "--epochs", "2"}, exitUsage, "can only raise"},
		{"edge weights", []string{"--resume", dir, "--edge_weight"}, exitUsage, "started without"},
		{"missing data", []string{"--resume", dir, "--data_prefix", "nowhere"}, exitInput, "nowhere"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"train"}, tc.args...)
			if tc.name == "other configuration" {
				args = append(args, "--data_prefix", "synth:tiny")
			}
			saint(t, args...).fails(t, tc.code, tc.want)
		})
	}
	if got := info(t, dir)["state"]; got != "done" {
		t.Errorf("after refusals the state is %v, want done as before", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoints", "last.state.safetensors"), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	saint(t, "train", "--resume", dir, "--quiet").fails(t, exitInput, "last.state.safetensors")
	if i := info(t, dir); i["state"] != "failed" || i["error"] == nil {
		t.Errorf("run.json after a failure: %v, want state failed with the error", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	saint(t, "train", "--resume", dir).fails(t, exitInput, "run.json")
}

func TestStartFromSavedModel(t *testing.T) {
	config := writeConfig(t, "softmax", "3")
	dir, _ := train(t, config)
	saved := filepath.Join(dir, "checkpoints", "best.safetensors")
	_, cold := train(t, config, "--epochs", "1", "--json")
	_, warm := train(t, config, "--epochs", "1", "--json", "--saved_model_path", saved)
	if got, want := warm.last(t)["val_f1_micro"].(float64), cold.last(t)["val_f1_micro"].(float64); got <= want {
		t.Errorf("F1 after one epoch from saved parameters = %v, want more than %v from none", got, want)
	}
	args := []string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--saved_model_path"}
	saint(t, append(args, "nope")...).fails(t, exitInput, "nope", "no such file")
	saint(t, append(args, dir)...).fails(t, exitInput, "is a folder")
	saint(t, append(args, filepath.Join(dir, "config.yml"), "--quiet", "--run_dir", filepath.Join(t.TempDir(), "r"))...).fails(t, exitInput, "config.yml")
}
