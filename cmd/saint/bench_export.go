package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

// mostExported bounds how many subgraphs an export holds in memory at once.
const mostExported = 10_000

func newBenchExport(e *env) *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write a model, its subgraphs and what it computes on them, for other implementations to compare with",
		Description: "Writes subgraphs (Arrow), graph, features and labels (.npy), initial parameters (safetensors) and expect.json: the losses of the same\n" +
			"updates without dropout, and the scores after training on the subgraphs with it. bench/peer_torch.py reads it.",
		Flags: append(benchFlags(),
			&cli.StringFlag{Name: "out", Usage: "`FOLDER` to write; must be new or empty"},
			&cli.IntFlag{Name: "count", Value: 40, Usage: "`N` subgraphs"}),
		Action: func(c *cli.Context) error {
			o, err := benchOptionsOf(c)
			if err != nil {
				return err
			}
			out, count := c.String("out"), c.Int("count")
			switch {
			case out == "":
				return usagef("--out is missing: the folder to write")
			case count < 1 || count > mostExported:
				return usagef("--count is %d, want 1 to %d", count, mostExported)
			case len(o.data) != 1:
				return usagef("export wants one data set: --preset NAME or --data_prefix FOLDER")
			}
			if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
				return usagef("--out %s: the folder exists and is not empty; choose another", out)
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("--out: %w", err)
			}
			return runExport(c.Context, o, e, out, count)
		},
	}
}

// expectation is expect.json: the model, and what it computes.
type expectation struct {
	Data        string  `json:"data"`
	Config      string  `json:"config"`
	Arch        []int   `json:"arch"`
	Dim         int     `json:"dim"`
	Classes     int     `json:"classes"`
	Aggr        string  `json:"aggr"`
	Act         string  `json:"act"`
	Bias        string  `json:"bias"`
	Loss        string  `json:"loss"`
	LR          float64 `json:"lr"`
	WeightDecay float64 `json:"weight_decay"`
	Dropout     float64 `json:"dropout"`
	Clip        float64 `json:"grad_clip"`
	Seed        uint64  `json:"seed"`
	Batches     int     `json:"batches"`
	PerEpoch    int     `json:"batches_per_epoch"`
	// Losses are those of the first updates from the initial parameters, without dropout.
	Losses []float64 `json:"losses_without_dropout"`
	// Initial are the scores of the initial parameters, Trained those after one update on
	// every batch with dropout.
	Initial exportScores `json:"initial"`
	Trained exportScores `json:"trained"`
	Seconds float64      `json:"train_seconds"`
	Device  string       `json:"device"`
}

type exportScores struct {
	ValF1  float64 `json:"val_f1_micro"`
	TestF1 float64 `json:"test_f1_micro"`
	Loss   float64 `json:"val_loss"`
}

// exporter writes a folder for other implementations.
type exporter struct {
	set     *benchSet
	opts    benchOptions
	batches []*loader.Batch
	expect  expectation
}

func runExport(ctx context.Context, o benchOptions, e *env, out string, count int) error {
	config, err := benchConfig(o, o.data[0], "rw.yml")
	if err != nil {
		return err
	}
	switch n := config.Network; {
	case n.Bias == "norm-nn" || n.Layer != "" || config.Params.GradClipType != "norm":
		return usagef("%s: export knows the layers of GraphSAINT with bias or norm and clipping by norm only", config.Name)
	}
	set, err := openBenchSet(ctx, e, o, o.data[0], config)
	if err != nil {
		return err
	}
	defer set.close()
	x := &exporter{set: set, opts: o}
	e.log.Info("normalisation and subgraphs")
	if x.batches, err = drawBatches(ctx, set, o.seed, o.threads, config.Params.SampleCoverage, count); err != nil {
		return err
	}
	defer release(x.batches)
	e.log.Info("training on the subgraphs")
	if err := x.compute(ctx); err != nil {
		return err
	}
	if err := atomicfile.WriteDir(out, func(dir string) error { return x.write(ctx, dir) }); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if e.json {
		return e.printJSON(x.expect)
	}
	return e.printf("%s: %d subgraphs of %s, test F1 micro %.4f after an update on each\n", out, count, set.label, x.expect.Trained.TestF1)
}

// compute fills in what the model computes.
func (x *exporter) compute(ctx context.Context) error {
	c := x.set.config
	x.expect = expectation{
		Data: x.set.label, Config: c.Name, Arch: c.Network.Arch, Dim: c.Network.Dim, Classes: x.set.ds.Labels.NumClasses, Aggr: c.Network.Aggr,
		Act: c.Network.Act, Bias: c.Network.Bias, Loss: c.Network.Loss, LR: c.Params.LR, WeightDecay: c.Params.WeightDecay,
		Dropout: c.Params.Dropout, Clip: c.Params.GradClip, Seed: x.opts.seed, Batches: len(x.batches),
	}
	s, err := trainer.NewSampler(&c.Phases[0], x.set.env)
	if err != nil {
		return err
	}
	x.expect.PerEpoch = samplers.BatchesPerEpoch(s, x.set.env)
	dry := *c
	dry.Params.Dropout = 0
	const checked = 5
	err = x.train(ctx, &dry, min(checked, len(x.batches)), func(st trainer.Step) {
		x.expect.Losses = append(x.expect.Losses, st.Loss)
	}, &x.expect.Initial, nil)
	if err != nil {
		return err
	}
	begin := time.Now()
	return x.train(ctx, c, len(x.batches), func(trainer.Step) { x.expect.Seconds = time.Since(begin).Seconds() }, nil, &x.expect.Trained)
}

