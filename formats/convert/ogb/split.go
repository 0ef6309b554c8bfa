package ogb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/saint-gnn/saint/formats"
)

// role says what a node is for.
type role uint8

const (
	noRole role = iota
	trainRole
	validRole
	testRole
)

// roleKeys are the keys of role.json; splitFiles the files of a split in the same order.
var (
	roleKeys   = [3]string{"tr", "va", "te"}
	splitFiles = [3]string{"train", "valid", "test"}
)

// split is one division of the nodes.
type split struct {
	name  string
	nodes [3][]int32 // ascending
	roles []role     // by node
}

// chooseSplit returns the folder below split/ that is meant.
func (c *converter) chooseSplit() (string, error) {
	names := c.src.splits()
	list := strings.Join(names, ", ")
	switch {
	case len(names) == 0:
		return "", formats.BadInput(c.src.at("split"), "there is no split; want split/NAME with train.csv.gz, valid.csv.gz and test.csv.gz")
	case c.o.Split != "":
		if !slices.Contains(names, c.o.Split) {
			return "", badOption("--split %s: %s holds %s", c.o.Split, c.src.at("split"), list)
		}
		return c.o.Split, nil
	case c.known != nil && slices.Contains(names, c.known.split):
		return c.known.split, nil
	case len(names) == 1:
		return names[0], nil
	}
	return "", badOption("--split is missing: %s holds %s", c.src.at("split"), list)
}

// readSplit reads the three files of a split of n nodes.
func (c *converter) readSplit(ctx context.Context, n int) (*split, error) {
	name, err := c.chooseSplit()
	if err != nil {
		return nil, err
	}
	folder := "split/" + name + "/"
	if c.src.has(folder+splitPickle) && !c.src.has(folder+splitFiles[0]+".csv.gz") {
		return nil, formats.BadInput(c.src.at(folder+splitPickle),
			"this is Python's own format; write the CSV files that are read here, in that folder: python -c \"import torch, numpy; "+
				"d = torch.load('split_dict.pt', weights_only=False); "+
				"[numpy.savetxt(k + '.csv.gz', d[k], fmt='%%d') for k in ('train', 'valid', 'test')]\"")
	}
	s := &split{name: name, roles: make([]role, n)}
	for i, file := range splitFiles {
		if err := c.readRole(ctx, s, role(i+1), folder+file+".csv.gz", n); err != nil {
			return nil, err
		}
	}
	if len(s.nodes[0]) == 0 {
		return nil, formats.BadInput(c.src.at(folder+"train.csv.gz"), "no nodes, want at least one to train on")
	}
	return s, nil
}

// readRole reads the nodes of one role.
func (c *converter) readRole(ctx context.Context, s *split, r role, file string, n int) error {
	nodes, err := c.readColumn(ctx, file, n)
	if err != nil {
		return err
	}
	for i, v := range nodes {
		if other := s.roles[v]; other != noRole {
			what := "is in " + splitFiles[other-1] + ".csv.gz too, want one role at most"
			if other == r {
				what = "comes twice"
			}
			return &formats.InputError{Path: c.src.at(file), Line: i + 1, Offset: -1, Err: fmt.Errorf("node %d %s", v, what)}
		}
		s.roles[v] = r
	}
	slices.Sort(nodes)
	s.nodes[r-1] = nodes
	return nil
}
