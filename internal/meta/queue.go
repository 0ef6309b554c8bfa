package meta

import "github.com/saint-gnn/saint/trainer/tensor"

// Queue is a tensor.Queue and tensor.QuantOps whose operations do nothing: what they would
// need beside their operands' memory is not the arena's.
type Queue struct{ masks tensor.Masks }

var (
	_ tensor.Queue    = (*Queue)(nil)
	_ tensor.QuantOps = (*Queue)(nil)
	_ tensor.BF16Ops  = (*Queue)(nil)

	_ tensor.UnitRowOps = (*Queue)(nil)

	_ tensor.HeadNorms  = (*Queue)(nil)
	_ tensor.MaskKeeper = (*Queue)(nil)
)

// Adam does nothing.
func (*Queue) Adam(tensor.AdamStep, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// Axpby does nothing.
func (*Queue) Axpby(float32, tensor.Tensor, float32, tensor.Tensor) {}

// BatchNorm does nothing.
func (*Queue) BatchNorm(float32, float32, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// BatchNormBackward does nothing.
func (*Queue) BatchNormBackward(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// BatchNormInfer does nothing.
func (*Queue) BatchNormInfer(float32, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// BiasActNorm counts the mask.
func (q *Queue) BiasActNorm(_ tensor.Act, _, _, _, _ tensor.Tensor, drop tensor.Drop, y, _, _ tensor.Tensor) {
	q.masks.Add(drop, y.Rows, y.Cols)
}

// HeadNorm counts the mask.
func (q *Queue) HeadNorm(_, _, _ tensor.Tensor, drop tensor.Drop, y, _, _ tensor.Tensor) {
	q.masks.Add(drop, y.Rows, y.Cols)
}

// HeadNormBackward counts the mask.
func (q *Queue) HeadNormBackward(_, _, _, _, dy tensor.Tensor, drop tensor.Drop, _, _, _ tensor.Tensor) {
	q.masks.Add(drop, dy.Rows, dy.Cols)
}

// BiasActNormBackward counts the mask.
func (q *Queue) BiasActNormBackward(_ tensor.Act, _, _, _, _, _, dy tensor.Tensor, drop tensor.Drop, _, _, _, _ tensor.Tensor) {
	q.masks.Add(drop, dy.Rows, dy.Cols)
}

// Close returns nil.
func (*Queue) Close() error { return nil }

// Download does nothing.
func (*Queue) Download(tensor.Tensor, []byte) {}

// Dropout counts the mask.
func (q *Queue) Dropout(p float32, key tensor.RandKey, x, _ tensor.Tensor) {
	q.masks.Add(tensor.Drop{P: p, Key: key, Width: x.Cols}, x.Rows, x.Cols)
}

// Err returns nil.
func (*Queue) Err() error { return nil }

// Fill does nothing.
func (*Queue) Fill(float32, tensor.Tensor) {}

// ForgetMasks limits the masks that count.
func (q *Queue) ForgetMasks(over int64) { q.masks = tensor.Masks{Limited: true, Over: over} }

// MaskBytes returns the bytes of the masks that the CPU would remember.
func (q *Queue) MaskBytes() int64 { return q.masks.Bytes() }

// GatherRows counts the mask.
func (q *Queue) GatherRows(_, _ tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	q.masks.AddGathered(drop, dst.Rows, dst.Cols)
}

// Gemm does nothing.
func (*Queue) Gemm(bool, bool, float32, tensor.Tensor, tensor.Tensor, float32, tensor.Tensor) {}

// GroupMax does nothing.
func (*Queue) GroupMax(tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// GroupMaxBackward does nothing.
func (*Queue) GroupMaxBackward(tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// HeadAggregate does nothing.
func (*Queue) HeadAggregate(tensor.HeadSelf, *tensor.CSR, tensor.Tensor, float32, tensor.Tensor, tensor.Tensor) {
}

// HeadAggregateBack does nothing.
func (*Queue) HeadAggregateBack(tensor.HeadSelf, *tensor.CSR, tensor.Tensor, tensor.Tensor, float32, tensor.Tensor) {
}

// HeadAggregateSelf does nothing.
func (*Queue) HeadAggregateSelf(tensor.HeadSelf, *tensor.CSR, tensor.Tensor, tensor.Tensor, float32, tensor.Tensor) {
}

// HeadDots does nothing.
func (*Queue) HeadDots(tensor.Act, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// HeadDotsBackward does nothing.
func (*Queue) HeadDotsBackward(tensor.Act, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// HeadScale does nothing.
func (*Queue) HeadScale(bool, tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// HeadScaleBackward does nothing.
func (*Queue) HeadScaleBackward(bool, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// HeadSoftmaxSums does nothing.
func (*Queue) HeadSoftmaxSums(*tensor.CSR, tensor.Tensor, tensor.Tensor, bool, tensor.Tensor, tensor.Tensor) {
}

// NeighborMax does nothing.
func (*Queue) NeighborMax(*tensor.CSR, tensor.Tensor, int32, bool, tensor.Tensor, tensor.Tensor) {}

// NeighborMaxBackward does nothing.
func (*Queue) NeighborMaxBackward(*tensor.CSR, tensor.Tensor, tensor.Tensor, int32, float32, tensor.Tensor) {
}

// NormalizeRows does nothing.
func (*Queue) NormalizeRows(tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// NormalizeRowsBackward does nothing.
func (*Queue) NormalizeRowsBackward(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// RMSProp does nothing.
func (*Queue) RMSProp(tensor.RMSPropStep, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// SGD does nothing.
func (*Queue) SGD(tensor.SGDStep, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {}

// LogSoftmaxXent does nothing.
func (*Queue) LogSoftmaxXent(float64, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// Scale does nothing.
func (*Queue) Scale(float32, tensor.Tensor) {}

// SigmoidXent does nothing.
func (*Queue) SigmoidXent(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// SmoothSigmoidXent does nothing.
func (*Queue) SmoothSigmoidXent(float32, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// SmoothSoftmaxXent does nothing.
func (*Queue) SmoothSoftmaxXent(float32, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// SoftmaxXent does nothing.
func (*Queue) SoftmaxXent(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// SpMM does nothing.
func (*Queue) SpMM(float32, *tensor.CSR, tensor.Tensor, float32, tensor.Tensor) {}

// SumSquares does nothing.
func (*Queue) SumSquares(tensor.Tensor, tensor.Tensor) {}

// Sync returns nil.
func (*Queue) Sync() error { return nil }

// Upload does nothing.
func (*Queue) Upload([]byte, tensor.Tensor) {}

// Dequantize does nothing.
func (*Queue) Dequantize(tensor.Quant, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// Quantize does nothing.
func (*Queue) Quantize(tensor.Quant, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}

// Signs does nothing.
func (*Queue) Signs(tensor.RandKey, float32, tensor.Tensor) {}

// KeepsBF16 says that codes may be values in 16 bits.
func (*Queue) KeepsBF16() {}

// MakesUnitRows says that rows of length one may be made.
func (*Queue) MakesUnitRows() {}

// Decoded makes *t a matrix of that shape.
func (*Queue) Decoded(_ tensor.Quant, _, _, _, _ tensor.Tensor, rows, cols int, t *tensor.Tensor) {
	made(rows, cols, t)
}

// Gathered makes *t a matrix of that shape and counts the mask.
func (q *Queue) Gathered(src, idx tensor.Tensor, drop tensor.Drop, t *tensor.Tensor) {
	q.masks.AddGathered(drop, idx.Rows, src.Cols)
	made(idx.Rows, src.Cols, t)
}

// made makes *t a matrix that is no arena's.
func made(rows, cols int, t *tensor.Tensor) {
	*t = tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: tensor.F32, ID: ids.Add(1)}
}
