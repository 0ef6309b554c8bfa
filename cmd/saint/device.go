package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

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
		return nil, fmt.Errorf("--gpu %d: %w: this build has no GPU backend; use --gpu -1 for the CPU", gpu, tensor.ErrUnavailable)
	case gpu < autoDevice:
		return nil, usagef("--gpu is %d, want -1 for the CPU or the number of a GPU", gpu)
	}
	return tensor.Open("cpu", tensor.Options{})
}

// deviceText says what runs the model, and why if nobody chose it.
func deviceText(b tensor.Backend, gpu int) string {
	if gpu == autoDevice {
		return b.Device() + ": no GPU that this build can use"
	}
	return b.Device()
}

// checkWorkers checks --num_cpu_core.
func checkWorkers(n int, given bool) error {
	if given && n < 1 {
		return usagef("--num_cpu_core is %d, want 1 or more", n)
	}
	return nil
}
