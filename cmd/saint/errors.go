package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// usagef returns a usageError.
func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// exitCode maps an error to the documented codes.
func exitCode(err error) int {
	var (
		usage    *usageError
		config   *trainconfig.Error
		mismatch *trainer.MismatchError
		exists   *rundir.ExistsError
		busy     *rundir.BusyError
		input    *formats.InputError
		memory   *trainer.MemoryError
		few      *tensor.OutOfMemoryError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &few):
		return exitFailure // the bound of an evaluation may be the device's, which nobody gave
	case errors.Is(err, trainer.ErrInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &config), errors.As(err, &mismatch), errors.As(err, &exists), errors.As(err, &busy), errors.As(err, &memory):
		return exitUsage
	case errors.As(err, &input):
		return exitInput
	case errors.Is(err, tensor.ErrUnavailable):
		return exitDevice
	default:
		return exitFailure
	}
}

// advise says what to do about a device that failed a run, whose folder has what was saved.
func advise(err error, dir *rundir.Dir) error {
	var few *tensor.OutOfMemoryError
	var lost *tensor.LostError
	switch {
	case errors.As(err, &few):
		return fmt.Errorf("%w; less is taken with --cpu_eval, --features host, smaller subgraphs, --n_bits or --eval_memory, and --gpu -1 uses the CPU", err)
	case errors.As(err, &lost):
		next := "run it again"
		if _, e := os.Stat(dir.StatePath()); e == nil {
			next = "what was saved is intact, go on with: saint train --resume " + shellQuote(dir.Path)
		}
		return fmt.Errorf("%w; %s", err, next)
	}
	return err
}

// adviseEvaluation says what to do about a device that failed an evaluation.
func adviseEvaluation(err error) error {
	var few *tensor.OutOfMemoryError
	var lost *tensor.LostError
	switch {
	case errors.As(err, &few):
		return fmt.Errorf("%w; less is taken with --eval_memory, and --gpu -1 uses the CPU", few)
	case errors.As(err, &lost):
		return fmt.Errorf("%w; run it again", lost)
	}
	return err
}

// interrupted says how to go on after the state was saved.
func interrupted(err error, dir string) error {
	if !errors.Is(err, trainer.ErrInterrupted) {
		err = trainer.ErrInterrupted // before the first step: there is nothing to say of epochs
	}
	return fmt.Errorf("%w; saved, go on with: saint train --resume %s", err, shellQuote(dir))
}

// shellQuote quotes a path for a shell if that is needed.
func shellQuote(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n'\"$&;()<>|*?[]#~\\`!{}") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// report prints err as one line; with -v also what each wrapped error says, and the stack
// of a panic behind it.
func (e *env) report(err error) {
	msg := oneLine(err.Error())
	if errors.Is(err, context.Canceled) && !errors.Is(err, trainer.ErrInterrupted) {
		msg = "interrupted"
	}
	if e.jsonLog {
		e.log.Error(msg, "exit", exitCode(err))
		return
	}
	fmt.Fprintf(e.Stderr, "saint: %s\n", msg) //nolint:errcheck // there is nowhere else to say it
	if !e.verbose {
		return
	}
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
		fmt.Fprintf(e.Stderr, "  because (%T) %s\n", cause, oneLine(cause.Error())) //nolint:errcheck // likewise
	}
	var p *trainer.LayerPanic
	if errors.As(err, &p) {
		fmt.Fprintln(e.Stderr, p.Stack) //nolint:errcheck // likewise
	}
}
