package rows

import "math"

// ActBack computes dx = dy*act'(x + bias) and dbias += dx. act'(0) is 0 for ReLU and the
// slope for Leaky; where x + bias is NaN the gradient passes.
func ActBack(act Act, x, bias, dy, dx, dbias []float32) {
	n := len(x)
	actBack(act, x, bias[:n], dy[:n], dx[:n], dbias[:n])
}

// Sums are the gradients of the vectors over columns that NormBack adds to.
type Sums struct{ Bias, Scale, Offset []float32 }

// coefficients are what the second pass over a row needs of the first: g and gx are the
// means of dy*scale and of dy*scale*h.
type coefficients struct{ mean, rstd, g, gx float32 }

// NormBack is the backward pass of a row of a = act(x + bias), y = h*scale + offset with
// h = (a-mean)*rstd, where mean and rstd are those of a:
//
//	dx = rstd*(dy*scale - mean(dy*scale) - h*mean(dy*scale*h)) * act'(x + bias)
//
// It adds dx, dy*h and dy to the sums of bias, scale and offset. act' is ActBack's.
func NormBack(act Act, x, bias, scale []float32, mean, rstd float32, dy, dx []float32, s *Sums) {
	n := len(x)
	bias, scale, dy, dx = bias[:n], scale[:n], dy[:n], dx[:n]
	g, gx := normDots(act, x, bias, dy, scale, mean, rstd)
	c := coefficients{mean, rstd, g / float32(n), gx / float32(n)}
	normBack(act, x, bias, scale, dy, dx, c, s.Bias[:n], s.Scale[:n], s.Offset[:n])
}

// actOf returns act(v).
func actOf(act Act, v float32) float32 {
	u := math.Float32bits(v)
	if v < 0 {
		switch act {
		case ReLU:
			u = 0
		case Leaky:
			u = math.Float32bits(v * slope)
		}
	}
	return math.Float32frombits(u)
}

func normDotsGo(act Act, x, bias, dy, scale []float32, mean, rstd float32) (g, gx float32) {
	bias, dy, scale = bias[:len(x)], dy[:len(x)], scale[:len(x)]
	for i, v := range x {
		d := dy[i] * scale[i]
		g += d
		gx += d * ((actOf(act, v+bias[i]) - mean) * rstd)
	}
	return g, gx
}

func normBackGo(act Act, x, bias, scale, dy, dx []float32, c coefficients, dbias, dscale, doffset []float32) {
	bias, scale, dy, dx = bias[:len(x)], scale[:len(x)], dy[:len(x)], dx[:len(x)]
	dscale, doffset = dscale[:len(x)], doffset[:len(x)]
	for i, v := range x {
		h, d := (actOf(act, v+bias[i])-c.mean)*c.rstd, dy[i]
		dscale[i] += d * h
		doffset[i] += d
		dx[i] = c.rstd * (d*scale[i] - c.g - h*c.gx)
	}
	actBackGo(act, x, bias, dx, dx, dbias)
}

func actBackGo(act Act, x, bias, dy, dx, dbias []float32) {
	bias, dy, dx, dbias = bias[:len(x)], dy[:len(x)], dx[:len(x)], dbias[:len(x)]
	low := float32(1)
	switch act {
	case ReLU:
		low = 0
	case Leaky:
		low = slope
	}
	for i, v := range x {
		d := dy[i]
		u, l := math.Float32bits(d), math.Float32bits(d*low)
		if low == 0 {
			l = 0 // an infinite gradient times 0 would be NaN
		}
		if v+bias[i] <= 0 {
			u = l
		}
		d = math.Float32frombits(u)
		dx[i] = d
		dbias[i] += d
	}
}
