//go:build !amd64 || noasm

package rows

func biasAct(act Act, x, bias, y []float32) float32 { return biasActGo(act, x, bias, y) }

func squaresAround(x []float32, mean float32) float32 { return squaresAroundGo(x, mean) }

func standardize(y []float32, mean, rstd float32, scale, offset []float32) {
	standardizeGo(y, mean, rstd, scale, offset)
}

func normSums(a []float32, mean, rstd float32, dy, scale, dscale, doffset []float32) (g, gx float32) {
	return normSumsGo(a, mean, rstd, dy, scale, dscale, doffset)
}

func actGrad(act Act, x, bias, dy, dx, dbias []float32) { actGradGo(act, x, bias, dy, dx, dbias) }

func normGrad(act Act, x, bias, scale, xhat []float32, rstd, g, gx float32, dy, dx, dbias []float32) {
	normGradGo(act, x, bias, scale, xhat, rstd, g, gx, dy, dx, dbias)
}

func adam(s *AdamStep, grad, m, v, value []float32) { adamGo(s, grad, m, v, value) }

func expNeg(x []float32, sign uint32, top float64, e []float64) { expNegGo(x, sign, top, e) }
