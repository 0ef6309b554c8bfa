package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/cpu"

	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/memlimit"
)

func newDevicesCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "devices",
		Usage: "what this machine can train on: the CPU with its instruction sets, and the GPUs or why there are none",
		Action: func(*cli.Context) error {
			c := cpuDevice()
			m, err := cuda.Devices()
			g := gpuDevices{Type: "gpus", Machine: m, Trainable: err == nil}
			if err != nil {
				g.Missing = oneLine(reason(err))
			}
			if !e.json {
				return e.printf("%s%s", c.text(), g.text())
			}
			if err := e.printJSON(c); err != nil {
				return err
			}
			return e.printJSON(g)
		},
	}
}

// cpuLine is the JSON of the processor.
type cpuLine struct {
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Arch     string   `json:"arch"`
	Threads  int      `json:"threads"` // that this process may run at a time
	CPUs     int      `json:"cpus"`
	ISA      string   `json:"isa"`      // of the kernels in use
	Best     string   `json:"best_isa"` // that the processor and the build have
	Features []string `json:"features"`
	Memory   int64    `json:"memory_bytes"` // that this process may use
}

func cpuDevice() cpuLine {
	return cpuLine{
		Type: "cpu", Name: cpuModel(), Arch: runtime.GOARCH, Threads: runtime.GOMAXPROCS(0), CPUs: runtime.NumCPU(),
		ISA: cpufeat.Chosen().String(), Best: cpufeat.Best().String(), Features: cpuFeatures(), Memory: memlimit.Bytes(),
	}
}

// cpuFeatures names the extensions that matter to numerical work, on any architecture.
func cpuFeatures() []string {
	x, a := &cpu.X86, &cpu.ARM64
	found := []string{}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"sse4.2", x.HasSSE42},
		{"avx", x.HasAVX},
		{"avx2", x.HasAVX2},
		{"fma", x.HasFMA},
		{"avx512f", x.HasAVX512F},
		{"avx512dq", x.HasAVX512DQ},
		{"avx512bw", x.HasAVX512BW},
		{"avx512vl", x.HasAVX512VL},
		{"avx512vnni", x.HasAVX512VNNI},
		{"avx512bf16", x.HasAVX512BF16},
		{"amx-tile", x.HasAMXTile},
		{"amx-bf16", x.HasAMXBF16},
		{"asimd", a.HasASIMD},
		{"asimddp", a.HasASIMDDP},
		{"sve", a.HasSVE},
		{"sve2", a.HasSVE2},
	} {
		if f.has {
			found = append(found, f.name)
		}
	}
	return found
}

func (c cpuLine) text() string {
	isa := c.ISA
	if c.ISA != c.Best {
		isa += fmt.Sprintf(" (%s lowers it from %s)", cpufeat.EnvISA, c.Best)
	}
	return fmt.Sprintf("cpu    %s\n       %d threads on %d CPUs, %.1f GiB of memory, kernels: %s\n       %s\n",
		c.Name, c.Threads, c.CPUs, gibibytes(c.Memory), isa, strings.Join(c.Features, " "))
}

// gpuDevices is the JSON of the GPUs.
type gpuDevices struct {
	Type string `json:"type"`
	cuda.Machine
	Trainable bool   `json:"trainable"`         // by this version
	Missing   string `json:"missing,omitempty"` // why there are none
}

func (g gpuDevices) text() string {
	if g.Missing != "" {
		return fmt.Sprintf("gpu    none: %s\n", g.Missing)
	}
	var b strings.Builder
	for _, i := range g.GPUs {
		if i.Trouble != "" {
			fmt.Fprintf(&b, "gpu %-2d cannot be used: %s\n", i.Index, oneLine(i.Trouble))
			continue
		}
		fmt.Fprintf(&b, "gpu %-2d %s, compute capability %s, CUDA %s\n       %d multiprocessors, %.1f of %.1f GiB of memory free\n",
			i.Index, i.Name, i.Compute, g.Driver, i.SMs, gibibytes(i.FreeBytes), gibibytes(i.TotalBytes))
	}
	return b.String()
}

func gibibytes(n int64) float64 { return float64(n) / (1 << 30) }
