package main

import "testing"

// A plan for a GPU needs none: with data it has the features of all nodes, with them in half precision
// less, and a step's parts add up to little less than all.
func TestPlanGPU(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	device := func(more ...string) map[string]any {
		line := must(t, append([]string{"plan", "--json", "--train_config", config, "--gpu"}, more...)...).objects(t)[0]
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
		return d
	}
	whole := device("--data_prefix", "synth:tiny")
	half := device("--data_prefix", "synth:tiny", "--feature_dtype", "f16")
	if whole["model_bytes"].(float64) <= half["model_bytes"].(float64) {
		t.Errorf("features take %v bytes, in half precision %v", whole["model_bytes"], half["model_bytes"])
	}
	device("--nodes", "100", "--edges", "500", "--features", "16", "--classes", "5")
	saint(t, "plan", "--train_config", config, "--nodes", "9", "--features", "2", "--classes", "2", "--dtype", "d", "--gpu").fails(t, exitUsage, "leave out --gpu")
}
