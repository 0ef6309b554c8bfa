package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/internal/progress"
)

const synthPrefix = "synth:"

// dataFlags select a data set.
func dataFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "data_prefix", Usage: "data `FOLDER`, or synth:NAME[?seed=K] for a generated graph"},
		&cli.BoolFlag{Name: "edge_weight", Usage: "use the adjacency's values as edge weights instead of 1"},
	}
}

// loadData loads or generates the data set that prefix names and says how long it took.
func loadData(ctx context.Context, e *env, prefix string, edgeWeight bool) (*formats.Dataset, float64, error) {
	if prefix == "" {
		return nil, 0, usagef("--data_prefix is missing: a data folder, or synth:NAME (NAME is one of %s)", strings.Join(synth.Names(), ", "))
	}
	begin := time.Now()
	ds, err := openData(ctx, e, prefix, edgeWeight)
	if err != nil {
		return nil, 0, err
	}
	seconds := time.Since(begin).Seconds()
	e.log.Info("data ready", "name", ds.Name, "nodes", ds.NumNodes(), "edges", ds.Full.NumEdges(), "features", ds.Features.Dim(),
		"classes", ds.Labels.NumClasses, "train", len(ds.TrainNodes), "val", len(ds.ValNodes), "test", len(ds.TestNodes), "seconds", seconds)
	return ds, seconds, nil
}

func openData(ctx context.Context, e *env, prefix string, edgeWeight bool) (*formats.Dataset, error) {
	if !strings.HasPrefix(prefix, synthPrefix) {
		return saintdir.Load(prefix, saintdir.Options{
			EdgeWeight: edgeWeight,
			Warn:       func(msg string) { e.log.Warn(msg) },
			Logf:       func(format string, args ...any) { e.log.Debug(fmt.Sprintf(format, args...)) },
		})
	}
	name, seed, err := synth.Parse(prefix)
	if err != nil {
		return nil, err
	}
	raw, err := generate(ctx, e, name, seed)
	if err != nil {
		return nil, err
	}
	return raw.Prepare()
}

// generate makes a graph with progress.
func generate(ctx context.Context, e *env, name string, seed uint64) (*formats.RawDataset, error) {
	var task *progress.Task
	var current string
	defer func() { task.Done() }()
	return synth.Generate(ctx, name, seed, synth.Options{Progress: func(stage string, done, total int64) {
		if stage != current {
			task.Done()
			current, task = stage, e.progress.Start("generate "+name+":", stage, total)
		}
		task.Set(done, "")
	}})
}

// dataName returns the name by which configurations and published results know the data.
func dataName(prefix string) string {
	if strings.HasPrefix(prefix, synthPrefix) {
		return prefix
	}
	return strings.ToLower(filepath.Base(filepath.Clean(prefix)))
}

// wantsROCAUC reports whether a data set's own metric is the ROC-AUC.
func wantsROCAUC(ds *formats.Dataset) bool {
	return ds.Labels.IsMulti() && strings.HasPrefix(strings.ToLower(ds.Name), "ogbn-proteins")
}

// wantsAccuracy reports whether a data set's own metric is the accuracy.
func wantsAccuracy(ds *formats.Dataset) bool {
	return !ds.Labels.IsMulti() && strings.HasPrefix(strings.ToLower(ds.Name), "ogbn-")
}
