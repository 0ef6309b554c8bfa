package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/internal/fileop"
)

func newSynthCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "synth", Usage: "generate a graph and write it as a data folder", ArgsUsage: "NAME",
		Description: "NAME is one of " + strings.Join(synth.Names(), ", ") + ". Training on the folder gives the same bits as training on synth:NAME.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "`FOLDER` to write; must be new or empty"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of the generator"},
		},
		Action: func(c *cli.Context) error {
			switch {
			case c.Args().Len() != 1:
				return usagef("synth needs one name: %s", strings.Join(synth.Names(), ", "))
			case c.String("out") == "":
				return usagef("--out is missing: the folder to write")
			}
			name := strings.TrimPrefix(c.Args().First(), synthPrefix)
			if _, err := synth.Lookup(name); err != nil {
				return usagef("%v", err)
			}
			return runSynth(c.Context, e, name, c.Uint64("seed"), c.String("out"))
		},
	}
}

// synthLine is the JSON of a written graph.
type synthLine struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Seed     uint64 `json:"seed"`
	Out      string `json:"out"`
	Nodes    int    `json:"nodes"`
	Edges    int64  `json:"edges"`
	Features int    `json:"features"`
	Classes  int    `json:"classes"`
	Train    int    `json:"train"`
	Val      int    `json:"val"`
	Test     int    `json:"test"`
}

func runSynth(ctx context.Context, e *env, name string, seed uint64, out string) error {
	switch entries, err := os.ReadDir(out); {
	case err == nil && len(entries) > 0:
		return usagef("--out %s: the folder exists and is not empty; choose another", out)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--out: %w", err)
	}
	if err := fileop.MkdirAll(filepath.Dir(filepath.Clean(out)), 0o777); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	raw, err := generate(ctx, e, name, seed)
	if err != nil {
		return err
	}
	if err := saintdir.Write(out, raw); err != nil {
		return err
	}
	l := synthLine{
		"synth", name, seed, out, raw.Full.NumNodes(), raw.Full.NumEdges(), raw.Dim, raw.Labels.NumClasses,
		len(raw.TrainNodes), len(raw.ValNodes), len(raw.TestNodes),
	}
	if e.json {
		return e.printJSON(l)
	}
	return e.printf("%s: %d nodes, %d stored edges, %d features, %d classes, %d/%d/%d training/validation/test nodes\n",
		l.Out, l.Nodes, l.Edges, l.Features, l.Classes, l.Train, l.Val, l.Test)
}
