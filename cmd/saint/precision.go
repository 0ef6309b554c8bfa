package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/internal/cpu64"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Values of --dtype, which are the reference's.
const (
	singlePrecision = "s"
	doublePrecision = "d"
)

func precisionFlag() cli.Flag {
	return &cli.StringFlag{Name: "dtype", DefaultText: "as configured, else s", Usage: "`TYPE` s: single precision; d: double, on the CPU"}
}

// precisionName is the value of --dtype that stands for a precision.
func precisionName(double bool) string {
	if double {
		return doublePrecision
	}
	return singlePrecision
}

// checkPrecision checks --dtype, "" if it was not given.
func checkPrecision(dtype string, given bool) error {
	if given && dtype != singlePrecision && dtype != doublePrecision {
		return usagef("--dtype is %q, want s (single precision) or d (double)", dtype)
	}
	return nil
}

// setPrecision makes the configuration's precision that of --dtype, if it was given. A run is
// resumed in its own.
func setPrecision(c *trainconfig.Config, dtype string, resumed *rundir.Dir) error {
	double := dtype == doublePrecision
	switch {
	case dtype == "":
	case resumed != nil && double != (resumed.Info.DType == doublePrecision):
		return usagef("--dtype %s: the run in %s has %s; leave the flag out", dtype, resumed.Path, precisionName(!double))
	default:
		c.Params.Double = double
	}
	switch {
	case !c.Params.Double:
	case c.Params.Activations.AMP:
		return usagef("dtype d: amp is bfloat16; leave out dtype or amp")
	case c.Params.Activations != (trainconfig.Activations{}):
		return usagef("dtype d: activations are compressed in single precision only; leave out dtype, or n_bits and kept_frac")
	case c.System.Matmul != "":
		return usagef("dtype d: matmul %s is about single precision; leave out one of them", c.System.Matmul)
	}
	if msg := c.CheckFeatures(); msg != "" {
		return usagef("%s", msg)
	}
	return nil
}

// openPrecise opens the backend that --gpu asks for, or the one of double precision; what says
// where that was asked for.
func openPrecise(gpu int, double bool, what string, matmul tensor.Matmul) (tensor.Backend, error) {
	switch {
	case !double:
		return openDevice(gpu, matmul)
	case gpu >= 0:
		return nil, usagef("--gpu %d: %s is double precision, which this version has on the CPU only; use --gpu -1", gpu, what)
	case gpu < autoDevice:
		return openDevice(gpu, matmul) // which says what is wrong
	}
	return tensor.Open(cpu64.Name, tensor.Options{})
}

// savedDouble reports whether a parameter file holds double precision.
func savedDouble(path string) (bool, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	for _, name := range f.Names() {
		if t, err := f.Tensor(name); err != nil || t.DType == safetensors.F64 {
			return err == nil, err
		}
	}
	return false, nil
}
