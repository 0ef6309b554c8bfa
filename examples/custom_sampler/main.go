// Command custom_sampler trains with a sampler of its own. Everything that makes a sampler is
// in this file: the law, its keys in the configuration, and one call that registers it.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	_ "github.com/saint-gnn/saint/trainer/devices" // tensor.Open knows the CPU
	"github.com/saint-gnn/saint/trainer/tensor"
)

// snowball draws Roots training nodes uniformly, and Depth times Fanout neighbours of every
// node that the time before drew. Draws are with replacement; isolated nodes end their branch.
// It holds nothing that a draw changes, so that any number of goroutines may use it.
type snowball struct {
	roots, depth, fanout int
	env                  samplers.Env
}

func init() {
	samplers.Register(samplers.Info{
		Name:    "snowball",
		Doc:     "num_root training nodes, then depth times fanout neighbours of each node just drawn",
		Keys:    "num_root, depth, fanout",
		Factory: newSnowball,
	})
}

// newSnowball reads the keys of the phase and refuses values that would not end well: the
// message reaches the user with the place in the configuration.
func newSnowball(env samplers.Env, p samplers.Params) (samplers.Sampler, error) {
	key := struct {
		Roots  int64 `yaml:"num_root"`
		Depth  int64 `yaml:"depth"`
		Fanout int64 `yaml:"fanout"`
	}{Roots: 0, Depth: 2, Fanout: 2}
	if err := p.Decode(&key); err != nil {
		return nil, err
	}
	switch {
	case key.Roots < 1 || key.Roots > 1<<20:
		return nil, fmt.Errorf("num_root is %d, want 1 to 2^20", key.Roots)
	case key.Depth < 0 || key.Depth > 4:
		return nil, fmt.Errorf("depth is %d, want 0 to 4", key.Depth)
	case key.Fanout < 1 || key.Fanout > 10:
		return nil, fmt.Errorf("fanout is %d, want 1 to 10", key.Fanout)
	}
	return &snowball{roots: int(key.Roots), depth: int(key.Depth), fanout: int(key.Fanout), env: env}, nil
}

// Budget is the most nodes a draw returns: roots (1 + fanout + … + fanout^depth).
func (s *snowball) Budget() int {
	layer, sum := s.roots, s.roots
	for range s.depth {
		layer *= s.fanout
		sum += layer
	}
	return sum
}

// SampleNodes appends the ids of one snowball. Randomness comes from r alone, which makes the
// subgraph a function of seed, phase and index; no working memory is needed, because dst itself
// holds the nodes that the last round drew.
func (s *snowball) SampleNodes(r *rand.Rand, _ *samplers.Scratch, dst []int32) []int32 {
	from := len(dst)
	for range s.roots {
		dst = append(dst, s.env.Train[r.IntN(len(s.env.Train))])
	}
	g := s.env.Graph
	for range s.depth {
		last := len(dst)
		for _, v := range dst[from:last] {
			row := g.Indices[g.Indptr[v]:g.Indptr[v+1]]
			for range s.fanout {
				if len(row) > 0 {
					dst = append(dst, row[r.IntN(len(row))])
				}
			}
		}
		from = last
	}
	return dst
}

const config = `
network:
  - {dim: 64, aggr: concat, loss: softmax, arch: '1-1-0', act: relu, bias: norm}
params:
  - {lr: 0.01, dropout: 0.1, sample_coverage: 50}
phase:
  - {end: 15, sampler: snowball, num_root: 40, depth: 2, fanout: 2}
`

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "custom_sampler:", err)
		os.Exit(1)
	}
}

// run trains on a generated graph and prints the F1 of every epoch.
func run(ctx context.Context, out io.Writer) error {
	raw, err := synth.Generate(ctx, "tiny", 1, synth.Options{})
	if err != nil {
		return err
	}
	data, err := raw.Prepare()
	if err != nil {
		return err
	}
	c, err := trainconfig.Parse("snowball.yml", []byte(config))
	if err != nil {
		return err
	}
	cpu, err := tensor.Open("cpu", tensor.Options{})
	if err != nil {
		return err
	}
	defer cpu.Close() //nolint:errcheck // it ends threads, and every result is out by then
	res, err := trainer.Train(ctx, trainer.Options{
		Data: data, Config: c, Backend: cpu, Seed: 1,
		OnEpoch: func(e trainer.Epoch) error {
			_, err := fmt.Fprintf(out, "epoch %2d  loss %.4f  val F1 %.4f\n", e.Epoch, e.TrainLoss, e.Val.F1Micro)
			return err
		},
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "test F1 %.4f at the best epoch, %d\n", res.Test.F1Micro, res.BestEpoch)
	return err
}
