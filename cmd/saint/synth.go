package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
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
			raw, err := generate(c.Context, e, name, c.Uint64("seed"))
			if err != nil {
				return err
			}
			if err := saintdir.Write(c.String("out"), raw); err != nil {
				return err
			}
			if e.json {
				return e.printJSON(map[string]any{
					"type": "synth", "name": name, "seed": c.Uint64("seed"), "out": c.String("out"), "nodes": raw.Full.NumNodes(), "edges": raw.Full.NumEdges(),
					"features": raw.Dim, "classes": raw.Labels.NumClasses, "train": len(raw.TrainNodes), "val": len(raw.ValNodes), "test": len(raw.TestNodes),
				})
			}
			return e.printf("%s: %d nodes, %d directed edges, %d features, %d classes, split %d/%d/%d\n", c.String("out"), raw.Full.NumNodes(),
				raw.Full.NumEdges(), raw.Dim, raw.Labels.NumClasses, len(raw.TrainNodes), len(raw.ValNodes), len(raw.TestNodes))
		},
	}
}
