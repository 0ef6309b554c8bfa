package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/internal/progress"
)

// otherConverters are the subcommands of convert besides ogb.
func otherConverters(e *env) []*cli.Command {
	return []*cli.Command{
		newConvertGraphSAGECommand(e), newConvertCPPCommand(e), newConvertTablesCommand(e),
		newConvertEdgeListCommand(e), newConvertArraysCommand(e), newConvertShchurCommand(e),
		newConvertToGraphSAGECommand(e), newConvertToCPPCommand(e), newConvertToTablesCommand(e),
	}
}

// inFlags are those of every conversion into a data folder; in says what --in is.
func inFlags(in string, more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "in", Usage: in},
		&cli.StringFlag{Name: "out", Usage: "data `FOLDER` to write; must be new or empty"},
	}, more...)
}

// outFlags are those of every conversion of a data folder.
func outFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "in", Usage: "data `FOLDER`, or synth:NAME[?seed=K]"},
		&cli.StringFlag{Name: "out", Usage: "`FOLDER` to write; must be new or empty"},
		weightFlag(),
	}, more...)
}

func weightFlag() cli.Flag {
	return &cli.BoolFlag{Name: "edge_weight", Usage: "keep edge weights; without it every edge counts as 1"}
}

// edgeFlags say what to make of edges.
func edgeFlags(undirectedIsDefault bool) []cli.Flag {
	mark := [2]string{"", " (the default)"}
	if undirectedIsDefault {
		mark[0], mark[1] = mark[1], mark[0]
	}
	return []cli.Flag{
		&cli.BoolFlag{Name: "undirected", Usage: "add the inverse of every edge" + mark[0]},
		&cli.BoolFlag{Name: "directed", Usage: "keep edges as they are" + mark[1]},
		rowsFlag(),
		&cli.BoolFlag{Name: "drop_self_loops", Usage: "leave edges from a node to itself out"},
	}
}

// graphOptions reads edgeFlags.
func graphOptions(c *cli.Context, undirectedIsDefault bool) (assemble.GraphOptions, error) {
	if c.Bool("undirected") && c.Bool("directed") {
		return assemble.GraphOptions{}, usagef("--undirected and --directed exclude each other")
	}
	target, err := targetRows(c)
	if err != nil {
		return assemble.GraphOptions{}, err
	}
	undirected := c.Bool("undirected") || undirectedIsDefault && !c.Bool("directed")
	return assemble.GraphOptions{TargetRows: target, Undirected: undirected, DropSelfLoops: c.Bool("drop_self_loops")}, nil
}

// rowsFlag says which end of a directed edge aggregates.
func rowsFlag() cli.Flag {
	return &cli.StringFlag{Name: "rows", Value: "source", Usage: "`END` of a directed edge that aggregates from the other: source or target"}
}

func targetRows(c *cli.Context) (bool, error) {
	rows := c.String("rows")
	if rows != "source" && rows != "target" {
		return false, usagef("--rows is %q, want source or target", rows)
	}
	return rows == "target", nil
}

// splitFlags choose the roles.
func splitFlags(value, usage string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "split", Value: value, Usage: usage},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of a drawn split"},
	}
}

func splitOf(c *cli.Context) (assemble.Split, error) {
	s, err := assemble.ParseSplit(c.String("split"), c.Uint64("seed"))
	if err != nil {
		return s, usagef("--%v", err)
	}
	return s, nil
}

// conversion is one run of a converter.
type conversion struct {
	e       *env
	format  string
	in, out string
	begin   time.Time
	stage   string
	task    *progress.Task
}

// newConversion checks --in and --out.
func newConversion(c *cli.Context, e *env, format string) (*conversion, error) {
	v := &conversion{e: e, format: format, in: c.String("in"), out: c.String("out"), begin: time.Now()}
	if v.in == "" {
		return nil, usagef("--in is missing: what to convert")
	}
	return v, newFolder(v.out)
}

