package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/suggest"
	trainconfig "github.com/saint-gnn/saint/train_config"
)

// exactMode is a way of keeping activations.
type exactMode struct {
	name string
	keep trainconfig.Activations
	most float64 // drop of F1 that passes; 0: none is named
}

// exactModes are those that are compared; the first is what they are compared with.
var exactModes = []exactMode{
	{name: "keep"},
	{"int8", trainconfig.Activations{Bits: 8}, 0.002},
	{"int4", trainconfig.Activations{Bits: 4}, 0.005},
	{"int2", trainconfig.Activations{Bits: 2}, 0.01},
	{"int1", trainconfig.Activations{Bits: 1}, 0},
	{"int2-kept0.125", trainconfig.Activations{Bits: 2, KeptFrac: 0.125}, 0},
}

func newReproduceExact(e *env) *cli.Command {
	return &cli.Command{
		Name: "exact", Usage: "test F1 with activations in codes beside that without, seed by seed",
		Description: "Trains a configuration with several seeds, plainly and with codes of 8, 4, 2 and 1 bits and 2 bits of a projection,\n" +
			"and prints the mean drop of the test F1 over the pairs of the same seed, its standard error and a verdict.\n" +
			"Every run has a folder of its own below --out: a finished run is not repeated, an interrupted one is resumed.",
		Flags: append(
			reproduceFlags(),
			&cli.StringFlag{Name: "data_prefix", Usage: "data `FOLDER`, or synth:NAME[?seed=K] for a generated graph"},
			&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`: a path, a built-in one, or rw.yml and the like for known data sets"},
			&cli.StringFlag{Name: "only", Usage: "ways `NAME,...` of keeping activations, such as int8,int2", DefaultText: "all"},
			&cli.BoolFlag{Name: "finished", Usage: "train nothing: compare the runs that are finished"},
		),
		Action: func(c *cli.Context) error {
			o, err := reproduceOptionsOf(c)
			if err != nil {
				return err
			}
			prefix := c.String("data_prefix")
			if err := checkPrefix(prefix); err != nil {
				return err
			}
			if o.rows, err = exactRows(prefix, c.String("train_config"), c.String("only")); err != nil {
				return err
			}
			return runReproduce(c.Context, o, e, func(ctx context.Context, r *reproducer) error {
				return r.exact(ctx, c.Bool("finished"))
			})
		},
	}
}

// exactRows returns a row for each mode that only names, or for all. The first one is always
// there.
func exactRows(prefix, config, only string) ([]paperRow, error) {
	if config == "" {
		return nil, usagef("--train_config is missing: a training configuration, such as rw.yml")
	}
	var names []string
	for _, m := range exactModes[1:] {
		names = append(names, m.name)
	}
	wanted := map[string]bool{}
	for _, name := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
		name = strings.TrimSpace(name)
		if guess := suggest.Nearest(name, names); guess != name && name != exactModes[0].name {
			return nil, usagef("--only has %q%s; there is %s", name, didYouMean("", guess), strings.Join(names, ", "))
		}
		wanted[name] = true
	}
	var rows []paperRow
	for i, m := range exactModes {
		c, err := trainconfig.Load(config, dataName(prefix))
		if err != nil {
			return nil, err
		}
		c.Params.Activations = m.keep
		if i == 0 || only == "" || wanted[m.name] {
			name := strings.TrimSuffix(path.Base(filepath.ToSlash(c.Name)), ".yml") + "-" + m.name
			rows = append(rows, paperRow{name: name, config: c, data: prefix, mode: m})
		}
	}
	return rows, nil
}

// exactLine is the JSON of a mode.
type exactLine struct {
	Type    string    `json:"type"`
	Config  string    `json:"config"`
	Data    string    `json:"data"`
	Mode    string    `json:"mode"`
	Epochs  int       `json:"epochs"`
	Seeds   []uint64  `json:"seeds"`
	Tests   []float64 `json:"test_f1_micro"` // by seed, of the best validation
	Drops   []float64 `json:"drop"`          // below keep's of the same seed
	Mean    float64   `json:"drop_mean"`
	Error   float64   `json:"drop_standard_error"` // 0: of one seed
	Most    float64   `json:"drop_limit,omitempty"`
	Verdict string    `json:"verdict"`
}

const exactRow = "%-16s %5s %9s %9s %9s %7s  %s\n"

// exact trains, or looks up, the runs of all modes seed by seed, so that what an interruption
// leaves are pairs, and compares.
func (r *reproducer) exact(ctx context.Context, finished bool) error {
	r.runs = len(r.rows) * r.seeds
	lines := make([]exactLine, len(r.rows))
	for i := range lines {
		lines[i].Seeds, lines[i].Tests, lines[i].Drops = []uint64{}, []float64{}, []float64{} // not null in JSON
	}
	for seed := uint64(1); seed <= uint64(r.seeds); seed++ {
		var plain *resultLine
		for i, row := range r.rows {
			res, err := r.exactRun(ctx, row, seed, finished)
			if err != nil {
				return err
			}
			if i == 0 {
				plain = res
			}
			if plain == nil || res == nil {
				continue
			}
			l := &lines[i]
			l.Seeds, l.Tests, l.Drops = append(l.Seeds, seed), append(l.Tests, res.TestF1Micro), append(l.Drops, plain.TestF1Micro-res.TestF1Micro)
		}
	}
	if !r.env.json {
		if err := r.env.printf(exactRow, "activations", "seeds", "test F1", "drop", "std error", "limit", "verdict"); err != nil {
			return err
		}
	}
	var errs error
	for i, row := range r.rows {
		l := &lines[i]
		l.Type, l.Config, l.Data, l.Mode, l.Epochs = "reproduce_exact", row.config.Name, row.data, row.mode.name, r.lastEpoch(row)
		l.compare(row.mode.most)
		errs = errors.Join(errs, r.printExact(l))
	}
	return errs
}

// exactRun is seed, or a look for a finished run; nil is none.
func (r *reproducer) exactRun(ctx context.Context, row paperRow, seed uint64, finished bool) (*resultLine, error) {
	dir, result, err := r.earlier(row, seed)
	switch {
	case err != nil:
		return nil, err
	case dir != nil && dir.Info.DataName != dataName(row.data):
		return nil, usagef("%s holds a run on %s, not on %s; choose another --out", dir.Path, dir.Info.DataName, dataName(row.data))
	case finished:
		return result, nil
	}
	return r.seed(ctx, row, seed, nil)
}

// compare fills in the drop and the verdict: it must be at most the limit, or two of its own
// standard errors.
func (l *exactLine) compare(most float64) {
	mean, std := meanDeviation(l.Drops)
	l.Mean, l.Error, l.Most = mean, std/math.Sqrt(max(1, float64(len(l.Drops)))), most
	switch {
	case len(l.Drops) == 0:
		l.Verdict = "no runs"
	case l.Mode == exactModes[0].name:
		l.Verdict = "-"
	case most == 0:
		l.Verdict = "reported"
	case mean <= most:
		l.Verdict = "within the limit"
	case mean <= 2*l.Error:
		l.Verdict = "within two standard errors"
	default:
		l.Verdict = "above the limit"
	}
}

func (r *reproducer) printExact(l *exactLine) error {
	if r.env.json {
		return r.env.printJSON(l)
	}
	test, drop, most, deviation := "-", "-", "-", "-"
	if len(l.Tests) > 0 {
		mean, _ := meanDeviation(l.Tests)
		test = score(mean)
	}
	if l.Mode != exactModes[0].name && len(l.Drops) > 0 {
		drop = fmt.Sprintf("%+.4f", l.Mean)
		if len(l.Drops) > 1 {
			deviation = fmt.Sprintf("%.4f", l.Error)
		}
	}
	if l.Most > 0 {
		most = fmt.Sprint(l.Most)
	}
	return r.env.printf(exactRow, l.Mode, fmt.Sprint(len(l.Seeds)), test, drop, deviation, most, l.Verdict)
}
