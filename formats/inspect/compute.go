package inspect

import (
	"context"
	"slices"

	"github.com/saint-gnn/saint/formats"
)

// Options say what Compute cannot see in the data. The zero value is ready.
type Options struct {
	// LoadWarnings is what loading the data found odd; it becomes part of the report.
	LoadWarnings []string
	// Progress, if not nil, is told the name of each stage before it begins.
	Progress func(stage string)
}

// Compute looks at raw, which must be as [formats.RawDataset] says: a mistake is the error
// that Prepare gives, a *formats.InputError. Nothing in raw is changed. Beside raw it needs about 50 bytes a
// node, and packed labels. A cancelled ctx ends the work after the stage that is under way.
func Compute(ctx context.Context, raw *formats.RawDataset, o Options) (*Report, error) {
	if raw.Dim <= 0 || len(raw.Features)%raw.Dim != 0 {
		return nil, formats.BadInput(raw.Name, "%d feature values do not make rows of %d", len(raw.Features), raw.Dim)
	}
	return ComputeFrom(ctx, raw, formats.NewMatrix(raw.Features, raw.Dim), o)
}

// ComputeFrom is Compute for features that stay where they are; raw.Features is not used. It
// reads all rows of src twice and those of training nodes four times more, a few at a time.
func ComputeFrom(ctx context.Context, raw *formats.RawDataset, src formats.FeatureStore, o Options) (*Report, error) {
	r := &Report{Type: "inspect", Name: raw.Name, LoadWarnings: slices.Clone(o.LoadWarnings)}
	if r.LoadWarnings == nil {
		r.LoadWarnings = []string{}
	}
	var ds *formats.Dataset
	var role []uint8
	stages := []struct {
		name string
		run  func() error
	}{
		{"fingerprint", func() (err error) {
			ds, err = raw.PrepareFrom(src)
			return err
		}},
		{"graphs", func() error {
			role = roles(ds)
			r.graphs(ds, role)
			return nil
		}},
		{"labels", func() error {
			r.countLabels(ds, role)
			r.homophily(ds.Full, &ds.Labels)
			return nil
		}},
		{"features", func() error { return r.features(ctx, src, statisticsNodes(ds), role) }},
	}
	for _, s := range stages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(s.name)
		}
		if err := s.run(); err != nil {
			return nil, err
		}
	}
	r.judge()
	return r, nil
}

// roles returns the number of every node's split: 0 train, 1 validation, 2 test, 3 none.
func roles(ds *formats.Dataset) []uint8 {
	role := make([]uint8, ds.NumNodes())
	for v := range role {
		role[v] = 3
	}
	for i, nodes := range [][]int32{ds.TrainNodes, ds.ValNodes, ds.TestNodes} {
		for _, v := range nodes {
			role[v] = uint8(i)
		}
	}
	return role
}

// graphs fills in what there is to know of the edges.
func (r *Report) graphs(ds *formats.Dataset, role []uint8) {
	n := ds.NumNodes()
	r.Nodes, r.Fingerprint = n, ds.Fingerprint
	r.Weighted = ds.Full.Weights != nil || ds.Train.Weights != nil
	all := make([]int32, n)
	for v := range all {
		all[v] = int32(v)
	}
	isolated := make([]bool, n)
	r.Full = graphStats(ds.Full, all, isolated)
	r.Train = graphStats(ds.Train, ds.TrainNodes, nil)
	r.EdgesBetween = edgesBetween(ds.Full, role)
	r.TrainNotInFull, r.FullNotInTrain = compareEdges(ds.Train, ds.Full, role)
	r.NoRole = n
	for i, nodes := range [][]int32{ds.TrainNodes, ds.ValNodes, ds.TestNodes} {
		s := SplitStats{Split: splitNames[i], Nodes: len(nodes), Share: float64(len(nodes)) / float64(n)}
		for _, v := range nodes {
			if isolated[v] {
				s.Isolated++
			}
		}
		r.Splits[i] = s
		r.NoRole -= len(nodes)
	}
}

// statisticsNodes returns the training nodes that define the standardisation: those with an
// edge in the training graph, or all if there is none.
func statisticsNodes(ds *formats.Dataset) []int32 {
	touched := make([]bool, ds.NumNodes())
	for _, u := range ds.Train.Indices {
		touched[u] = true
	}
	var nodes []int32
	for _, v := range ds.TrainNodes {
		if touched[v] || ds.Train.Degree(v) > 0 {
			nodes = append(nodes, v)
		}
	}
	if len(nodes) == 0 {
		return ds.TrainNodes
	}
	return nodes
}
