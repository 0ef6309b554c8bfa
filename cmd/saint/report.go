package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/atomicfile"
)

// mostReported is how many runs a report may hold: side by side, more cannot be read.
const mostReported = 64

func newReportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "write one HTML page about runs: curves, times, memory, differences",
		ArgsUsage: "RUN_DIR...",
		Description: "Example: saint report runs/* --out report.html\n" +
			"The page needs no network and no other file. A run may still be training; the folder of --runs N stands for all its runs.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "out", Value: "report.html", Usage: "`FILE` to write, .html"}},
		Action: func(c *cli.Context) error {
			return runReport(c.Args().Slice(), c.String("out"), e)
		},
	}
}

func runReport(dirs []string, out string, e *env) error {
	if len(dirs) == 0 {
		return usagef("no run folder was named: saint report RUN_DIR...")
	}
	if ext := strings.ToLower(filepath.Ext(out)); ext != ".html" && ext != ".htm" {
		return usagef("--out %s: want a name that ends in .html", out)
	}
	if err := checkOut(out); err != nil {
		return err
	}
	runs, err := readReported(dirs)
	if err != nil {
		return err
	}
	page, err := newReportPage(runs, e.started)
	if err != nil {
		return err
	}
	// The page is made before the file is touched; what remains to fail is the disk.
	var text strings.Builder
	if err := reportTemplate.Execute(&text, page); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	err = atomicfile.Write(out, func(w io.Writer) error {
		_, err := io.WriteString(w, text.String())
		return err
	})
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(struct {
			Type string `json:"type"`
			Runs int    `json:"runs"`
			Out  string `json:"out"`
		}{"report", len(runs), out})
	}
	return e.printf("report of %s: %s\n", countOf(len(runs), "run"), out)
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// readReported reads the runs that the folders hold.
func readReported(dirs []string) ([]*reportedRun, error) {
	var paths []string
	seen := map[string]bool{}
	for _, dir := range dirs {
		for _, path := range runsIn(dir) {
			if key := absolute(path); !seen[key] {
				seen[key] = true
				paths = append(paths, path)
			}
		}
	}
	if len(paths) > mostReported {
		return nil, usagef("%d runs are too many for a page; name at most %d", len(paths), mostReported)
	}
	var runs []*reportedRun
	var errs error
	for _, path := range paths {
		r, err := readRun(path)
		errs = errors.Join(errs, err)
		runs = append(runs, r)
	}
	if errs != nil {
		return nil, errs
	}
	nameRuns(runs)
	return runs, nil
}
