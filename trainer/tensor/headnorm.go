package tensor

// HeadNorms are operations that a Queue may have besides: the norms of K heads, which are column
// ranges of equal width, in one pass over the rows. They are what BiasActNorm and its backward
// pass compute for one head after the other, without activation and bias, bit for bit but for the
// order in which a backend adds up gradients of parameters.
type HeadNorms interface {
	// HeadNorm: y = drop((x-mean) rstd scale + offset) with mean and rstd of every row's heads,
	// which it writes (Rows×K). y may be x.
	HeadNorm(scale, offset, x Tensor, drop Drop, y, mean, rstd Tensor)
	// HeadNormBackward: dx = gradient of x, dscale and doffset += theirs. dy is the gradient of
	// HeadNorm's y, drop the same as there.
	HeadNormBackward(scale, mean, rstd, x, dy Tensor, drop Drop, dx, dscale, doffset Tensor)
}
