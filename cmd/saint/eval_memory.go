package main

import (
	"github.com/urfave/cli/v2"
)

// evalMemoryFlag bounds the memory of evaluations.
func evalMemoryFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "eval_memory", DefaultText: "as fast as it goes",
		Usage: "bound on what an evaluation takes beside the data and the weights; less is slower and gives the same numbers. `SIZE` such as 512MiB or 16GiB",
	}
}

// evalMemoryOf returns the bound in bytes, 0 for none.
func evalMemoryOf(c *cli.Context) (int64, error) {
	if !c.IsSet("eval_memory") {
		return 0, nil
	}
	size, ok := parseSize(c.String("eval_memory"))
	if !ok {
		return 0, usagef("--eval_memory is %q, want a size such as 512MiB or 16GiB", c.String("eval_memory"))
	}
	return size, nil
}
