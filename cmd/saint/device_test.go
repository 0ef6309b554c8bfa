package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func TestOpenDeviceGPU(t *testing.T) {
	_, err := openDevice(0, tensor.MatmulFP32)
	if !errors.Is(err, tensor.ErrUnavailable) || exitCode(err) != exitDevice {
		t.Fatalf("openDevice(0) = %v with exit code %d, want one that wraps ErrUnavailable and code %d", err, exitCode(err), exitDevice)
	}
	text := err.Error()
	if strings.Contains(text, "\n") || !strings.Contains(text, gpuBuildSays) {
		t.Errorf("openDevice(0) = %q, want one line with %q", text, gpuBuildSays)
	}
}

func TestOpenDeviceSaysWhyCPU(t *testing.T) {
	b, err := openDevice(autoDevice, tensor.MatmulFP32)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if text := deviceText(b, autoDevice); !strings.HasPrefix(text, "cpu (") || !strings.Contains(text, ": no GPU (") {
		t.Errorf("deviceText = %q, want the CPU and why there is no GPU", text)
	}
	if text := deviceText(b, -1); text != b.Device() {
		t.Errorf("deviceText of --gpu -1 = %q, want %q", text, b.Device())
	}
}

func TestDevicesCommand(t *testing.T) {
	out := must(t, "devices", "--json").stdout
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("devices --json printed %d lines, want 2:\n%s", len(lines), out)
	}
	var c cpuLine
	if err := json.Unmarshal([]byte(lines[0]), &c); err != nil || c.Type != "cpu" || c.Threads < 1 || c.Memory < 1 || c.ISA == "" {
		t.Errorf("devices --json = %q (%v), want a CPU", lines[0], err)
	}
	var g gpuDevices
	if err := json.Unmarshal([]byte(lines[1]), &g); err != nil || g.Type != "gpus" || (g.Missing == "") == (len(g.GPUs) == 0) {
		t.Errorf("devices --json = %q (%v), want GPUs or why there are none", lines[1], err)
	}
}
