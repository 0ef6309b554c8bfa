package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
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

// checkPrefix finds mistakes in --data_prefix before anything else is done.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return usagef("--data_prefix is missing: a data folder, or synth:NAME (NAME is one of %s)", strings.Join(synth.Names(), ", "))
	}
	if strings.HasPrefix(prefix, synthPrefix) {
		if _, _, err := synth.Parse(prefix); err != nil {
			return usagef("%v", err)
		}
		return nil
	}
	if _, err := os.Stat(prefix); errors.Is(err, fs.ErrNotExist) {
		_, err := saintdir.Load(prefix, saintdir.Options{}) // says which folders it knows how to get
		return err
	}
	return nil
}

// checkParams finds a missing or damaged parameter file before the data is loaded; "" is none.
func checkParams(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return formats.BadInput(path, "no such file; --saved_model_path wants parameters such as RUN_DIR/checkpoints/best.safetensors")
	} else if err == nil && info.IsDir() {
		return formats.BadInput(path, "is a folder; --saved_model_path wants a file such as RUN_DIR/checkpoints/best.safetensors")
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkOut finds an output path that cannot be written before any work is done.
func checkOut(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usagef("--out %s is a folder, want a file", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return usagef("--out %s: there is no folder %s", path, filepath.Dir(path))
	} else if err == nil && !info.IsDir() {
		return usagef("--out %s: %s is not a folder", path, filepath.Dir(path))
	}
	return nil
}

// loadData loads or generates the data set that prefix names and says how long it took.
func loadData(ctx context.Context, e *env, prefix string, edgeWeight bool) (*formats.Dataset, float64, error) {
	return loadDataAs(ctx, e, prefix, edgeWeight, false)
}

// loadDataAs is loadData with features in half precision if half is set.
func loadDataAs(ctx context.Context, e *env, prefix string, edgeWeight, half bool) (*formats.Dataset, float64, error) {
	begin := time.Now()
	ds, err := untilDone(ctx, func() (*formats.Dataset, error) { return openData(ctx, e, prefix, edgeWeight, half) })
	if err != nil {
		return nil, 0, err
	}
	took := time.Since(begin).Seconds()
	if os.Getenv("GOGC") == "" {
		// Most of the heap is the data, and little is allocated from here on: without this, as
		// much again as the data could pile up before the collector runs.
		debug.SetGCPercent(25)
	}
	e.log.Info(fmt.Sprintf("data %s: %d nodes, %d edges, %d features, %d classes, %d/%d/%d training/validation/test nodes; loaded in %s",
		ds.Name, ds.NumNodes(), ds.Full.NumEdges(), ds.Features.Dim(), ds.Labels.NumClasses, len(ds.TrainNodes), len(ds.ValNodes), len(ds.TestNodes), seconds(took)))
	return ds, took, nil
}

// untilDone returns what load does, or the error of ctx as soon as that has ended: reading a folder
// can take long, and from a network disk for ever. A load that nobody waits for goes on beside until
// the process ends, and is closed if it comes to an end before.
func untilDone(ctx context.Context, load func() (*formats.Dataset, error)) (*formats.Dataset, error) {
	type loaded struct {
		ds  *formats.Dataset
		err error
	}
	done := make(chan loaded, 1)
	go func() {
		ds, err := load()
		done <- loaded{ds, err}
	}()
	select {
	case l := <-done:
		return l.ds, l.err
	case <-ctx.Done():
		go func() {
			if l := <-done; l.ds != nil && l.ds.Close != nil {
				_ = l.ds.Close() // opened for reading
			}
		}()
		return nil, ctx.Err()
	}
}

func openData(ctx context.Context, e *env, prefix string, edgeWeight, half bool) (*formats.Dataset, error) {
	if !strings.HasPrefix(prefix, synthPrefix) {
		return saintdir.Load(prefix, saintdir.Options{
			EdgeWeight: edgeWeight,
			Half:       half,
			Rounded:    func(r formats.Rounding) { whileWanted(ctx, func() { e.sayRounding(r) }) },
			Warn:       func(msg string) { whileWanted(ctx, func() { e.log.Warn(msg) }) },
			Logf: func(format string, args ...any) {
				whileWanted(ctx, func() { e.log.Debug(fmt.Sprintf(format, args...)) })
			},
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
	ds, err := raw.Prepare()
	if err != nil || !half {
		return ds, err
	}
	return roundFeatures(ctx, e, ds)
}

// whileWanted calls tell unless ctx has ended: nobody wants to hear of a load any more then.
func whileWanted(ctx context.Context, tell func()) {
	if ctx.Err() == nil {
		tell()
	}
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
