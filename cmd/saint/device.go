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
		&cli.IntFlag{Name: "gpu", Value: autoDevice, DefaultText: "a usable GPU, else the CPU", Usage: "`N`: that GPU; -1: the CPU"},
		&cli.IntFlag{Name: "num_cpu_core", Usage: "sampler goroutines `N`", DefaultText: "one a core"},
	}
}

// openDevice opens the backend that --gpu asks for.
func openDevice(gpu int) (tensor.Backend, error) {
	switch {
	case gpu >= 0:
		return nil, fmt.Errorf("--gpu %d: %w; use --gpu -1 for the CPU", gpu, gpuMissing(gpu))
	case gpu < autoDevice:
		return nil, usagef("--gpu is %d, want -1 for the CPU or the number of a GPU", gpu)
	}
	return tensor.Open("cpu", tensor.Options{})
}

// gpuMissing says in one line why that GPU cannot train, whichever it is if gpu is autoDevice.
func gpuMissing(gpu int) error {
	m, err := cuda.Devices()
	switch {
	case err != nil:
		return err
	case gpu >= len(m.GPUs):
		return fmt.Errorf("%w: the GPUs of this machine are 0 to %d", tensor.ErrUnavailable, len(m.GPUs)-1)
	}
	return fmt.Errorf("%w: this version cannot train on a GPU yet", tensor.ErrUnavailable)
}

// deviceText says what runs the model, and why if nobody chose it.
func deviceText(b tensor.Backend, gpu int) string {
	if gpu == autoDevice && b.Name() != cpu64.Name {
		return b.Device() + ": no GPU (" + reason(gpuMissing(gpu)) + ")"
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
