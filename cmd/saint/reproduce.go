package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/suggest"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

const mostSeeds = 100

func newReproduceCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "reproduce", Usage: "train a table of a paper and compare",
		UsageText: "saint reproduce table2|exact [flags]",
		Subcommands: []*cli.Command{{
			Name: "table2", Usage: "test F1 of the two-layer GraphSAGE with every sampler on every data set that is there",
			Description: "Looks for the folders ppi, flickr, reddit, yelp and amazon below --data ('saint download' fetches some), trains the paper's\n" +
				"configurations with several seeds, and prints the mean and deviation of the test F1 beside the paper's figure.\n" +
				"Every run has a folder of its own below --out: a finished run is not repeated, an interrupted one is resumed.",
			Flags: append(
				reproduceFlags(),
				&cli.StringFlag{Name: "data", Value: "data", Usage: "`FOLDER` of data folders"},
				&cli.StringFlag{Name: "only", Usage: "configurations `NAME,...` such as ppi2_rw or 'reddit2_*'", DefaultText: "all"},
				&cli.StringFlag{Name: "plot", Usage: "draw the validation F1 of all runs over their epochs to `FILE`.svg or .png"},
			),
			Action: func(c *cli.Context) error {
				o, err := reproduceOptionsOf(c)
				if err != nil {
					return err
				}
				o.data, o.plot = c.String("data"), c.String("plot")
				if err = checkPlotName(o.plot); err != nil {
					return err
				}
				if info, err := os.Stat(o.data); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
					return formats.BadInput(o.data, "no such folder: --data wants one with the data folders ppi, flickr, reddit, yelp, amazon in it")
				}
				if o.rows, err = tableRows(c.String("only")); err != nil {
					return err
				}
				return runReproduce(c.Context, o, e, func(ctx context.Context, r *reproducer) error { return r.table(ctx) })
			},
		}, newReproduceExact(e)},
	}
}

// reproduceFlags are those of all tables.
func reproduceFlags() []cli.Flag {
	return append(
		deviceFlags(),
		&cli.StringFlag{Name: "out", Value: filepath.Join("runs", "reproduce"), Usage: "`FOLDER` of the runs"},
		&cli.IntFlag{Name: "seeds", Value: 3, Usage: "seeds 1 to `N`"},
		&cli.IntFlag{Name: "epochs", Usage: "cap the epochs at `N`", DefaultText: "the configuration's"},
	)
}

func reproduceOptionsOf(c *cli.Context) (o reproduceOptions, err error) {
	o = reproduceOptions{out: c.String("out"), seeds: c.Int("seeds"), epochs: c.Int("epochs"), workers: c.Int("num_cpu_core")}
	if o.gpu, err = oneGPU(c); err != nil {
		return o, err
	}
	switch {
	case o.seeds < 1 || o.seeds > mostSeeds:
		return o, usagef("--seeds is %d, want 1 to %d", o.seeds, mostSeeds)
	case c.IsSet("epochs") && o.epochs < 1:
		return o, usagef("--epochs is %d, want 1 or more", o.epochs)
	}
	if err := foldersTo(o.out, filepath.Clean(o.out)); err != nil {
		return o, err
	}
	return o, checkWorkers(o.workers, c.IsSet("num_cpu_core"))
}

type reproduceOptions struct {
	data, out, plot string
	seeds, epochs   int
	gpu, workers    int
	rows            []paperRow
}

// paperRow is one figure of the paper.
type paperRow struct {
	name   string // of the configuration, "ppi2_rw"
	config *trainconfig.Config
	data   string // folder
	paper  float64
	mode   exactMode // of the other table
}

// paperData are the data sets of the table in the paper's order.
var paperData = []string{"ppi", "flickr", "reddit", "yelp", "amazon"}