// train does one update on each of the first n batches and scores before and after.
func (x *exporter) train(ctx context.Context, c *trainconfig.Config, n int, each func(trainer.Step), before, after *exportScores) error {
	m, err := newBenchModel(x.set.ds, c, x.opts.threads, x.opts.seed)
	if err != nil {
		return err
	}
	defer m.close()
	x.expect.Device = m.backend.Device()
	if err := x.score(ctx, m, before); err != nil {
		return err
	}
	for i, b := range x.batches[:n] {
		st, err := m.stepper.Step(b, uint64(i), nil)
		if err != nil {
			return err
		}
		each(st)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return x.score(ctx, m, after)
}

func (x *exporter) score(ctx context.Context, m *benchModel, into *exportScores) error {
	if into == nil {
		return nil
	}
	s, done, err := m.scorer(x.set.ds)
	if err != nil {
		return err
	}
	defer done()
	ev, err := s.Evaluate(ctx, m.model)
	if err == nil {
		*into = exportScores{ev.Val.F1Micro, ev.Test.F1Micro, ev.Val.Loss}
	}
	return err
}

// write fills the folder.
func (x *exporter) write(ctx context.Context, dir string) error {
	text, err := json.MarshalIndent(x.expect, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "expect.json"), append(text, '\n'), 0o666),
		x.writeBatches(filepath.Join(dir, "batches.arrows")),
		x.writeParams(filepath.Join(dir, "init.safetensors")),
		x.writeData(dir),
		ctx.Err(),
	)
}

func (x *exporter) writeBatches(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		ds, l := x.set.ds, &x.set.ds.Labels
		meta := arrowrec.Meta{
			Dataset: ds.Name, Sampler: x.set.config.Phases[0].SamplerJSON(), Seed: x.opts.seed, NumNodes: ds.NumNodes(),
			NumTrainEdges: ds.Train.NumEdges(), BatchesPerEpoch: x.expect.PerEpoch, Labels: arrowrec.SingleLabels, NumClasses: l.NumClasses,
		}
		if l.IsMulti() {
			meta.Labels = arrowrec.MultiLabels
		}
		schema := arrowrec.Schema(meta)
		out := arrowrec.NewWriter(w, schema)
		for _, b := range x.batches {
			rec := b.Record(schema)
			err := out.Write(rec)
			rec.Release()
			if err != nil {
				return err
			}
		}
		return out.Close()
	})
}

func (x *exporter) writeParams(path string) error {
	m, err := newBenchModel(x.set.ds, x.set.config, 1, x.opts.seed)
	if err != nil {
		return err
	}
	defer m.close()
	q, err := m.backend.NewQueue()
	if err != nil {
		return err
	}
	defer q.Close() //nolint:errcheck // nothing is queued
	var all []safetensors.Tensor
	for _, p := range m.model.Seq.Params() {
		all = append(all, safetensors.Float32(p.Name, []int{p.Value.Rows, p.Value.Cols}, trainer.Download(q, p.Value, nil)))
	}
	if err := q.Sync(); err != nil {
		return err
	}
	return safetensors.WriteFile(path, all, nil)
}

// writeData writes both graphs, the features as the model sees them, labels and roles.
func (x *exporter) writeData(dir string) error {
	ds := x.set.ds
	put := func(name string, data any, shape ...int) error {
		return npy.WriteFile(filepath.Join(dir, name+".npy"), shape, data)
	}
	n := ds.NumNodes()
	labels := put("labels", ds.Labels.Class, len(ds.Labels.Class))
	if ds.Labels.IsMulti() {
		labels = put("labels", ds.Labels.Multi, n, ds.Labels.NumClasses)
	}
	resident, ok := ds.Features.(formats.Resident)
	if !ok {
		return errors.New("features are exported in single precision: leave out feature_dtype f16")
	}
	return errors.Join(
		labels,
		put("full_indptr", ds.Full.Indptr, n+1), put("full_indices", ds.Full.Indices, len(ds.Full.Indices)),
		put("train_indptr", ds.Train.Indptr, n+1), put("train_indices", ds.Train.Indices, len(ds.Train.Indices)),
		put("features", resident.Matrix(), n, ds.Features.Dim()),
		put("train_nodes", ds.TrainNodes, len(ds.TrainNodes)), put("val_nodes", ds.ValNodes, len(ds.ValNodes)),
		put("test_nodes", ds.TestNodes, len(ds.TestNodes)),
	)
}
