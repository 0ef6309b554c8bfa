package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
)

// Values of --feature_dtype.
const (
	singleFeatures = "f32"
	halfFeatures   = "f16"
)

func featureTypeFlag() cli.Flag {
	return &cli.StringFlag{Name: "feature_dtype", DefaultText: "as configured, else f32", Usage: "store features as `TYPE` f32, or f16: half the memory, rounded after standardisation"}
}

// setFeatureType makes the type that features are stored in that of --feature_dtype, "" if it was
// not given.
func setFeatureType(c *trainconfig.Config, dtype string) error {
	switch dtype {
	case "":
		return nil
	case singleFeatures, halfFeatures:
		c.System.Half = dtype == halfFeatures
	default:
		return usagef("--feature_dtype is %q, want f32 or f16", dtype)
	}
	if msg := c.CheckFeatures(); msg != "" {
		return usagef("%s", msg)
	}
	return nil
}

// roundFeatures stores the features of a generated graph in half precision.
func roundFeatures(ctx context.Context, e *env, d *formats.Dataset) (*formats.Dataset, error) {
	x, rounding, err := formats.Halve(d.Features)
	if err != nil {
		return nil, formats.BadInput(synthPrefix+d.Name, "%w", err)
	}
	e.sayRounding(rounding)
	d.Features = x
	debug.FreeOSMemory() // the system gets the room of the others back now rather than minutes later
	return d, ctx.Err()
}

// sayRounding logs how far features moved.
func (e *env) sayRounding(r formats.Rounding) {
	e.log.Info(fmt.Sprintf("features are stored in half precision (f16), %.2g from what they were at most and %.2g on average, in standard deviations", r.Most, r.Mean))
}

// errNotInMemory says that a measurement wants features in memory.
var errNotInMemory = errors.New("the features do not lie in memory: steps are measured with features that do")
