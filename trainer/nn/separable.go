package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// Separable is a layer that does two things to its input: it sums neighbours of what is linear
// in the input, and everything else to each row by itself:
//
//	y_v = Join((P_0)_v, (A P_1)_v, …, (A^k P_k)_v),  k = Hops()
//
// Evaluators can so sum neighbours column by column, in memory of any size, and go over rows
// only once the sums are there.
type Separable interface {
	Layer
	// Parts returns the columns of each P_i. Chained parts are the input itself, so that every
	// sum is A times the one before it.
	Parts() (dim int, chained bool)
	// Part writes columns [lo,hi) of P_i for the rows of x to p. Evaluation only: there is no
	// dropout. Chained parts have none.
	Part(c *Context, i, lo, hi int, x, p tensor.Tensor)
	// Join returns the layer's output for rows whose sums are parts[0] to parts[k]. It may
	// overwrite the parts that are not chained.
	Join(c *Context, parts []tensor.Tensor) tensor.Tensor
}

// Parts returns the input's width, chained, where the layer aggregates its input, else Dim.
func (l *HighOrder) Parts() (dim int, chained bool) {
	if l.aggregateFirst {
		return l.in, true
	}
	return l.dim, false
}

// Part writes columns [lo,hi) of x W_i to p.
func (l *HighOrder) Part(c *Context, i, lo, hi int, x, p tensor.Tensor) {
	c.Q.Gemm(false, false, 1, x, l.hops[i].weight.Value.ColRange(lo, hi), 0, p)
}

// Join computes what follows the aggregation.
func (l *HighOrder) Join(c *Context, parts []tensor.Tensor) tensor.Tensor {
	y := c.New(parts[0].Rows, l.OutDim())
	s := hopScratch{}
	for i, z := range parts {
		if l.aggregateFirst {
			z = l.hopZ(c, &s, i, y)
			c.Q.Gemm(false, false, 1, parts[i], l.hops[i].weight.Value, 0, z)
		}
		l.activate(c, &s, i, z, y)
	}
	l.normalize(c, y)
	return y
}
