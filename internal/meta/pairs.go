package meta

import "github.com/saint-gnn/saint/trainer/tensor"

var _ tensor.PairOps = (*Queue)(nil)

// PairAggregate does nothing.
func (*Queue) PairAggregate(tensor.PairSelf, *tensor.CSR, tensor.Tensor, bool, tensor.Tensor) {}

// PairAggregateSelf does nothing.
func (*Queue) PairAggregateSelf(tensor.PairSelf, *tensor.CSR, tensor.Tensor, tensor.Tensor, float32, tensor.Tensor, tensor.Tensor) {
}

// PairAggregateBack does nothing.
func (*Queue) PairAggregateBack(tensor.PairSelf, *tensor.CSR, tensor.Tensor, tensor.Tensor, float32, tensor.Tensor) {
}
