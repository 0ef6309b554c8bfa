package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
)

func newBenchTable(e *env) *cli.Command {
	return &cli.Command{
		Name: "table", Usage: "join the --json of several benchmarks of one machine into a table in Markdown", ArgsUsage: "FILE...",
		Flags: []cli.Flag{&cli.StringFlag{Name: "out", Usage: "`FILE` to write instead of stdout, or a folder for one named after the machine"}},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usagef("bench table needs at least one file with the --json of a benchmark")
			}
			out := c.String("out")
			if info, err := os.Stat(out); err != nil || !info.IsDir() {
				if err := checkOut(out); err != nil {
					return err
				}
			}
			r := &benchReport{env: e}
			for _, path := range c.Args().Slice() {
				if err := r.read(path); err != nil {
					return err
				}
			}
			if out == "" {
				return e.printf("%s", r.markdown())
			}
			return r.finish(out)
		},
	}
}

// longestFigure bounds a line of a file that should hold figures.
const longestFigure = 1 << 16

// read adds the figures of a file; a later figure of the same name replaces an earlier one.
func (r *benchReport) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return formats.BadInput(path, "cannot be read: %v", errors.Unwrap(err))
	}
	defer f.Close() //nolint:errcheck // opened for reading
	lines := bufio.NewScanner(io.LimitReader(f, 1<<26))
	lines.Buffer(nil, longestFigure)
	number, known := 0, false
	for lines.Scan() {
		number++
		if err := r.line(lines.Bytes(), &known); err != nil {
			return &formats.InputError{Path: path, Offset: -1, Line: number, Err: err}
		}
	}
	if err := lines.Err(); err != nil {
		return &formats.InputError{Path: path, Offset: -1, Line: number + 1, Err: err}
	}
	if !known {
		return formats.BadInput(path, "holds no figures: want the output of 'saint bench … --json'")
	}
	return nil
}

// line takes one line; known says that the file's machine has been seen.
func (r *benchReport) line(text []byte, known *bool) error {
	var head struct{ Type string }
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("not a line of a benchmark: %w", err)
	}
	switch head.Type {
	case "machine":
		var m machineLine
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		if r.machine.Type == "" {
			r.machine = m
		} else if m.slug() != r.machine.slug() {
			return fmt.Errorf("figures of %s, but those before are of %s: a table is of one machine", m.slug(), r.machine.slug())
		}
		*known = true
	case "bench":
		var f figure
		if err := json.Unmarshal(text, &f); err != nil {
			return err
		}
		if !*known {
			return errors.New("a figure before the line of its machine")
		}
		same := func(g figure) bool { return g.Name == f.Name && g.Threads == f.Threads }
		if at := slices.IndexFunc(r.figures, same); at >= 0 {
			r.figures[at] = f
		} else {
			r.figures = append(r.figures, f)
		}
	default:
		return fmt.Errorf("type %q, want machine or bench", head.Type)
	}
	return nil
}

// byKind returns the figures with those of a kind together, kinds in the order of 'all'.
func (r *benchReport) byKind() []figure {
	place := func(f figure) int {
		for i, name := range benchOrder {
			if f.kind() == name {
				return i
			}
		}
		return len(benchOrder)
	}
	all := slices.Clone(r.figures)
	slices.SortStableFunc(all, func(a, b figure) int { return place(a) - place(b) })
	return all
}

// benchOrder is the order of kinds in a table.
var benchOrder = []string{"gemm", "spmm", "step", "sample", "norm", "eval", "load", "cost"}
