package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// What is planned from sizes alone is what a step of a run takes, and speed comes with it.
func TestPlanIsWhatAStepTakes(t *testing.T) {
	config := writeConfig(t, "softmax", "30")
	for _, flags := range []string{"", "--n_bits 2", "--n_bits 8 --kept_frac 0.5 --act_group 64 --act_stats fp32", "--act_fp --kept_frac 0.25", "--n_bits 4 --simulate", "--transductive", "--amp", "--amp --kept_frac 0.5", "--n_bits 2 --dropout2"} {
		more := strings.Fields(flags)
		lines := must(t, append([]string{
			"train", "--gpu", "-1", "--debug_mem", "--test_speed", "--json", "--quiet", "--data_prefix", "synth:tiny", "--train_config", config,
		}, more...)...).objects(t)
		if len(lines) != 2 || lines[0]["type"] != "memory" || lines[1]["type"] != "speed" {
			t.Fatalf("%s: printed %v, want memory and speed", flags, lines)
		}
		if n := lines[1]["steps"]; n != 100.0 {
			t.Errorf("%s: %v steps were measured, want 100", flags, n)
		}
		got := lines[0]
		want := must(t, append([]string{
			"plan", "--json", "--train_config", config, "--features", "16", "--classes", "5",
			"--nodes", fmt.Sprint(got["nodes"]), "--edges", fmt.Sprint(got["edges"]),
		}, more...)...).last(t)
		for _, key := range []string{"parameter_bytes", "gradient_bytes", "optimizer_bytes", "model_bytes", "activation_bytes", "workspace_bytes", "peak_bytes"} {
			if got[key] != want[key] {
				t.Errorf("%s: %s = %v, planned %v", flags, key, got[key], want[key])
			}
		}
		must(t, append([]string{"plan", "--data_prefix", "synth:tiny", "--train_config", config}, more...)...)
	}
}

// Interrupted or not, with any number of workers, compressed runs end with the same bits; those
// of another compression differ.
func TestCompressedRunsRepeat(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	var before []byte
	for _, flags := range []string{"--n_bits 8", "--n_bits 2", "--n_bits 1 --kept_frac 0.5 --act_group 100", "--amp --dropout2"} {
		more := strings.Fields(flags)
		whole, _ := train(t, config, append(more, "--num_cpu_core", "1")...)
		part, _ := train(t, config, append(more, "--num_cpu_core", "3", "--epochs", "2")...)
		must(t, "train", "--resume", part, "--epochs", "4")
		want := lastOf(t, whole)
		if !bytes.Equal(lastOf(t, part), want) {
			t.Errorf("%s: a resumed run ends with other bits", flags)
		}
		if bytes.Equal(want, before) {
			t.Errorf("%s: the bits are those of another compression", flags)
		}
		before = want
		saint(t, "train", "--resume", whole, "--n_bits", "4", "--epochs", "5").fails(t, exitUsage, "--n_bits: the run", "own configuration")
	}
	// The store simulates what it does.
	codes, _ := train(t, config, "--n_bits", "2")
	values, _ := train(t, config, "--n_bits", "2", "--simulate")
	if !bytes.Equal(parameters(t, codes), parameters(t, values)) {
		t.Error("--simulate gives other parameters than codes")
	}
}

// parameters returns the last parameters without what the file says of the run.
func parameters(t *testing.T, dir string) []byte {
	t.Helper()
	data := lastOf(t, dir)
	n := 0
	for i, b := range data[:8] {
		n |= int(b) << (8 * i)
	}
	return data[8+n:]
}

func TestActivationFlagsRefused(t *testing.T) {
	config := writeConfig(t, "softmax", "2")
	base := "train --gpu -1 --data_prefix synth:tiny --train_config " + config + " "
	plan := "plan --train_config " + config + " "
	for _, tc := range []struct{ args, want string }{
		{base + "--n_bits 3", "n_bits is 3"},
		{base + "--n_bits 0", "n_bits is 0"},
		{base + "--n_bits two", "n_bits"},
		{base + "--kept_frac 0.5", "needs n_bits"},
		{base + "--n_bits 2 --kept_frac 0", "kept_frac is 0"},
		{base + "--n_bits 2 --kept_frac 1.5", "kept_frac is 1.5"},
		{base + "--n_bits 2 --kept_frac NaN", "kept_frac is NaN"},
		{base + "--n_bits 2 --act_fp", "act_fp"},
		{base + "--amp --act_fp", "amp"},
		{base + "--amp --dtype d", "amp is bfloat16"},
		{base + "--act_group 64", "needs n_bits"},
		{base + "--n_bits 2 --act_group -1", "act_group is -1, want row"},
		{base + "--n_bits 2 --act_group all", "act_group is all, want row"},
		{base + "--act_group row", "needs n_bits"},
		{base + "--n_bits 2 --act_stats fp16", "act_stats"},
		{base + "--act_stats fp32", "needs n_bits"},
		{base + "--simulate", "needs n_bits"},
		{base + "--grad_norm 0", "grad_norm is 0"},
		{base + "--grad_norm nan", "grad_norm is NaN"},
		{base + "--grad_norm inf", "grad_norm is +Inf"},
		{base + "--inductive --transductive", "want one of them"},
		{base + "--n_bits 2 --dtype d", "single precision"},
		{base + "--debug_mem --runs 2", "--runs"},
		{base + "--debug_mem --baseline", "--baseline"},
		{plan, "--nodes is 0"},
		{plan + "--nodes 10 --features 2", "--classes is 0"},
		{plan + "--nodes 10 --data_prefix synth:tiny", "leave out"},
		{plan + "--nodes 10 --features 2 --classes 2 --edges -5", "--edges is -5"},
		{plan + "--nodes 9999999999 --features 2 --classes 2", "--nodes"},
		{plan + "--nodes 10 --features 2 --classes 2 --multi_label", "one integer label a node"},
		{plan + "--nodes 10 --features 1048576 --classes 2 --n_bits 3", "n_bits is 3"},
		{plan + "--nodes 10 --features 2 --classes 2 --compat exact", "EXACT"},
		{plan + "--nodes 10 --features 2 --classes 2 --compat reference", "--compat"},
		{"plan", "--train_config is missing"},
	} {
		saint(t, strings.Fields(tc.args)...).fails(t, exitUsage, tc.want)
	}
	// Without data too, samplers read their keys.
	for _, c := range [][3]string{{"sampler: rw", "sampler: walks", "unknown sampler"}, {"depth:", "deep:", "deep"}} {
		text := strings.Replace(string(readFile(t, config)), c[0], c[1], 1)
		saint(t, "plan", "--nodes", "10", "--features", "2", "--classes", "2", "--train_config", writeFile(t, "bad.yml", text)).fails(t, exitUsage, c[2])
	}
	bad := strings.Replace(string(readFile(t, config)), "lr:", "n_bits: 5\n    lr:", 1)
	saint(t, "config", "check", writeFile(t, "bad.yml", bad)).fails(t, exitUsage, "n_bits is 5", ":"+strconv.Itoa(strings.Count(bad[:strings.Index(bad, "n_bits")], "\n")+1)+":")
}
