package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/cuda"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// mostGPUs is more than any machine has.
const mostGPUs = 64

// parseGPUs reads --gpu: -1, a number, or several different ones joined by commas. "" is autoDevice.
func parseGPUs(text string) ([]int, error) {
	if text == "" {
		return []int{autoDevice}, nil
	}
	var all []int
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		switch {
		case err != nil || n < -1:
			return nil, usagef("--gpu is %q, want -1 for the CPU, the number of a GPU, or several such as 0,1", text)
		case slices.Contains(all, n):
			return nil, usagef("--gpu is %q, which names a GPU twice", text)
		}
		all = append(all, n)
	}
	switch {
	case len(all) > 1 && slices.Contains(all, -1):
		return nil, usagef("--gpu is %q: the CPU does not train together with GPUs", text)
	case len(all) > mostGPUs:
		return nil, usagef("--gpu names %d GPUs, want at most %d", len(all), mostGPUs)
	}
	return all, nil
}

// oneGPU reads --gpu of a command that uses one device.
func oneGPU(c *cli.Context) (int, error) {
	all, err := parseGPUs(c.String("gpu"))
	if err != nil {
		return 0, err
	}
	if len(all) > 1 {
		return 0, usagef("--gpu is %q, want one: only 'saint train' uses several", c.String("gpu"))
	}
	return all[0], nil
}

// trainingGPUs reads --gpu and --dualGPU, the reference's word for the first two.
func trainingGPUs(c *cli.Context) ([]int, error) {
	if !c.Bool("dualGPU") {
		return parseGPUs(c.String("gpu"))
	}
	if c.IsSet("gpu") && c.String("gpu") != "0,1" {
		return nil, usagef("--dualGPU stands for --gpu 0,1; leave out --gpu %s", c.String("gpu"))
	}
	return []int{0, 1}, nil
}

func matmulFlag() cli.Flag {
	return &cli.StringFlag{Name: "matmul", DefaultText: "as configured, else fp32", Usage: "how a GPU multiplies dense matrices: `TYPE` fp32, tf32 or bf16; sums are fp32, and so is all that is kept"}
}

func graphsFlag() cli.Flag {
	return &cli.StringFlag{Name: "graphs", DefaultText: "as configured, else off", Usage: "give a GPU each step as one CUDA graph: `WHEN` off, on, or auto: where steps take less time so"}
}

// matmulOf reads --matmul; given says whether it was there.
func matmulOf(c *cli.Context) (m tensor.Matmul, given bool, err error) {
	if !c.IsSet("matmul") {
		return 0, false, nil
	}
	if m, err = tensor.ParseMatmul(c.String("matmul")); err != nil {
		err = usagef("--matmul is %v", err)
	}
	return m, true, err
}

// configuredMatmul is the configuration's way of multiplying.
func configuredMatmul(c *trainconfig.Config) tensor.Matmul {
	if c.Params.Activations.AMP && c.System.Matmul == "" {
		return tensor.MatmulBF16
	}
	m, _ := tensor.ParseMatmul(c.System.Matmul) // the configuration was checked; "" is fp32
	return m
}

// tellMatmul logs what multiplies, and warns where it is not what was asked for.
func tellMatmul(e *env, b tensor.Backend, asked tensor.Matmul) {
	g, ok := b.(*cuda.Backend)
	if !ok {
		if asked != tensor.MatmulFP32 {
			e.log.Warn(fmt.Sprintf("matmul %s is for GPUs: %s multiplies in its own precision", asked, b.Device()))
		}
		return
	}
	text, missing := g.Matmul()
	switch {
	case missing == nil:
		e.log.Info("dense products " + text)
	case asked != tensor.MatmulFP32:
		e.log.Warn(fmt.Sprintf("dense products %s, not %s: %v", text, asked, missing))
	default:
		e.log.Info(fmt.Sprintf("dense products %s: %v", text, missing))
	}
}
