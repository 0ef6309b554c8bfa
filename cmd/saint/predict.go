package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/metric"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func newPredictCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "predict", Usage: "write classes, probabilities or embeddings of nodes", ArgsUsage: "RUN_DIR",
		Description: "The ending of --out chooses the format: .npy holds the matrix alone, in the order of the node ids; .csv and .parquet have a node column first.",
		Flags: append(savedFlags(),
			&cli.StringFlag{Name: "out", Usage: "output `FILE`: .npy, .csv or .parquet"},
			&cli.StringFlag{Name: "nodes", Value: "all", Usage: "all, train, val or test"},
			&cli.BoolFlag{Name: "probabilities", Usage: "write the probability of every class instead of the class"},
			&cli.BoolFlag{Name: "embeddings", Usage: "write the input of the classifier (rows of unit length)"},
		),
		Action: func(c *cli.Context) error {
			o := predictOptions{out: c.String("out"), probabilities: c.Bool("probabilities"), embeddings: c.Bool("embeddings")}
			if err := o.check(c.String("nodes")); err != nil {
				return err
			}
			s, err := openSaved(c, e)
			if err != nil {
				return err
			}
			defer s.close()
			e.log.Info("parameters " + s.path)
			o.nodes = selectNodes(s.data, c.String("nodes"))
			return runPredict(c.Context, o, s, e)
		},
	}
}

type predictOptions struct {
	out                       string
	nodes                     []int32 // nil: all
	probabilities, embeddings bool
}

func (o *predictOptions) check(nodes string) error {
	switch ext := filepath.Ext(o.out); {
	case o.out == "":
		return usagef("--out is missing: a file that ends in .npy, .csv or .parquet")
	case ext != ".npy" && ext != ".csv" && ext != ".parquet":
		return usagef("--out %s: want an ending of .npy, .csv or .parquet", o.out)
	case o.probabilities && o.embeddings:
		return usagef("--probabilities and --embeddings exclude each other")
	case !strings.Contains(" all train val test ", " "+nodes+" "):
		return usagef("--nodes is %q, want all, train, val or test", nodes)
	}
	return checkOut(o.out)
}

func selectNodes(d *formats.Dataset, which string) []int32 {
	switch which {
	case "train":
		return d.TrainNodes
	case "val":
		return d.ValNodes
	case "test":
		return d.TestNodes
	}
	return nil
}

// runPredict streams the output tile by tile, so that no more than a tile is in memory.
func runPredict(ctx context.Context, o predictOptions, s *saved, e *env) error {
	n := s.data.NumNodes()
	if o.nodes != nil {
		n = len(o.nodes)
	}
	p := &predictor{predictOptions: o, saved: s, multi: s.config.Network.Loss == "sigmoid"}
	upTo := 0
	switch {
	case o.embeddings:
		upTo = s.model.Seq.Len() - 1
		p.shape = tableShape{rows: n, cols: s.model.Seq.Layer(upTo - 1).OutDim(), kind: floatCells, prefix: "e"}
	case o.probabilities:
		p.shape = tableShape{rows: n, cols: s.model.Classes, kind: floatCells, prefix: "p"}
	case p.multi:
		p.shape = tableShape{rows: n, cols: s.model.Classes, kind: byteCells, prefix: "c"}
	default:
		p.shape = tableShape{rows: n, cols: 1, kind: intCells, prefix: "class"}
	}
	if !o.embeddings {
		p.shape.first = s.data.Labels.Offset
	}
	err := writeTable(o.out, p.shape, func(w tableWriter) error {
		p.w = w
		return s.eval.Logits(ctx, s.model, upTo, p.tile)
	})
	if err != nil {
		return adviseEvaluation(err)
	}
	if e.json {
		return e.printJSON(predictLine{"predict", o.out, p.shape.rows, p.shape.cols})
	}
	return e.printf("%s: %d nodes, %s\n", o.out, p.shape.rows, plural(p.shape.cols, "value"))
}

// predictLine is the JSON of a written table.
type predictLine struct {
	Type    string `json:"type"`
	Out     string `json:"out"`
	Rows    int    `json:"rows"`
	Columns int    `json:"columns"`
}

// plural prints a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " each"
	}
	return fmt.Sprintf("%d %ss each", n, noun)
}

// predictor turns output tiles into rows of a table.
type predictor struct {
	predictOptions
	*saved
	multi bool
	shape tableShape
	w     tableWriter
	next  int // position in nodes
	host  []float32
	row   tableRowValues
}

func (p *predictor) tile(c *nn.Context, lo, hi int, out tensor.Tensor) error {
	p.host = trainer.Download(c.Q, out, p.host)
	if err := c.Q.Sync(); err != nil {
		return err
	}
	for v := lo; v < hi; v++ {
		if p.nodes != nil {
			if p.next == len(p.nodes) || int(p.nodes[p.next]) != v {
				continue
			}
			p.next++
		}
		if err := p.write(int32(v), p.host[(v-lo)*out.Cols:(v-lo+1)*out.Cols]); err != nil {
			return err
		}
	}
	return nil
}

func (p *predictor) write(v int32, x []float32) error {
	switch {
	case p.embeddings:
		p.row.floats = x
	case p.probabilities:
		probabilities(x, p.multi)
		p.row.floats = x
	case p.multi:
		p.row.bytes = p.row.bytes[:0]
		for _, l := range x {
			p.row.bytes = append(p.row.bytes, positive(l))
		}
	default:
		p.row.int = int64(metric.Argmax(x)) + p.data.Labels.Offset
	}
	for i, f := range x {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return errors.Join(trainer.ErrNotFinite, fmt.Errorf("output %d of node %d is %v: the parameters in %s are of no use", i, v, f, p.path))
		}
	}
	return p.w.writeRow(v, &p.row)
}

func positive(logit float32) uint8 {
	if logit > 0 {
		return 1
	}
	return 0
}

// probabilities turns logits into probabilities in place: the softmax, or the sigmoid of each.
func probabilities(x []float32, multi bool) {
	if multi {
		for i, l := range x {
			x[i] = float32(1 / (1 + math.Exp(-float64(l))))
		}
		return
	}
	most, sum := math.Inf(-1), 0.0
	for _, l := range x {
		most = math.Max(most, float64(l))
	}
	for _, l := range x {
		sum += math.Exp(float64(l) - most)
	}
	for i, l := range x {
		x[i] = float32(math.Exp(float64(l)-most) / sum)
	}
}
