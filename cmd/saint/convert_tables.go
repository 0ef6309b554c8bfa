package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/tables"
)

func newConvertTablesCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "tables", Usage: "convert tables of nodes and edges (Parquet or Arrow) into a data folder",
		Flags: inFlags("`FOLDER` that holds nodes.parquet and edges.parquet, or .arrow files", append(edgeFlags(false), weightFlag())...),
		Action: func(c *cli.Context) error {
			g, err := graphOptions(c, false)
			if err != nil {
				return err
			}
			v, err := newConversion(c, e, "tables")
			if err != nil {
				return err
			}
			defer tidy()()
			raw, err := tables.Read(c.Context, v.in, tables.ReadOptions{Reports: v.reports(), GraphOptions: g, EdgeWeight: c.Bool("edge_weight")})
			if err != nil {
				return err
			}
			return v.save(raw)
		},
	}
}

func newConvertToTablesCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "to-tables", Usage: "write a data folder as tables of nodes and edges",
		Flags: outFlags(&cli.StringFlag{Name: "format", Value: string(tables.Parquet), Usage: "`FORMAT` of the files: parquet or arrow"}),
		Action: func(c *cli.Context) error {
			format := tables.Format(c.String("format"))
			if format != tables.Parquet && format != tables.Arrow {
				return usagef("--format is %q, want %s or %s", format, tables.Parquet, tables.Arrow)
			}
			v, err := newConversion(c, e, "to-tables")
			if err != nil {
				return err
			}
			raw, err := v.load(c.Context, c.Bool("edge_weight"))
			if err != nil {
				return err
			}
			return v.finish(raw, tables.Write(c.Context, v.out, raw, format, v.reports()))
		},
	}
}
