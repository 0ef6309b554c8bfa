package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Exit codes; every command's help repeats them.
const (
	exitDone        = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInput       = 3
	exitDevice      = 4
	exitInterrupted = 130
)

const exitHelp = "Exit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 bad input data, 4 device unavailable, 130 interrupted after saving."

// usageError is a mistake on the command line.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// exitCode maps an error to the documented codes.
func exitCode(err error) int {
	var (
		usage    *usageError
		config   *trainconfig.Error
		mismatch *trainer.MismatchError
		exists   *rundir.ExistsError
		input    *formats.InputError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, trainer.ErrInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &config), errors.As(err, &mismatch), errors.As(err, &exists):
		return exitUsage
	case errors.As(err, &input):
		return exitInput
	case errors.Is(err, tensor.ErrUnavailable):
		return exitDevice
	default:
		return exitFailure
	}
}

// report prints err as one line, and with -v the stack of a panic behind it.
func (e *env) report(err error) {
	msg := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
	fmt.Fprintf(e.Stderr, "saint: %s\n", msg) //nolint:errcheck // there is nowhere else to say it
	var p *trainer.LayerPanic
	if e.verbose && errors.As(err, &p) {
		fmt.Fprintln(e.Stderr, p.Stack) //nolint:errcheck // likewise
	}
}
