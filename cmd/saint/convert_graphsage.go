package main

import (
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/graphsage"
)

func newConvertGraphSAGECommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "graphsage", Usage: "convert a GraphSAGE data set into a data folder",
		Description: "Reads PREFIX-G.json, PREFIX-id_map.json, PREFIX-class_map.json and, if it is there, PREFIX-feats.npy.",
		Flags: inFlags("`PREFIX` of the files such as example/ppi, or the folder that holds them",
			&cli.StringFlag{Name: "links", DefaultText: "positions if ids are text", Usage: "what the ends of links are, `ids` or positions"}),
		Action: func(c *cli.Context) error {
			links := graphsage.Links(c.String("links"))
			if links != graphsage.LinksAuto && links != graphsage.LinksAreIDs && links != graphsage.LinksArePositions {
				return usagef("--links is %q, want %s or %s", links, graphsage.LinksAreIDs, graphsage.LinksArePositions)
			}
			v, err := newConversion(c, e, "graphsage")
			if err != nil {
				return err
			}
			raw, err := graphsage.Read(c.Context, v.in, graphsage.ReadOptions{Reports: v.reports(), Links: links})
			if err != nil {
				return err
			}
			return v.save(raw)
		},
	}
}

func newConvertToGraphSAGECommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "to-graphsage", Usage: "write a data folder in GraphSAGE's form",
		Flags: outFlags(&cli.StringFlag{Name: "name", DefaultText: "that of the data", Usage: "`NAME` with which the files begin"}),
		Action: func(c *cli.Context) error {
			v, err := newConversion(c, e, "to-graphsage")
			if err != nil {
				return err
			}
			name := c.String("name")
			if name != filepath.Base(name) && name != "" {
				return usagef("--name %s: want a name without a folder", name)
			}
			raw, err := v.load(c.Context, c.Bool("edge_weight"))
			if err != nil {
				return err
			}
			if name == "" {
				name = strings.TrimPrefix(raw.Name, synthPrefix)
			}
			return v.finish(raw, graphsage.Write(c.Context, v.out, name, raw, v.reports()))
		},
	}
}
