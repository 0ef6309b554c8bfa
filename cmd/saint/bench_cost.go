package main

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"gonum.org/v1/plot/plotter"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

// costNodes and costDegree bound what 'bench cost' generates: 2 to the power of 31 ids.
const (
	leastCostNodes = 1_000
	mostCostNodes  = 1 << 30
	mostCostDegree = 1_000
)

func newBenchCost(e *env) *cli.Command {
	return &cli.Command{
		Name: "cost", Usage: "measure the cost of a subgraph against the size of the graph",
		Description: "Generates graphs of growing size and the same mean degree and draws subgraphs of the same budget from each, on one thread.\n" +
			"A graph takes about 25 bytes an edge and 100 a node while it is made.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "sizes", Value: "1e5,3e5,1e6,3e6,1e7,2e7", Usage: "numbers of nodes `N,...`"},
			&cli.IntFlag{Name: "degree", Value: 10, Usage: "stored edges `N` a node"},
			&cli.IntFlag{Name: "repeats", Value: 9, Usage: "repeats `N` of each measurement"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N`"},
			&cli.StringFlag{Name: "plot", Usage: "also draw the figures to `FILE`.svg or .png"},
			&cli.StringFlag{Name: "markdown", Usage: "also write the table to `FILE`, or below a folder under the machine's name"},
		},
		Action: func(c *cli.Context) error {
			sizes, err := parseSizes(c.String("sizes"))
			if err != nil {
				return err
			}
			o := costOptions{sizes: sizes, degree: c.Int("degree"), plot: c.String("plot")}
			o.repeats, o.seed, o.threads, o.markdown = c.Int("repeats"), c.Uint64("seed"), 1, c.String("markdown")
			switch {
			case o.degree < 2 || o.degree > mostCostDegree:
				return usagef("--degree is %d, want 2 to %d", o.degree, mostCostDegree)
			case o.repeats < 1 || o.repeats > mostBenchRepeats:
				return usagef("--repeats is %d, want 1 to %d", o.repeats, mostBenchRepeats)
			}
			if err := checkPlotName(o.plot); err != nil {
				return err
			}
			return runCost(c.Context, o, e)
		},
	}
}

type costOptions struct {
	benchOptions
	sizes  []int
	degree int
	plot   string
}

// parseSizes reads numbers of nodes such as 100000 or 1e5.
func parseSizes(text string) ([]int, error) {
	var sizes []int
	for _, word := range strings.Split(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil || !(x >= leastCostNodes && x <= mostCostNodes) || x != math.Trunc(x) {
			return nil, usagef("--sizes has %q, want numbers of nodes from %d to %d", word, leastCostNodes, mostCostNodes)
		}
		sizes = append(sizes, int(x))
	}
	return sizes, nil
}

func runCost(ctx context.Context, o costOptions, e *env) error {
	b := &bencher{benchOptions: o.benchOptions, env: e, ctx: ctx, machine: newMachine(1)}
	defer b.machine.close()
	var err error
	if b.report, err = newBenchReport(e, b.machine); err != nil {
		return err
	}
	lines := map[string]plotter.XYs{}
	for _, n := range o.sizes {
		if err := b.costOf(ctx, n, o.degree, lines); err != nil {
			return err
		}
	}
	if o.plot != "" {
		if err := plotCost(o.plot, lines); err != nil {
			return err
		}
		e.log.Info("plot written to " + o.plot)
	}
	return b.report.finish(o.markdown)
}

// costOf measures all samplers, with the parameters of Flickr's configurations, on a graph of
// n nodes.
func (b *bencher) costOf(ctx context.Context, n, degree int, lines map[string]plotter.XYs) error {
	b.env.log.Info(fmt.Sprintf("generating %d nodes, %d edges", n, n*degree))
	g, train, err := costGraph(ctx, n, degree, b.seed)
	if err != nil {
		return err
	}
	b.set = &benchSet{label: fmt.Sprintf("%.0e nodes", float64(n)), env: samplers.NewEnv(g, train)}
	norm := &samplers.Norm{Loss: ones(n), Aggr: ones(int(g.NumEdges()))}
	latency := randomRead(g.Indices)
	if err := b.report.add(newFigure("cost/random read "+b.set.label, 1, "ns", latency)); err != nil {
		return err
	}
	latency = slices.Sorted(slices.Values(latency))
	read := latency[len(latency)/2]
	for _, name := range benchSamplers {
		config, err := trainconfig.Load(name, "flickr")
		if err != nil {
			return err
		}
		phase := &config.Phases[0]
		s, err := trainer.NewSampler(phase, b.set.env)
		if err != nil {
			return err
		}
		f, err := b.sampleOn(ctx, s, norm, 1, phase.Sampler)
		if err != nil {
			return err
		}
		// Cost, not speed: the reciprocal.
		f.Name = fmt.Sprintf("cost/%s %s", phase.Sampler, b.set.label)
		f.Value, f.Low, f.High, f.Unit = 1e3/f.Value, 1e3/f.High, 1e3/f.Low, "ms"
		f.Work += fmt.Sprintf(", the time of %.0f random reads", f.Value*1e6/read)
		lines[phase.Sampler] = append(lines[phase.Sampler], plotter.XY{X: math.Log10(float64(n)), Y: f.Value})
		if err := b.report.add(f); err != nil {
			return err
		}
	}
	return nil
}

// randomRead returns nanoseconds of a read of ids, which is as large as the neighbours of the
// graph, at a place that is known only when the read before it has arrived.
func randomRead(ids []int32) []float64 {
	const reads = 1 << 18
	samples := make([]float64, 5)
	state := uint64(1)
	for i := range samples {
		begin := time.Now()
		for range reads {
			at, _ := bits.Mul64(state, uint64(len(ids)))
			state = (state+uint64(uint32(ids[at])))*6364136223846793005 + 1442695040888963407
		}
		samples[i] = float64(time.Since(begin).Nanoseconds()) / reads
	}
	runtime.KeepAlive(state)
	return samples
}

// costGraph generates a graph of which all nodes are training nodes.
func costGraph(ctx context.Context, n, degree int, seed uint64) (*formats.Graph, []int32, error) {
	raw, err := synth.Preset{
		Name: "cost", Nodes: n, Edges: int64(n) * int64(degree) / 2, Features: 1, Classes: 2, Train: 100,
		Communities: 60, Within: 0.6, Tail: 46, Cut: 1.2e-4, Shift: 0.3, MinEdges: 2, Signal: 0.1,
	}.Generate(ctx, seed, synth.Options{})
	if err != nil {
		return nil, nil, err
	}
	return raw.Train, raw.TrainNodes, nil
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// plotCost draws the time of a subgraph against the number of nodes.
func plotCost(path string, lines map[string]plotter.XYs) error {
	p := newPanel("Cost of a subgraph", "nodes of the graph", "ms a subgraph, one thread")
	p.X.Tick.Marker = powers{top: 9}
	p.Y.Min = 0
	for i, name := range []string{"rw", "edge", "node", "mrw"} {
		if err := addLine(p, name, lines[name], i); err != nil {
			return err
		}
	}
	p.Y.Max *= 1.35 // room for the legend
	return savePlot(path, p)
}
