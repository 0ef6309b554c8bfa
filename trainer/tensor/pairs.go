package tensor

// EdgeDrop is dropout of the weights of edges within attention: that of u<-v in head k counts as
// w/(1-P) where word k%4 of Philox's block (U+u, V+v, k/4, 0) under the key is at least P*2^32,
// else as 0. The zero EdgeDrop keeps all.
type EdgeDrop struct {
	P    float32 // at least 0 and below 1
	Key  RandKey
	U, V int32 // what the first destination and the first source count as
}

// PairSelf is what PairAggregate and its backward passes know of the destinations: one row for
// each. There are K heads, the columns of Top, and K d columns of L, Att and the sources.
type PairSelf struct {
	L, Att   Tensor // NumDst×Kd; 1×Kd
	Top, Sum Tensor // largest score and sum of exponentials relative to it, written by PairAggregate
	Dot      Tensor // of the backward passes: products of the head's output with its gradient
	Drop     EdgeDrop
}

// PairOps are operations of attention whose scores depend on both ends of an edge column by
// column (GATv2, arXiv:2105.14491, equation 7): the score of u<-v in head k is
// a_k lrelu(l_uk + r_vk) with slope 0.2, its weight the softmax of that over row u. The values of
// the matrix do not count, and nothing is kept for an edge. A Queue may have them or not; one that
// has them heeds HeadSelf.Drop too.
type PairOps interface {
	// PairAggregate makes the edges of a part of y, the sums of the sources' heads r_v by weight, and
	// of Top and Sum. first: they hold nothing yet; a row without edges gets 0.
	PairAggregate(self PairSelf, a *CSR, r Tensor, first bool, y Tensor)
	// PairAggregateSelf: dl = beta dl + gradient of L, datt += gradient of Att.
	PairAggregateSelf(self PairSelf, a *CSR, r, dy Tensor, beta float32, dl, datt Tensor)
	// PairAggregateBack: dr = beta dr + gradient of the sources; at is the transpose of the matrix.
	PairAggregateBack(self PairSelf, at *CSR, r, dy Tensor, beta float32, dr Tensor)
}
