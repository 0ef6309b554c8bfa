package main

import (
	"context"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	_ "github.com/saint-gnn/saint/internal/cpu" // registers the CPU backend
	"github.com/saint-gnn/saint/internal/cpufeat"
)

// run executes one command line and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	e.started, e.Args = time.Now(), args
	app := newApp(e)
	args, err := normalize(app, args)
	if err == nil {
		err = cpufeat.Err()
		if err != nil {
			err = usagef("%v", err)
		}
	}
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	if err != nil {
		e.report(err)
	}
	return exitCode(err)
}

func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:                   "saint",
		Usage:                  "GraphSAINT: train graph neural networks on sampled subgraphs",
		Description:            "Try it: saint train --data_prefix synth:tiny --train_config rw.yml\n" + exitHelp,
		Writer:                 e.Stdout,
		ErrWriter:              e.Stderr,
		HideVersion:            true,
		UseShortOptionHandling: false,
		ExitErrHandler:         func(*cli.Context, error) {},
		OnUsageError:           onUsageError,
		Commands: []*cli.Command{
			newTrainCommand(e), newEvalCommand(e), newPredictCommand(e), newSampleCommand(e), newSynthCommand(e),
			newConfigCommand(e), newSamplersCommand(e), newVersionCommand(e),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowAppHelp(c)
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
	for _, sub := range c.Subcommands {
		prepare(e, sub)
	}
	if len(c.Subcommands) > 0 {
		c.Action = func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowSubcommandHelp(c)
		}
		return
	}
	c.Flags = append(c.Flags, commonFlags()...)
	if c.Description != "" {
		c.Description += "\n"
	}
	c.Description += exitHelp
	action := c.Action
	c.Action = func(c *cli.Context) error {
		e.setup(c)
		return action(c)
	}
}

func unknownCommand(c *cli.Context) error {
	var names []string
	for _, sub := range c.Command.Subcommands {
		names = append(names, sub.Name)
	}
	if len(names) == 0 {
		for _, sub := range c.App.Commands {
			names = append(names, sub.Name)
		}
	}
	return usagef("unknown command %q; there is %s", c.Args().First(), strings.Join(names, ", "))
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) }
