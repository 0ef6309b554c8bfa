//go:build !amd64 || noasm

package rows

func biasAct(act Act, x, bias, y []float32) float32 { return biasActGo(act, x, bias, y) }

func squaresAround(x []float32, mean float32) float32 { return squaresAroundGo(x, mean) }

func standardize(y []float32, mean, rstd float32, scale, offset []float32) {
	standardizeGo(y, mean, rstd, scale, offset)
}

func normDots(act Act, x, bias, dy, scale []float32, mean, rstd float32) (g, gx float32) {
	return normDotsGo(act, x, bias, dy, scale, mean, rstd)
}

func actBack(act Act, x, bias, dy, dx, dbias []float32) { actBackGo(act, x, bias, dy, dx, dbias) }

func normBack(act Act, x, bias, scale, dy, dx []float32, c coefficients, dbias, dscale, doffset []float32) {
	normBackGo(act, x, bias, scale, dy, dx, c, dbias, dscale, doffset)
}

func adam(s *AdamStep, grad, m, v, value []float32) { adamGo(s, grad, m, v, value) }

func expNeg(x []float32, sign uint32, top float64, e []float64) { expNegGo(x, sign, top, e) }

func fetch([]float32) {}
