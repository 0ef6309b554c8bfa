package rows

import "math"

// SGDStep is the constants of one update of gradient descent; see AdamStep for Factor and Bound.
type SGDStep struct{ Factor, Bound, Rate, Momentum float32 }

// SGD does one update of value and sets grad to 0.
func SGD(s *SGDStep, grad, value []float32) { sgd(s, grad, value[:len(grad)]) }

// SGDMomentum does one update of m and value, Nesterov's or the plain one, and sets grad to 0.
func SGDMomentum(s *SGDStep, nesterov bool, grad, m, value []float32) {
	n := len(grad)
	sgdMomentum(s, nesterov, grad, m[:n], value[:n])
}

// RMSPropStep is the constants of one RMSProp update; see AdamStep for Factor and Bound.
type RMSPropStep struct{ Factor, Bound, Alpha, Eps, Rate, Momentum float32 }

// RMSProp does one update of v and value and sets grad to 0.
func RMSProp(s *RMSPropStep, grad, v, value []float32) {
	n := len(grad)
	rmsprop(s, grad, v[:n], value[:n])
}

// RMSPropMomentum does one update of v, m and value and sets grad to 0.
func RMSPropMomentum(s *RMSPropStep, grad, v, m, value []float32) {
	n := len(grad)
	rmspropMomentum(s, grad, v[:n], m[:n], value[:n])
}

func clip(g, factor, bound float32) float32 { return min(max(g*factor, -bound), bound) }

func sgdGo(s *SGDStep, grad, value []float32) {
	value = value[:len(grad)]
	for i, g := range grad {
		value[i] -= s.Rate * clip(g, s.Factor, s.Bound)
		grad[i] = 0
	}
}

func sgdMomentumGo(s *SGDStep, nesterov bool, grad, m, value []float32) {
	m, value = m[:len(grad)], value[:len(grad)]
	for i, g := range grad {
		g = clip(g, s.Factor, s.Bound)
		mi := s.Momentum*m[i] + g
		m[i] = mi
		if nesterov {
			mi = g + s.Momentum*mi
		}
		value[i] -= s.Rate * mi
		grad[i] = 0
	}
}

func rmspropGo(s *RMSPropStep, grad, v, value []float32) {
	v, value = v[:len(grad)], value[:len(grad)]
	for i, g := range grad {
		value[i] -= s.Rate * s.scaled(g, &v[i])
		grad[i] = 0
	}
}

func rmspropMomentumGo(s *RMSPropStep, grad, v, m, value []float32) {
	v, m, value = v[:len(grad)], m[:len(grad)], value[:len(grad)]
	for i, g := range grad {
		u := s.scaled(g, &v[i]) + s.Momentum*m[i]
		m[i] = u
		value[i] -= s.Rate * u
		grad[i] = 0
	}
}

// scaled updates v and returns the clipped gradient over its root.
func (s *RMSPropStep) scaled(g float32, v *float32) float32 {
	g = clip(g, s.Factor, s.Bound)
	*v = s.Alpha**v + (1-s.Alpha)*(g*g)
	return g / (float32(math.Sqrt(float64(*v))) + s.Eps)
}
