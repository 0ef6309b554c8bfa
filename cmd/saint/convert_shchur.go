package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/shchur"
)

func newConvertShchurCommand(e *env) *cli.Command {
	flags := append(edgeFlags(true), weightFlag())
	flags = append(flags, splitFlags("0.6,0.2,0.2", "`FRACTIONS` of training, validation and test nodes, or a role.json")...)
	return &cli.Command{
		Name: "shchur", Usage: "convert an .npz of the gnn-benchmark sets (Coauthor, Amazon, CoraFull) into a data folder",
		Flags: inFlags("`FILE` such as amazon_electronics_photo.npz", flags...),
		Action: func(c *cli.Context) error {
			g, err := graphOptions(c, true)
			if err != nil {
				return err
			}
			s, err := splitOf(c)
			if err != nil {
				return err
			}
			v, err := newConversion(c, e, "shchur")
			if err != nil {
				return err
			}
			raw, err := shchur.Read(c.Context, v.in, shchur.Options{Reports: v.reports(), GraphOptions: g, Split: s, EdgeWeight: c.Bool("edge_weight")})
			if err != nil {
				return err
			}
			return v.save(raw)
		},
	}
}
