package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/internal/cpu64"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// autoDevice means that --gpu was not given; -1 is the reference's word for the CPU.
const autoDevice = -2

func deviceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "gpu", DefaultText: "the usable GPU with most free memory, else the CPU", Usage: "`N`: that GPU; -1: the CPU; N,M,...: those together ('saint train')"},
		&cli.IntFlag{Name: "num_cpu_core", Usage: "sampler goroutines `N`", DefaultText: "one a core"},
	}
}

// openDevice opens the backend that --gpu asks for.
func openDevice(gpu int, matmul tensor.Matmul) (tensor.Backend, error) {
	switch {
	case gpu >= 0:
		b, err := cuda.Open(tensor.Options{Device: gpu, Matmul: matmul})
		if err != nil {
			return nil, fmt.Errorf("--gpu %d: %w; use --gpu -1 for the CPU", gpu, err)
		}
		return b, nil
	case gpu < autoDevice:
		return nil, usagef("--gpu is %d, want -1 for the CPU or the number of a GPU", gpu)
	case gpu == autoDevice:
		if best, err := bestGPU(); err == nil {
			return cuda.Open(tensor.Options{Device: best, Matmul: matmul})
		}
	}
	return tensor.Open("cpu", tensor.Options{})
}

// bestGPU returns the usable GPU with most free memory. The error says in one line why there is none.
func bestGPU() (int, error) {
	m, err := cuda.Devices()
	if err != nil {
		return 0, err
	}
	best := -1
	for i, g := range m.GPUs {
		if g.Trouble == "" && (best < 0 || g.FreeBytes > m.GPUs[best].FreeBytes) {
			best = i
		}
	}
	return best, nil // Devices has found one
}

// deviceText says what runs the model, and why if nobody chose it.
func deviceText(b tensor.Backend, gpu int) string {
	if gpu != autoDevice || b.Name() == cpu64.Name {
		return b.Device()
	}
	if b.Name() == cuda.Name {
		return b.Device() + ": the GPU with most free memory; --gpu -1 chooses the CPU"
	}
	if _, err := bestGPU(); err != nil {
		return b.Device() + ": no GPU (" + reason(err) + ")"
	}
	return b.Device()
}

// reason leaves out that the device is unavailable, where the sentence says so already.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), tensor.ErrUnavailable.Error()+": ")
}

// checkWorkers checks --num_cpu_core.
func checkWorkers(n int, given bool) error {
	if given && n < 1 {
		return usagef("--num_cpu_core is %d, want 1 or more", n)
	}
	return nil
}

// evaluator opens the device that validates beside the one that trains, nil where that is the same:
// training on the CPU leaves nothing to do at the same time.
func evaluator(training tensor.Backend, cpuEval bool) (tensor.Backend, error) {
	if !cpuEval || training.Caps().SharedMemory {
		return nil, nil
	}
	return tensor.Open("cpu", tensor.Options{})
}
