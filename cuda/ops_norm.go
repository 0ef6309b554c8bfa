package cuda

import (
	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// checkBiasNorm checks what BiasActNorm and its backward pass have in common.
func checkBiasNorm(op string, rows, cols int, bias, scale, mean, rstd tensor.Tensor) {
	option(op, "bias", bias, 1, cols)
	option(op, "scale", scale, 1, cols)
	option(op, "mean", mean, rows, 1)
	option(op, "rstd", rstd, rows, 1)
	together(op, "scale, mean, rstd", scale, mean, rstd)
}

// BiasActNorm computes a = act(x + bias); y = drop((a-mean)*rstd*scale + offset).
func (q *Queue) BiasActNorm(act tensor.Act, bias, scale, offset, x tensor.Tensor, drop tensor.Drop, y, mean, rstd tensor.Tensor) {
	const op = "BiasActNorm"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	checkBiasNorm(op, x.Rows, x.Cols, bias, scale, mean, rstd)
	option(op, "offset", offset, 1, x.Cols)
	together(op, "scale, offset", scale, offset)
	a, drops := actOf(op, act), dropOf(op, drop, y)
	if !q.readyWith(x, bias, scale, offset, y, mean, rstd) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	if madeOf(x) == nil && inRows(x.Cols, drops, bias, scale, offset, x, y) {
		q.normRows(rowPass{norm: true, act: a, bias: bias, scale: scale, offset: offset, x: x, y: y, mean: mean, rstd: rstd, drop: drops})
		return
	}
	x = q.written(x)
	defer q.restore()
	l := q.with().int(x.Rows, x.Cols, a).row(bias, scale, offset).source(x).mat(y, mean, rstd).drop(drops).flag(aligned(solid(x), y))
	q.rows(kernel{"norm", sourced("bias_act_norm", x)}, x.Rows, l)
}

// sourced names the kernel that reads x as it is.
func sourced(name string, x tensor.Tensor) string {
	if codedOf(x) != nil {
		return name + "_coded"
	}
	return name
}

// source is a matrix, in memory or in codes.
func (a *args) source(x tensor.Tensor) *args {
	if m := codedOf(x); m != nil {
		return a.coded(m, x.Cols)
	}
	return a.mat(x)
}

// columnBlocks returns the grid of kernels that sum columns, and its blocks of rows.
func columnBlocks(rows, cols int) (grid driver.Dim3, perBlock, blocks int) {
	perBlock = sumRows
	for ceil(rows, perBlock) > maxBlocks {
		perBlock *= 2
	}
	blocks = ceil(rows, perBlock)
	return dim(ceil(cols, 32), blocks), perBlock, blocks
}

// sumBlocks is about how many blocks of rows have sums of their own.
const sumBlocks = 512

// sumGrid is columnBlocks for kernels whose blocks have 128 columns.
func sumGrid(rows, cols int) (grid driver.Dim3, perBlock, blocks int) {
	perBlock = max(64, ceil(ceil(rows, sumBlocks), 8)*8)
	blocks = ceil(rows, perBlock)
	return dim(ceil(cols, 128), blocks), perBlock, blocks
}

// addColumns adds the blocks' sums, which are stride apart, to what is present of outs, one behind the
// other in a block.
func (q *Queue) addColumns(blocks int, part driver.Ptr, stride, cols int, outs ...tensor.Tensor) {
	var out [3]tensor.Tensor
	if copy(out[:], outs); cols > 0 {
		a := q.with().int(blocks, cols).ptr(part).int(stride).row(out[:]...)
		q.launch(kernel{"columns", "add_column_sums"}, dim(ceil(cols, 32), len(outs)), blockThreads, a)
	}
}

// BiasActNormBackward computes dx = gradient with respect to x; dbias, dscale, doffset += theirs.
func (q *Queue) BiasActNormBackward(act tensor.Act, bias, scale, mean, rstd, x, dy tensor.Tensor, drop tensor.Drop, dx, dbias, dscale, doffset tensor.Tensor) {
	const op = "BiasActNormBackward"
	matrixOf(op, "x", x)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	checkBiasNorm(op, x.Rows, x.Cols, bias, scale, mean, rstd)
	option(op, "dbias", dbias, 1, x.Cols)
	option(op, "dscale", dscale, 1, x.Cols)
	option(op, "doffset", doffset, 1, x.Cols)
	together(op, "bias, dbias", bias, dbias)
	together(op, "scale, dscale, doffset", scale, dscale, doffset)
	a, drops := actOf(op, act), dropOf(op, drop, dy)
	if !q.readyWith(x, bias, scale, mean, rstd, dy, dx, dbias, dscale, doffset) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	x = q.written(x)
	defer q.restore()
	vec := aligned(solid(x), dy, dx)
	if m := codedOf(x); inRows(x.Cols, drops, bias, scale, solid(x), dy, dx) && (m == nil || m.whole(x.Cols)) {
		perBlock := max(16, ceil(ceil(x.Rows, sumBlocks), 4)*4)
		blocks, part := ceil(x.Rows, perBlock), driver.Ptr(0)
		sums := bias.Present() || scale.Present()
		if sums {
			part = q.temporary(4 * 3 * x.Cols * blocks)
		}
		l := q.with().int(x.Rows, x.Cols, a).row(bias, scale).mat(mean, rstd).source(x).mat(dy, dx).drop(drops).int(perBlock).ptr(part)
		q.launch(kernel{"rows", sized(sourced("norm_rows_back", x), x.Cols)}, dim(blocks, 1), backThreads, l)
		if sums {
			q.addColumns(blocks, part, 3*x.Cols, x.Cols, dscale, doffset, dbias)
		}
		return
	}
	grid, perBlock, blocks := sumGrid(x.Rows, x.Cols)
	part := q.temporary(4 * 2 * x.Cols * blocks)
	if scale.Present() {
		// Before dx, which may be dy.
		l := q.with().int(x.Rows, x.Cols, a).row(bias).mat(mean, rstd).source(x).mat(dy).drop(drops).flag(vec).int(perBlock).ptr(part)
		q.launch(kernel{"norm", sourced("norm_column_sums", x)}, grid, blockThreads, l)
		q.addColumns(blocks, part, 2*x.Cols, x.Cols, dscale, doffset)
	}
	l := q.with().int(x.Rows, x.Cols, a).row(bias, scale).mat(mean, rstd).source(x).mat(dy, dx).drop(drops).flag(vec)
	q.rows(kernel{"norm", sourced("bias_act_norm_back", x)}, x.Rows, l)
	if dbias.Present() {
		q.columnSums(dx.Rows, dx.Cols, address(dx), dx.Stride, part, dbias)
	}
}

// after is the address of the n-th number behind part.
func after(part driver.Ptr, n int) driver.Ptr { return part + driver.Ptr(4*n) }

// columnSums adds the sums of the columns of x to out; part has room for a row of each of sumGrid's blocks.
func (q *Queue) columnSums(rows, cols int, x driver.Ptr, stride int, part driver.Ptr, out tensor.Tensor) {
	grid, perBlock, blocks := sumGrid(rows, cols)
	l := q.with().int(rows, cols).ptr(x).int(stride).flag(x%16 == 0 && stride%4 == 0).int(perBlock).ptr(part)
	q.launch(kernel{"columns", "column_sums"}, grid, blockThreads, l)
	q.addColumns(blocks, part, cols, cols, out)
}

// BatchNorm computes y = (x-mean)/sqrt(var+eps)*scale + offset over the rows of each column. An x
// without rows changes nothing.
func (q *Queue) BatchNorm(eps, momentum float32, scale, offset, x, y, mean, rstd, runMean, runVar tensor.Tensor) {
	const op = "BatchNorm"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	wantRows(op, x.Cols, scale, offset, mean, rstd)
	option(op, "runMean", runMean, 1, x.Cols)
	option(op, "runVar", runVar, 1, x.Cols)
	together(op, "runMean, runVar", runMean, runVar)
	if !q.ready(scale, offset, x, y, mean, rstd, runMean, runVar) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	grid, perBlock, blocks := sumGrid(x.Rows, x.Cols)
	part := q.temporary(4 * x.Cols * (3*blocks + 1))
	mul := part + driver.Ptr(4*3*x.Cols*blocks)
	q.launch(kernel{"batchnorm", "batch_moments"}, grid, blockThreads, q.with().int(x.Rows, x.Cols).mat(x).flag(aligned(x)).int(perBlock).ptr(part))
	l := q.with().int(x.Rows, x.Cols, blocks, perBlock).ptr(part).f32(eps, momentum).row(scale, mean, rstd).ptr(mul).row(runMean, runVar)
	q.launch(kernel{"batchnorm", "batch_merge"}, dim(ceil(x.Cols, 32), 1), blockThreads, l)
	q.batchApply(x, mean, mul, offset, y)
}

func (q *Queue) batchApply(x, mean tensor.Tensor, mul driver.Ptr, offset, y tensor.Tensor) {
	l := q.with().int(x.Rows, x.Cols).mat(x).row(mean).ptr(mul).row(offset).mat(y).flag(aligned(x, y))
	q.quads(kernel{"batchnorm", "batch_apply"}, x.Rows, x.Cols, l)
}

// BatchNormInfer computes y = (x-mean)/sqrt(var+eps)*scale + offset with given statistics.
func (q *Queue) BatchNormInfer(eps float32, scale, offset, mean, variance, x, y tensor.Tensor) {
	const op = "BatchNormInfer"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	wantRows(op, x.Cols, scale, offset, mean, variance)
	if !q.ready(scale, offset, mean, variance, x, y) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	mul := q.temporary(4 * x.Cols)
	q.elements(kernel{"batchnorm", "batch_factors"}, x.Cols, q.with().int(x.Cols).f32(eps).row(scale, variance).ptr(mul))
	q.batchApply(x, mean, mul, offset, y)
}

// BatchNormBackward computes dx = gradient, dscale, doffset += theirs.
func (q *Queue) BatchNormBackward(scale, mean, rstd, x, dy, dx, dscale, doffset tensor.Tensor) {
	const op = "BatchNormBackward"
	matrixOf(op, "x", x)
	want(op, "dy", dy, tensor.F32, x.Rows, x.Cols)
	want(op, "dx", dx, tensor.F32, x.Rows, x.Cols)
	wantRows(op, x.Cols, scale, mean, rstd, dscale, doffset)
	if !q.ready(scale, mean, rstd, x, dy, dx, dscale, doffset) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	grid, perBlock, blocks := sumGrid(x.Rows, x.Cols)
	part := q.temporary(4 * x.Cols * (2*blocks + 3))
	factors := part + driver.Ptr(4*2*x.Cols*blocks)
	l := q.with().int(x.Rows, x.Cols).mat(x, dy).row(mean, rstd).flag(aligned(x, dy)).int(perBlock).ptr(part)
	q.launch(kernel{"batchnorm", "batch_grad_sums"}, grid, blockThreads, l)
	l = q.with().int(x.Rows, x.Cols, blocks).ptr(part).row(scale, rstd, dscale, doffset).ptr(factors)
	q.launch(kernel{"batchnorm", "batch_grad_merge"}, dim(ceil(x.Cols, 32), 1), blockThreads, l)
	l = q.with().int(x.Rows, x.Cols).mat(x).row(mean).ptr(factors).mat(dy, dx).flag(aligned(x, dy, dx))
	q.quads(kernel{"batchnorm", "batch_grad"}, x.Rows, x.Cols, l)
}

// NormalizeRows computes y = x/max(|x|, 1e-12) per row; norm = max(|x|, 1e-12).
func (q *Queue) NormalizeRows(x, y, norm tensor.Tensor) {
	const op = "NormalizeRows"
	matrixOf(op, "x", x)
	want(op, "y", y, tensor.F32, x.Rows, x.Cols)
	want(op, "norm", norm, tensor.F32, x.Rows, 1)
	if q.ready(x, y, norm) {
		q.rows(kernel{"unit", "unit_rows"}, x.Rows, q.with().int(x.Rows, x.Cols).mat(x, y, norm))
	}
}

// NormalizeRowsBackward computes dx = (dy - y <y,dy>)/norm.
func (q *Queue) NormalizeRowsBackward(dy, y, norm, dx tensor.Tensor) {
	const op = "NormalizeRowsBackward"
	matrixOf(op, "dy", dy)
	want(op, "y", y, tensor.F32, dy.Rows, dy.Cols)
	want(op, "norm", norm, tensor.F32, dy.Rows, 1)
	want(op, "dx", dx, tensor.F32, dy.Rows, dy.Cols)
	if q.ready(dy, y, norm, dx) {
		q.rows(kernel{"unit", "unit_rows_back"}, dy.Rows, q.with().int(dy.Rows, dy.Cols).mat(dy, y, norm, dx))
	}
}
