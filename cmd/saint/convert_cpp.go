package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/saintcpp"
)

func newConvertCPPCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "cpp", Usage: "convert a folder of GraphSAINT's C++ precursor into a data folder",
		Flags: inFlags("`FOLDER` that holds dims.bin and the other arrays",
			&cli.StringFlag{Name: "labels", DefaultText: "by the data", Usage: "`KIND` of labels: single or multi"},
			&cli.BoolFlag{Name: "keep_normalized", Usage: "keep the features standardised although saint.json tells the original scale"}),
		Action: func(c *cli.Context) error {
			labels := c.String("labels")
			if labels != "" && labels != "single" && labels != "multi" {
				return usagef("--labels is %q, want single or multi", labels)
			}
			v, err := newConversion(c, e, "cpp")
			if err != nil {
				return err
			}
			raw, err := saintcpp.Read(c.Context, v.in, saintcpp.ReadOptions{
				Reports: v.reports(), Labels: labels, NormalizedFeatures: c.Bool("keep_normalized"),
			})
			if err != nil {
				return err
			}
			return v.save(raw)
		},
	}
}

func newConvertToCPPCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "to-cpp", Usage: "write a data folder for GraphSAINT's C++ precursor",
		Flags: outFlags(&cli.BoolFlag{Name: "raw_features", Usage: "write the features as they are instead of standardised ones"}),
		Action: func(c *cli.Context) error {
			v, err := newConversion(c, e, "to-cpp")
			if err != nil {
				return err
			}
			raw, err := v.load(c.Context, c.Bool("edge_weight"))
			if err != nil {
				return err
			}
			o := saintcpp.WriteOptions{Reports: v.reports(), RawFeatures: c.Bool("raw_features")}
			return v.finish(raw, saintcpp.Write(c.Context, v.out, raw, o))
		},
	}
}
