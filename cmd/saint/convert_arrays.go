package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/arrays"
)

func newConvertArraysCommand(e *env) *cli.Command {
	flags := append(edgeFlags(false), weightFlag(),
		&cli.IntFlag{Name: "split_column", Usage: "column `N` of masks with two dimensions"})
	flags = append(flags, splitFlags("", "`FRACTIONS` such as 0.6,0.2,0.2, or a role.json (default: the masks)")...)
	return &cli.Command{
		Name: "arrays", Usage: "convert NumPy arrays as PyTorch Geometric and DGL name them into a data folder",
		Description: "Reads edge_index (2 x E) or src and dst, x, y, train_mask, val_mask, test_mask and edge_weight.",
		Flags:       inFlags("`FOLDER` of .npy files, or an .npz archive", flags...),
		Action: func(c *cli.Context) error {
			g, err := graphOptions(c, false)
			if err != nil {
				return err
			}
			if n := c.Int("split_column"); n < 0 {
				return usagef("--split_column is %d, want 0 or more", n)
			}
			o := arrays.Options{GraphOptions: g, SplitColumn: c.Int("split_column"), EdgeWeight: c.Bool("edge_weight")}
			if c.String("split") != "" {
				s, err := splitOf(c)
				if err != nil {
					return err
				}
				o.Split = &s
			}
			v, err := newConversion(c, e, "arrays")
			if err != nil {
				return err
			}
			o.Reports = v.reports()
			defer tidy()()
			raw, err := arrays.Read(c.Context, v.in, o)
			if err != nil {
				return err
			}
			return v.save(raw)
		},
	}
}
