package main

import (
	"context"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	_ "github.com/saint-gnn/saint/internal/cpu"   // registers the CPU backend
	_ "github.com/saint-gnn/saint/internal/cpu64" // and that of double precision
	"github.com/saint-gnn/saint/internal/cpufeat"
)

// run executes one command line and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	e.started, e.Args = time.Now(), args
	err := execute(ctx, e, args)
	if err != nil {
		e.report(err)
	}
	return exitCode(err)
}

func execute(ctx context.Context, e *env, args []string) error {
	app := newApp(e)
	args, err := normalize(app, args)
	if err != nil {
		return err
	}
	if err := cpufeat.Err(); err != nil {
		return usagef("%v", err)
	}
	return app.RunContext(ctx, args)
}

func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:            "saint",
		Usage:           "GraphSAINT: train graph neural networks on sampled subgraphs",
		UsageText:       "saint COMMAND [flags] [arguments]; 'saint COMMAND --help' explains one",
		Description:     "Try it: saint train --data_prefix synth:tiny --train_config rw.yml\n" + exitHelp,
		Writer:          e.Stdout,
		ErrWriter:       e.Stderr,
		HideVersion:     true,
		HideHelpCommand: true,
		// Names of folders may hold commas.
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError,
		Commands: []*cli.Command{
			newTrainCommand(e), newEvalCommand(e), newPredictCommand(e), newPlanCommand(e), newSampleCommand(e), newServeCommand(e), newSynthCommand(e), newInspectCommand(e), newDownloadCommand(e),
			newConvertCommand(e), newBenchCommand(e), newReproduceCommand(e), newReportCommand(e), newConfigCommand(e), newSamplersCommand(e), newDevicesCommand(e), newVersionCommand(e),
		},
	}
	for _, c := range app.Commands {
		prepare(e, c)
	}
	return app
}

// prepare gives a command what all commands share.
func prepare(e *env, c *cli.Command) {
	c.OnUsageError = onUsageError
	c.HideHelpCommand = true
	if c.Description != "" {
		c.Description += "\n"
	}
	c.Description += exitHelp
	for _, sub := range c.Subcommands {
		prepare(e, sub)
	}
	if len(c.Subcommands) > 0 {
		return
	}
	c.Flags = append(c.Flags, commonFlags()...)
	for _, f := range c.Flags {
		if b, ok := f.(*cli.BoolFlag); ok {
			b.DisableDefaultText = true
		}
	}
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := e.setup(ctx); err != nil {
			return err
		}
		if c.ArgsUsage == "" && ctx.Args().Present() {
			what := ctx.Args().First()
			hint := ""
			if hasFlag(c, "in") && !ctx.IsSet("in") {
				hint = "; say --in " + what
			}
			return usagef("unexpected argument %q: '%s' takes flags only%s", what, ctx.Command.HelpName, hint)
		}
		return action(ctx)
	}
}

func hasFlag(c *cli.Command, name string) bool {
	return slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) }
