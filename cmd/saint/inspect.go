package main

import (
	"context"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/inspect"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
)

func newInspectCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "describe a data set and warn of what would spoil training", ArgsUsage: "FOLDER|synth:NAME",
		Description: "Sizes, degrees, components, edges between splits, label balance, feature ranges and homophily of a data folder or of a generated graph, then what stands out and what to do about it.\n" +
			"Examples: saint inspect ./data/ppi\n" +
			"          saint inspect --plot flickr.png synth:flickr-like\n" +
			"Findings do not change the exit code; data that cannot be loaded do.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "plot", Usage: "also draw degrees and label balance to `FILE`.svg or .png"},
			&cli.BoolFlag{Name: "edge_weight", Usage: "use the adjacency's values as edge weights instead of 1"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return usagef("inspect needs one data folder, or synth:NAME (NAME is one of %s)", strings.Join(synth.Names(), ", "))
			}
			plot := c.String("plot")
			if err := checkPlotName(plot); err != nil {
				return err
			}
			prefix := c.Args().First()
			if err := checkPrefix(prefix); err != nil {
				return err
			}
			return runInspect(c.Context, e, prefix, plot, c.Bool("edge_weight"))
		},
	}
}

func runInspect(ctx context.Context, e *env, prefix, plot string, edgeWeight bool) error {
	begin := time.Now()
	r, err := report(ctx, e, prefix, edgeWeight)
	if err != nil {
		return err
	}
	e.log.Debug("inspected after " + seconds(time.Since(begin).Seconds()))
	if plot != "" {
		if err := plotReport(plot, r); err != nil {
			return err
		}
		e.log.Info("plot written to " + plot)
	}
	if e.json {
		return e.printJSON(r)
	}
	return e.printf("%s", inspectText(r))
}

// residentFeatures is the size of features beyond which they are read from their file a few
// rows at a time.
const residentFeatures = 256 << 20

// report loads or generates a data set and looks at it.
func report(ctx context.Context, e *env, prefix string, edgeWeight bool) (*inspect.Report, error) {
	o := inspect.Options{Progress: func(stage string) { e.log.Debug("inspect: " + stage) }}
	if strings.HasPrefix(prefix, synthPrefix) {
		raw, _, err := openRaw(ctx, e, prefix, edgeWeight)
		if err != nil {
			return nil, err
		}
		return inspect.Compute(ctx, raw, o)
	}
	begin := time.Now()
	d, err := saintdir.Open(prefix, saintdir.Options{
		EdgeWeight: edgeWeight, MaxResident: residentFeatures,
		Warn: func(msg string) { o.LoadWarnings = append(o.LoadWarnings, msg) },
	})
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // opened for reading
	e.log.Debug("data " + d.Raw.Name + " read in " + seconds(time.Since(begin).Seconds()))
	r, err := inspect.ComputeFrom(ctx, d.Raw, d.Features, o)
	return r, d.InFolder(err)
}

// openRaw loads or generates a data set as it is before standardisation.
func openRaw(ctx context.Context, e *env, prefix string, edgeWeight bool) (*formats.RawDataset, []string, error) {
	if !strings.HasPrefix(prefix, synthPrefix) {
		var warnings []string
		raw, err := saintdir.LoadRaw(prefix, saintdir.Options{
			EdgeWeight: edgeWeight,
			Warn:       func(msg string) { warnings = append(warnings, msg) },
		})
		return raw, warnings, err
	}
	name, seed, err := synth.Parse(prefix)
	if err != nil {
		return nil, nil, err
	}
	raw, err := generate(ctx, e, name, seed)
	return raw, nil, err
}
