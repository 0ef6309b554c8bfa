//go:build !amd64 || noasm

package pairs

// loops are the kernels for heads of some columns: there are none.
type loops struct{ vecs int }

func vectorsOf(int) loops { return loops{} }

func vectorRow(*Job[float32], loops, int, int) {}