// tidy lets the collector run more often until the returned function is called. Conversions
// make a few large pieces, so that memory is what counts, and the collector finds little to do.
func tidy() func() {
	const percent = 20
	before := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(before) }
}

// reports passes warnings and progress on.
func (v *conversion) reports() assemble.Reports {
	return assemble.Reports{
		Warn: func(msg string) { v.e.log.Warn(msg) },
		Progress: func(stage string, done, total int64) {
			if stage != v.stage {
				v.task.Done()
				v.stage, v.task = stage, v.e.progress.Start("convert "+v.format+":", stage, total)
			}
			v.task.Set(done, "")
		},
	}
}

// load reads the data folder or makes the graph that --in names.
func (v *conversion) load(ctx context.Context, edgeWeight bool) (*formats.RawDataset, error) {
	if strings.HasPrefix(v.in, synthPrefix) {
		name, seed, err := synth.Parse(v.in)
		if err != nil {
			return nil, usagef("--in: %v", err)
		}
		return generate(ctx, v.e, name, seed)
	}
	return saintdir.LoadRaw(v.in, saintdir.Options{EdgeWeight: edgeWeight, Warn: func(msg string) { v.e.log.Warn(msg) }})
}

// extraFile is a file beside the five of a data folder.
type extraFile struct {
	name string
	fill func(*bufio.Writer) error
}

// save writes the data folder and says what it holds.
func (v *conversion) save(raw *formats.RawDataset, extra ...extraFile) error {
	v.task.Done()
	err := atomicfile.WriteDir(v.out, func(tmp string) error {
		if err := saintdir.Write(tmp, raw); err != nil {
			return err
		}
		for _, f := range extra {
			err := atomicfile.Write(filepath.Join(tmp, f.name), func(w io.Writer) error {
				b := bufio.NewWriter(w)
				if err := f.fill(b); err != nil {
					return err
				}
				return b.Flush()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.report(raw)
}

// convertLine is the JSON of a conversion.
type convertLine struct {
	Type       string  `json:"type"`
	Format     string  `json:"format"`
	In         string  `json:"in"`
	Out        string  `json:"out"`
	Nodes      int     `json:"nodes"`
	Edges      int64   `json:"edges"`
	TrainEdges int64   `json:"train_edges"`
	Features   int     `json:"features"`
	Classes    int     `json:"classes"`
	MultiLabel bool    `json:"multi_label"`
	Train      int     `json:"train"`
	Val        int     `json:"val"`
	Test       int     `json:"test"`
	Seconds    float64 `json:"seconds"`
}

func (v *conversion) report(raw *formats.RawDataset) error {
	v.task.Done()
	took := time.Since(v.begin).Seconds()
	l := &raw.Labels
	if v.e.json {
		return v.e.printJSON(convertLine{
			"convert", v.format, v.in, v.out, raw.Full.NumNodes(), raw.Full.NumEdges(), raw.Train.NumEdges(), raw.Dim,
			l.NumClasses, l.IsMulti(), len(raw.TrainNodes), len(raw.ValNodes), len(raw.TestNodes), took,
		})
	}
	kind := "classes"
	if l.IsMulti() {
		kind = "labels a node may have"
	}
	return v.e.printf("%s: %d nodes, %d stored edges, %d features, %d %s, %d/%d/%d training/validation/test nodes; in %s\n",
		v.out, raw.Full.NumNodes(), raw.Full.NumEdges(), raw.Dim, l.NumClasses, kind,
		len(raw.TrainNodes), len(raw.ValNodes), len(raw.TestNodes), seconds(took))
}

// finish reports a conversion out of a data folder, after write has written it.
func (v *conversion) finish(raw *formats.RawDataset, err error) error {
	v.task.Done()
	if err != nil {
		return fmt.Errorf("convert %s: %w", v.in, err)
	}
	return v.report(raw)
}
