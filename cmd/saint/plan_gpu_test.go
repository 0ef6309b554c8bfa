package main

import (
	"strings"
	"testing"
)

// A plan for a GPU needs none: with data it has the features of all nodes, with them in half precision
// less, and a step's parts add up to little less than all.
func TestPlanGPU(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	device := func(memory string, more ...string) map[string]any {
		line := must(t, append([]string{"plan", "--json", "--train_config", config, "--gpu_memory", memory}, more...)...).objects(t)[0]
		d, ok := line["device"].(map[string]any)
		if !ok {
			t.Fatalf("plan %v: no device in %v", more, line)
		}
		sum := 0.0
		for _, key := range []string{"model_bytes", "step_bytes", "scratch_bytes", "copy_bytes"} {
			sum += d[key].(float64)
		}
		if all := d["total_bytes"].(float64); sum <= 0 || all < sum || all > sum+(40<<20) {
			t.Errorf("plan %v: %v bytes in all, want a little more than %v", more, all, sum)
		}
		if fits := d["total_bytes"].(float64) <= d["free_bytes"].(float64); d["fits"] != fits {
			t.Errorf("plan %v: fits is %v in %v", more, d["fits"], d)
		}
		return d
	}
	whole := device("80GiB", "--data_prefix", "synth:tiny")
	half := device("80GiB", "--data_prefix", "synth:tiny", "--feature_dtype", "f16")
	if whole["model_bytes"].(float64) <= half["model_bytes"].(float64) {
		t.Errorf("features take %v bytes, in half precision %v", whole["model_bytes"], half["model_bytes"])
	}
	// Features that take more than half of the memory stay with the host, and steps bring rows.
	small := device("128KiB", "--data_prefix", "synth:tiny")
	if whole["features"] != "device" || small["features"] != "host" || small["model_bytes"].(float64) >= whole["model_bytes"].(float64) || whole["fits"] != true || small["fits"] != false {
		t.Errorf("plan for 80 GiB is %v, for 128 KiB %v", whole, small)
	}
	sizes := []string{"--nodes", "100", "--edges", "500", "--features", "16", "--classes", "5"}
	device("1GiB", sizes...)
	plan := func(more ...string) outcome {
		return saint(t, append(append([]string{"plan", "--train_config", config}, sizes...), more...)...)
	}
	if o := plan("--gpu", "-1"); strings.Contains(o.stdout, "on a GPU") || o.code != 0 {
		t.Errorf("plan --gpu -1 is %+v, want the CPU's alone", o)
	}
	for _, c := range []struct{ memory, want string }{{"1GiB", "\nfits in a GPU of 1.0 GiB"}, {"1MiB", "\ndoes not fit in a GPU of"}} {
		if o := plan("--gpu_memory", c.memory); !strings.Contains(o.stdout, c.want) {
			t.Errorf("plan --gpu_memory %s says %q, want %q", c.memory, o.stdout, c.want)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--dtype", "d", "--gpu_memory", "1GiB"}, exitUsage, "leave out --gpu"},
		{[]string{"--gpu_memory", "much"}, exitUsage, `--gpu_memory is "much", want a size`},
		{[]string{"--gpu_memory", "0"}, exitUsage, `--gpu_memory is "0", want a size`},
		{[]string{"--gpu", "0", "--gpu_memory", "1GiB"}, exitUsage, "leave out --gpu 0"},
		{[]string{"--gpu", "0,1"}, exitUsage, "only 'saint train' uses several"},
		{[]string{"--gpu", "x"}, exitUsage, `--gpu is "x"`},
		{[]string{"--gpu", "77"}, exitDevice, "--gpu 77: "},
	} {
		plan(c.args...).fails(t, c.code, c.want)
	}
}
