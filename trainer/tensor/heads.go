package tensor

// HeadScore says how the two scores of an edge u<-v become its weight in one head.
type HeadScore uint8

// Kinds of weights, with s the score of the destination u and t that of the source v.
const (
	// HeadSum: (s + t) A_uv, the weight of GraphSAINT's attention. Scores come with their
	// activation applied.
	HeadSum HeadScore = iota
	// HeadReLU: max(s + t, 0) A_uv.
	HeadReLU
	// HeadSoftmax: exp(lrelu(s + t)) over the sum of that in row u, with slope 0.2 (GAT,
	// arXiv:1710.10903, equation 3). The values of A do not count.
	HeadSoftmax
)

// HeadSelf is what HeadAggregate and its backward passes know of the destinations: one row for
// each, one column for each head.
type HeadSelf struct {
	Score HeadScore
	S     Tensor // scores s
	// Of HeadSoftmax alone: the largest lrelu(s+t) of the row and the sum of the exponentials
	// relative to it, both as HeadSoftmaxSums left them, and for the backward passes Dot, the
	// products of the head's output with its gradient.
	Top, Sum, Dot Tensor
	Drop          EdgeDrop // of HeadSoftmax alone; HeadSoftmaxSums knows nothing of it
}

// HeadOps are the operations of attention layers; they are part of Queue. The K heads of a
// matrix of K d columns are column ranges of d each. Nothing is kept for an edge: every pass
// makes its weight again from two numbers of its ends.
//
// src holds one row for each source: K d columns of features x, and behind them its K scores t.
type HeadOps interface {
	// HeadDots: s = act(dots + bias), where dots[i,k] is the product of head k of x's row i
	// and a's. s has K columns. a has one row, or as many as x. bias (1×K) may be absent.
	HeadDots(act Act, x, a, bias, s Tensor)
	// HeadDotsBackward: dx = beta dx + the gradient of x, beta 0 or 1; da += that of a (one
	// row), dbias += that of bias. s is what HeadDots wrote, ds its gradient. dx may be absent.
	HeadDotsBackward(act Act, x, a, s, ds Tensor, beta float32, dx, da, dbias Tensor)
	// HeadScale: y[i,kd+j] = x[i,kd+j] f(g[i,k]), where f is the logistic function if sigmoid
	// is set and nothing else. y may be x.
	HeadScale(sigmoid bool, g, x, y Tensor)
	// HeadScaleBackward: dx = gradient of x, dg = gradient of g. dx may be dy.
	HeadScaleBackward(sigmoid bool, g, x, dy, dx, dg Tensor)

	// HeadAggregate: y = beta y + sum over v of w_uvk x_vk for every head, beta 0 or 1. Of
	// HeadSum mean, unless absent, is beta mean + A x: what the gradient of S needs.
	HeadAggregate(self HeadSelf, a *CSR, src Tensor, beta float32, y, mean Tensor)
	// HeadAggregateSelf: ds = beta ds + gradient of S, of any kind but HeadSum: there it is
	// HeadDots of dy and mean.
	HeadAggregateSelf(self HeadSelf, a *CSR, src, dy Tensor, beta float32, ds Tensor)
	// HeadAggregateBack: dsrc = beta dsrc + gradient of src, of which the columns of the
	// scores are with respect to t. at is the transpose of the matrix of HeadAggregate.
	HeadAggregateBack(self HeadSelf, at *CSR, src, dy Tensor, beta float32, dsrc Tensor)
	// HeadSoftmaxSums makes the edges of a part of top and sum; first: they hold nothing yet.
	// A row without edges gets 0 and 0. t has the sources' scores.
	HeadSoftmaxSums(a *CSR, s, t Tensor, first bool, top, sum Tensor)

	// NeighborMax: y[u,j] = the largest x[v,j] over the entries v of row u, arg[u,j] (I32) =
	// base + the v it came from, the first of equals. With first set a row without entries
	// gets 0 and -1; without it y and arg take part as they are.
	NeighborMax(a *CSR, x Tensor, base int32, first bool, y, arg Tensor)
	// NeighborMaxBackward: dx[v,j] = beta dx[v,j] + sum of dy[u,j] over the entries u of at's
	// row v with arg[u,j] = base + v.
	NeighborMaxBackward(at *CSR, arg, dy Tensor, base int32, beta float32, dx Tensor)

	// GroupMax: y[i,j] = the largest of x[i,kd+j] for the k-th of the groups of d = y.Cols
	// columns that x consists of, arg[i,j] (I32) = its k, the first of equals.
	GroupMax(x, y, arg Tensor)
	// GroupMaxBackward: dx[i,kd+j] = dy[i,j] if arg[i,j] is k, else 0.
	GroupMaxBackward(arg, dy, dx Tensor)
}
