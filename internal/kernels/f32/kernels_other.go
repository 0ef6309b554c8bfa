//go:build !amd64 || noasm

package f32

func axpy(alpha float32, x, y []float32) { axpyGo(alpha, x, y) }

func scale(alpha float32, x []float32) { scaleGo(alpha, x) }

func dot(x, y []float32) float32 { return dotGo(x, y) }

func sumSquares(x []float32) float64 { return sumSquaresGo(x) }
