package trainer

import (
	"slices"

	trainconfig "github.com/saint-gnn/saint/train_config"
)

// PlanExact returns the bytes of activations that EXACT's own implementation (ICLR 2022) holds
// for a full-batch step of c's model on z's nodes, temporaries of the loss left out. It keeps more
// than our layers do: dropout masks, a copy of what is aggregated, projections. With b bits, R
// columns left of D by a projection, all per node:
//
//	input of a product, of an aggregation   R b/8 + 4, and 4 D R once if R < D
//	input of a batch norm                   D b/8 + 4
//	ReLU, dropout                           D/8 each
//
// and without compression 4 D each, the mask of a dropout D. Inputs of a layer that are the
// features cost nothing then.
func PlanExact(c *trainconfig.Config, z Size) (int64, error) {
	n := &c.Network
	if n.Layer != "gcn" && n.Layer != "sage" || n.Head != "none" || n.Act != "relu" || n.JK != "" || n.Residual != "" || slices.Min(n.Arch) != 1 || slices.Max(n.Arch) != 1 {
		return 0, n.Extra.Errorf("layer", "EXACT's accounting is that of its own models: layer gcn or sage, arch of ones, act relu, head none, no residual")
	}
	l := exactLaw{nodes: int64(z.Nodes), bits: c.Params.Activations.Bits, keeps: ActivationStore(c.Params.Activations).Width}
	in := z.Features
	for i := range n.Arch {
		out := n.Dim
		if i == len(n.Arch)-1 {
			out = z.Classes
		}
		l.input(in, i == 0)
		if n.Layer == "sage" {
			l.input(in, false)
		} else {
			l.input(out, false)
		}
		if out = n.Dim; i == len(n.Arch)-1 {
			break
		}
		if n.Norm == "batch" {
			l.values(out)
		}
		l.rectified(out)
		if c.Params.Dropout > 0 {
			l.dropped(out)
		}
		in = out
	}
	return l.total(), nil
}

// exactLaw adds up the bytes of EXACT's layers.
type exactLaw struct {
	nodes int64
	bits  int // 0: nothing is compressed
	keeps func(cols int) int

	eighths int64 // of a byte, for every node
	once    int64 // bytes
}

// input adds the input of a product or an aggregation.
func (l *exactLaw) input(cols int, features bool) {
	left := l.keeps(cols)
	if left < cols {
		l.once += 4 * int64(cols) * int64(left)
	}
	switch {
	case l.bits > 0:
		l.eighths += int64(left*l.bits) + 32
	case left < cols || !features:
		l.eighths += 32 * int64(left)
	}
}

// values adds the input of a batch norm.
func (l *exactLaw) values(cols int) {
	if l.bits > 0 {
		l.eighths += int64(cols*l.bits) + 32
	} else {
		l.eighths += 32 * int64(cols)
	}
}

// rectified adds what a ReLU keeps.
func (l *exactLaw) rectified(cols int) {
	if l.bits > 0 {
		l.eighths += int64(cols)
	} else {
		l.eighths += 32 * int64(cols)
	}
}

// dropped adds the mask of a dropout.
func (l *exactLaw) dropped(cols int) {
	if l.bits > 0 {
		l.eighths += int64(cols)
	} else {
		l.eighths += 8 * int64(cols)
	}
}

func (l *exactLaw) total() int64 { return l.nodes*l.eighths/8 + l.once }
