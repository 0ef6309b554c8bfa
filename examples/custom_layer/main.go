// Command custom_layer trains a model of layers of its own. Everything that makes a layer is
// in this file: forward and backward pass, its keys in the configuration, and one call that
// registers it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/saint-gnn/saint/formats/synth"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
	_ "github.com/saint-gnn/saint/trainer/devices" // tensor.Open knows the CPU
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// contrast is y = act((x + c A x) W + b): with share c above 0 it smooths over the neighbours,
// below 0 it keeps what sets a node apart from them. x is NumSrc×in, y NumDst×out.
type contrast struct {
	share   float32
	act     tensor.Act
	weight  *nn.Param // in×out
	bias    *nn.Param // 1×out
	in, out int
}

// Slots name what the layer saves within a step.
const (
	slotMixed  = iota // x + c A x, for the gradient of the weight
	slotLinear        // before bias and activation, for the gradient of both
)

func init() { nn.Register("contrast", newContrast) }

// contrastKeys are the keys in the configuration that only this layer knows.
type contrastKeys struct {
	Share float64 `yaml:"share"` // c
}

// newContrast reads the layer's key and makes its parameters. It is called once for each layer.
func newContrast(b nn.Builder, s nn.Spec) (nn.Layer, error) {
	key := contrastKeys{Share: 1}
	if s.Extra != nil {
		if err := s.Extra.Decode(&key); err != nil {
			return nil, err
		}
	}
	if s.In < 1 || s.Dim < 1 {
		return nil, fmt.Errorf("widths %d and %d: must be at least 1", s.In, s.Dim)
	}
	if key.Share < -1 || key.Share > 1 {
		return nil, fmt.Errorf("share is %v, want -1 to 1", key.Share)
	}
	l := &contrast{share: float32(key.Share), act: s.Act, in: s.In, out: s.Dim}
	if s.Order == 0 { // a dense layer, such as the last one of an arch
		l.share = 0
	}
	l.weight = b.Param(s.Name+".weight", s.In, s.Dim, "glorot")
	l.bias = b.Param(s.Name+".bias", 1, s.Dim, "zeros")
	return l, nil
}

// Params returns weight and bias.
func (l *contrast) Params() []*nn.Param { return []*nn.Param{l.weight, l.bias} }

// OutDim returns the width of y.
func (l *contrast) OutDim() int { return l.out }

// Hops returns 1, or 0 if the layer looks at no neighbours.
func (l *contrast) Hops() int {
	if l.share == 0 {
		return 0
	}
	return 1
}

// Forward computes y. What lives until Backward is saved, what dies at the end of the call is
// a Temp, and nothing is ever released by hand.
func (l *contrast) Forward(c *nn.Context, g nn.Graph, x tensor.Tensor) tensor.Tensor {
	mixed := c.Temp(tensor.F32, g.NumDst(), l.in)
	if l.share == 0 {
		c.Q.Axpby(1, g.Dst(x), 0, mixed)
	} else {
		nn.Aggregate(c, g, x, mixed)
		c.Q.Axpby(1, g.Dst(x), l.share, mixed)
	}
	linear := c.Temp(tensor.F32, g.NumDst(), l.out)
	c.Q.Gemm(false, false, 1, mixed, l.weight.Value, 0, linear)
	c.Save(slotMixed, mixed, nn.Activation)
	c.Save(slotLinear, linear, nn.Activation)
	y := c.New(g.NumDst(), l.out)
	var none tensor.Tensor // absent: no row norm
	c.Q.BiasActNorm(l.act, l.bias.Value, none, none, linear, tensor.Drop{}, y, none, none)
	return y
}

// Backward adds to the parameters' gradients and returns that of x, if somebody needs it.
func (l *contrast) Backward(c *nn.Context, g nn.Graph, dy tensor.Tensor, needDX bool) tensor.Tensor {
	var none tensor.Tensor // absent: no row norm
	linear, mixed := c.Load(slotLinear), c.Load(slotMixed)
	dlinear := c.Temp(tensor.F32, dy.Rows, dy.Cols)
	c.Q.BiasActNormBackward(l.act, l.bias.Value, none, none, none, linear, dy, tensor.Drop{}, dlinear, l.bias.Grad, none, none)
	c.Q.Gemm(true, false, 1, mixed, dlinear, 1, l.weight.Grad)
	if !needDX {
		return none
	}
	dmixed := c.Temp(tensor.F32, dy.Rows, l.in)
	c.Q.Gemm(false, true, 1, dlinear, l.weight.Value, 0, dmixed)
	dx := c.New(g.NumSrc(), l.in)
	if l.share == 0 {
		c.Q.Fill(0, dx)
	} else {
		shared := c.Temp(tensor.F32, dy.Rows, l.in)
		c.Q.Axpby(l.share, dmixed, 0, shared)
		nn.AggregateBack(c, g, shared, dx)
	}
	c.Q.Axpby(1, dmixed, 1, g.Dst(dx)) // the rows of dx that are the destinations themselves
	return dx
}

const config = `
network:
  - {dim: 64, aggr: concat, loss: softmax, arch: '1-1-0', act: relu, bias: bias, layer: contrast, share: 0.9}
params:
  - {lr: 0.01, dropout: 0., sample_coverage: 50}
phase:
  - {end: 15, sampler: rw, num_root: 150, depth: 2}
`

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "custom_layer:", err)
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
	c, err := trainconfig.Parse("contrast.yml", []byte(config))
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
