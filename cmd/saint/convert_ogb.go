package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/ogb"
	"github.com/saint-gnn/saint/internal/progress"
)

func newConvertOGBCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "ogb", Usage: "convert a node property set of the Open Graph Benchmark",
		Description: "Reads ogbn-products, ogbn-arxiv, ogbn-proteins, ogbn-papers100M and sets of the same form, as CSV or binary files, as they lie on disk after download.\n" +
			"The folder is recognised by its name (ogbn_products, products, arxiv, …); for another name say --undirected or --directed.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "in", Usage: "`FOLDER` of the set, which holds raw and split, or its .zip"},
			&cli.StringFlag{Name: "out", Usage: "data `FOLDER` to write; must be new or empty"},
			&cli.BoolFlag{Name: "undirected", Usage: "add the inverse of every edge (the default for known sets)"},
			&cli.BoolFlag{Name: "directed", Usage: "keep edges as they are"},
			rowsFlag(),
			&cli.StringFlag{Name: "split", Usage: "`NAME` of a folder below split (default: the set's own)"},
			&cli.StringFlag{Name: "memory", Value: "4GiB", Usage: "bound on memory; a larger graph passes through files beside --out. `SIZE` such as 512MiB or 16GiB"},
			&cli.IntFlag{Name: "num_cpu_core", DefaultText: "all cores", Usage: "`N` goroutines that parse; the result does not depend on it"},
		},
		Action: func(c *cli.Context) error { return convertOGB(c.Context, e, c) },
	}
}

func convertOGB(ctx context.Context, e *env, c *cli.Context) error {
	in, out := c.String("in"), c.String("out")
	o := ogb.Options{
		Split: c.String("split"), Workers: c.Int("num_cpu_core"),
		Warn: func(msg string) { e.log.Warn(msg) }, Note: func(msg string) { e.log.Info(msg) },
	}
	switch {
	case in == "":
		return usagef("--in is missing: the folder of a set, or its .zip")
	case c.Bool("undirected") && c.Bool("directed"):
		return usagef("--undirected and --directed exclude each other")
	case o.Workers < 0:
		return usagef("--num_cpu_core is %d, want 1 or more", o.Workers)
	case c.Bool("undirected"):
		o.Direction = ogb.Undirected
	case c.Bool("directed"):
		o.Direction = ogb.Directed
	}
	var err error
	if o.TargetRows, err = targetRows(c); err != nil {
		return err
	}
	var ok bool
	if o.Memory, ok = parseSize(c.String("memory")); !ok {
		return usagef("--memory is %q, want a size such as 512MiB or 16GiB", c.String("memory"))
	}
	if err := newFolder(out); err != nil {
		return err
	}
	// What the collector leaves lying around counts as memory too.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(o.Memory))
	show := stages{e: e}
	o.Progress = show.step
	begin := time.Now()
	s, err := ogb.Convert(ctx, in, out, o)
	show.task.Done()
	var option *ogb.OptionError
	if errors.As(err, &option) {
		return usagef("%v", option)
	}
	if err != nil {
		return err
	}
	return reportOGB(e, s, out, time.Since(begin).Seconds())
}

// stages shows the progress of a conversion.
type stages struct {
	e     *env
	stage string
	task  *progress.Task
	begin time.Time
}

func (s *stages) step(p ogb.Step) {
	if p.Stage != s.stage {
		s.task.Done()
		s.stage, s.begin, s.task = p.Stage, time.Now(), s.e.progress.Start("convert "+p.Stage+":", "bytes", p.Total)
	}
	s.task.SetFunc(p.Done, func() string {
		return fmt.Sprintf("%d rows, %s rows/s", p.Rows, progress.Rate(float64(p.Rows)/max(1e-9, time.Since(s.begin).Seconds())))
	})
}

// ogbLine is the JSON of a converted set.
type ogbLine struct {
	Type       string  `json:"type"`
	Format     string  `json:"format"`
	Dataset    string  `json:"dataset,omitempty"`
	Out        string  `json:"out"`
	Nodes      int     `json:"nodes"`
	FileEdges  int64   `json:"file_edges"`
	Edges      int64   `json:"edges"`
	TrainEdges int64   `json:"train_edges"`
	ValEdges   int64   `json:"val_edges"`
	Merged     int64   `json:"merged"`
	SelfLoops  int64   `json:"self_loops"`
	Undirected bool    `json:"undirected"`
	Features   int     `json:"features"`
	Classes    int     `json:"classes"`
	MultiLabel bool    `json:"multi_label"`
	Unlabelled int     `json:"unlabelled"`
	Split      string  `json:"split"`
	Train      int     `json:"train"`
	Val        int     `json:"val"`
	Test       int     `json:"test"`
	Seconds    float64 `json:"seconds"`
}

func reportOGB(e *env, s *ogb.Summary, out string, took float64) error {
	// The data set's own metric is found by the folder's name.
	if name := filepath.Base(filepath.Clean(out)); s.Dataset != "" && !strings.HasPrefix(strings.ToLower(name), strings.ToLower(s.Dataset)) {
		e.log.Info(fmt.Sprintf("%s: a folder name that begins with %s lets training find the metric of that set", out, s.Dataset))
	}
	if e.json {
		return e.printJSON(ogbLine{
			"convert", "ogb", s.Dataset, out, s.Nodes, s.FileEdges, s.Edges, s.TrainEdges, s.ValEdges, s.Merged, s.SelfLoops, s.Undirected,
			s.Features, s.Classes, s.MultiLabel, s.Unlabelled, s.Split, s.Train, s.Val, s.Test, took,
		})
	}
	kind, labels := "directed: as in the file", "classes"
	if s.Undirected {
		kind = "undirected: with inverse edges"
	}
	if s.MultiLabel {
		labels = "labels a node may have"
	}
	return e.printf("%s: %d nodes, %d stored edges (%s), %d features, %d %s, %d/%d/%d training/validation/test nodes (split %s); in %s\n",
		out, s.Nodes, s.Edges, kind, s.Features, s.Classes, labels, s.Train, s.Val, s.Test, s.Split, seconds(took))
}

// parseSize reads a number of bytes such as 512MiB, 16GiB, 4G or 1000000.
func parseSize(text string) (int64, bool) {
	digits := strings.TrimRight(text, "KMGTiBkmgtb ")
	shift, ok := map[string]int{"": 0, "b": 0, "k": 10, "kib": 10, "kb": 10, "m": 20, "mib": 20, "mb": 20, "g": 30, "gib": 30, "gb": 30, "t": 40, "tib": 40, "tb": 40}[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	size := n * float64(int64(1)<<shift)
	if err != nil || !ok || !(size >= 1) || size >= math.MaxInt64 {
		return 0, false
	}
	return int64(size), true
}