// tableRows returns the rows of table 2 that only names, or all.
func tableRows(only string) ([]paperRow, error) {
	var rows []paperRow
	var names []string
	for _, data := range paperData {
		for _, short := range []string{"n.yml", "e.yml", "rw.yml", "mrw.yml"} {
			c, err := trainconfig.Load(short, data)
			if err != nil {
				return nil, err
			}
			f1, known := publishedF1(data, c.Name)
			if !known {
				return nil, fmt.Errorf("no published score of %s on %s", c.Name, data)
			}
			name := strings.TrimSuffix(path.Base(c.Name), ".yml")
			rows, names = append(rows, paperRow{name: name, config: c, data: data, paper: f1}), append(names, name)
		}
	}
	if only == "" {
		return rows, nil
	}
	wanted := map[string]bool{}
	for _, pattern := range strings.Split(only, ",") {
		pattern = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(pattern), "table2/"), ".yml")
		found := false
		for _, name := range names {
			if ok, err := path.Match(pattern, name); err == nil && ok {
				wanted[name], found = true, true
			}
		}
		if !found {
			return nil, usagef("--only has %q, which is none of the table's configurations%s; there is %s",
				pattern, didYouMean("", suggest.Nearest(pattern, names)), strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(rows, func(r paperRow) bool { return !wanted[r.name] }), nil
}

// reproducer trains the rows one after the other; the rows of a data set share its data.
type reproducer struct {
	reproduceOptions
	env     *env
	backend tensor.Backend
	prefix  string // of data
	ds      *formats.Dataset
	load    float64

	runs, done int // of all that can be done here
	curves     []curve
}

func runReproduce(ctx context.Context, o reproduceOptions, e *env, table func(context.Context, *reproducer) error) (err error) {
	r := &reproducer{reproduceOptions: o, env: e}
	if r.backend, err = openDevice(o.gpu, tensor.MatmulFP32); err != nil {
		return err
	}
	defer func() {
		r.closeData()
		_ = r.backend.Close() // every result is on disk by now
	}()
	e.log.Info("device " + deviceText(r.backend, o.gpu))
	return table(ctx, r)
}

// table trains the paper's.
func (r *reproducer) table(ctx context.Context) error {
	for _, row := range r.rows {
		if r.has(row) {
			r.runs += r.seeds
		}
	}
	if err := r.head(); err != nil {
		return err
	}
	for _, row := range r.rows {
		line, err := r.row(ctx, row)
		if err != nil {
			return err
		}
		if err := r.print(line); err != nil {
			return err
		}
	}
	if r.plot == "" {
		return nil
	}
	if err := plotCurves(r.plot, r.curves); err != nil {
		return err
	}
	r.env.log.Info("plot written to " + r.plot)
	return nil
}

// has reports whether the data of a row are there.
func (r *reproducer) has(row paperRow) bool {
	info, err := os.Stat(filepath.Join(r.data, row.data))
	return err == nil && info.IsDir()
}

// open loads a data set unless it is the one at hand.
func (r *reproducer) open(ctx context.Context, prefix string) (err error) {
	if r.prefix == prefix {
		r.load = 0
		return nil
	}
	r.closeData()
	if r.ds, r.load, err = loadData(ctx, r.env, prefix, false); err == nil {
		r.prefix = prefix
	}
	return err
}

func (r *reproducer) closeData() {
	if r.ds != nil && r.ds.Close != nil {
		_ = r.ds.Close() // opened for reading
	}
	r.ds, r.prefix = nil, ""
}

// row trains all seeds of a row and compares with the paper.
func (r *reproducer) row(ctx context.Context, row paperRow) (reproduceLine, error) {
	line := reproduceLine{
		Type: "reproduce", Config: row.config.Name, Data: row.data, Epochs: r.lastEpoch(row), Of: row.config.Phases[len(row.config.Phases)-1].End,
		Paper: row.paper, Verdict: "data missing",
	}
	if !r.has(row) {
		return line, nil
	}
	c := curve{data: row.data, name: row.name, epochs: map[int][]float64{}}
	for seed := uint64(1); seed <= uint64(r.seeds); seed++ {
		res, err := r.seed(ctx, row, seed, line.Seconds)
		if err != nil {
			return line, err
		}
		line.Tests, line.Lasts = append(line.Tests, res.TestF1Micro), append(line.Lasts, res.LastTest)
		line.Seconds = append(line.Seconds, res.Total)
		if r.plot != "" {
			if err := c.add(r.path(row, seed)); err != nil {
				return line, err
			}
		}
	}
	r.curves = append(r.curves, c)
	line.compare()
	return line, nil
}

// lastEpoch returns how many epochs the runs of a row have.
func (r *reproducer) lastEpoch(row paperRow) int {
	last := row.config.Phases[len(row.config.Phases)-1].End
	if r.epochs > 0 {
		last = min(last, r.epochs)
	}
	return last
}

// path is the folder of a run: those of other lengths stand beside it.
func (r *reproducer) path(row paperRow, seed uint64) string {
	return filepath.Join(r.out, fmt.Sprintf("%s-%d-epochs", row.name, r.lastEpoch(row)), fmt.Sprintf("seed-%d", seed))
}
