package main

import (
	"bufio"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/edgelist"
)

func newConvertEdgeListCommand(e *env) *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "feats", Usage: "`FILE` of features: an id and numbers in every row, or .npy with the nodes as rows"},
		&cli.StringFlag{Name: "labels", Usage: "`FILE` of labels: id and label, or id and a 0/1 column for every class, or .npy"},
		&cli.StringFlag{Name: "src", DefaultText: "src, source, … or the first", Usage: "`COLUMN` of the sources, a name or a number from 1"},
		&cli.StringFlag{Name: "dst", DefaultText: "dst, target, … or the second", Usage: "`COLUMN` of the targets"},
		&cli.StringFlag{Name: "weight", Usage: "`COLUMN` of edge weights"},
		&cli.StringFlag{Name: "header", Usage: "whether the first line names the columns: `yes` or no"},
		&cli.StringFlag{Name: "delimiter", Usage: "`CHARACTER` between columns, or tab (default: by the first line)"},
	}
	flags = append(append(flags, edgeFlags(true)...),
		splitFlags("0.6,0.2,0.2", "`FRACTIONS` of training, validation and test nodes, or a file of id and role")...)
	return &cli.Command{
		Name: "edgelist", Usage: "convert a list of edges (CSV, TSV, Parquet) into a data folder",
		Description: "Ids may be text. They are numbered in ascending order; id_map.json in the folder tells which number an id has, label_map.json which class a label.",
		Flags:       inFlags("`FILE` of edges: .csv, .tsv, .txt (also .gz), .parquet or .arrow", flags...),
		Action:      func(c *cli.Context) error { return convertEdgeList(c, e) },
	}
}

func convertEdgeList(c *cli.Context, e *env) error {
	o := edgelist.Options{
		Features: c.String("feats"), Labels: c.String("labels"), Source: c.String("src"), Target: c.String("dst"),
		Weight: c.String("weight"), Header: edgelist.Header(c.String("header")),
	}
	var err error
	if o.GraphOptions, err = graphOptions(c, true); err != nil {
		return err
	}
	if o.Split, err = splitOf(c); err != nil {
		return err
	}
	switch d := c.String("delimiter"); {
	case o.Labels == "":
		return usagef("--labels is missing: a file of id and label")
	case o.Header != edgelist.HeaderAuto && o.Header != edgelist.HeaderYes && o.Header != edgelist.HeaderNo:
		return usagef("--header is %q, want yes or no", o.Header)
	case d == "tab" || d == `\t`:
		o.Delimiter = '\t'
	case len(d) > 1 || d == `"`:
		return usagef("--delimiter is %q, want one character, or tab", d)
	case d != "":
		o.Delimiter = d[0]
	}
	v, err := newConversion(c, e, "edgelist")
	if err != nil {
		return err
	}
	o.Reports = v.reports()
	defer tidy()()
	r, err := edgelist.Read(c.Context, v.in, o)
	if err != nil {
		return err
	}
	var extra []extraFile
	for _, f := range []struct {
		name  string
		names []string
	}{{"id_map.json", r.IDs}, {"label_map.json", r.LabelNames}} {
		if f.names != nil {
			extra = append(extra, extraFile{f.name, func(w *bufio.Writer) error { return assemble.WriteIDMap(w, f.names) }})
		}
	}
	return v.save(r.Data, extra...)
}
