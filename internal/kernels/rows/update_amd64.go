//go:build !noasm

package rows

func sgd(s *SGDStep, grad, value []float32) {
	c := [5]float32{s.Factor, -s.Bound, s.Bound, s.Rate}
	n, k := wholes(len(grad))
	if n > 0 {
		sgdAVX512(n, &grad[0], &value[0], &c)
	}
	if k > 0 {
		sgdAVX2(k, &grad[n], &value[n], &c)
	}
	n += k
	sgdGo(s, grad[n:], value[n:])
}

func sgdMomentum(s *SGDStep, nesterov bool, grad, m, value []float32) {
	c := [5]float32{s.Factor, -s.Bound, s.Bound, s.Rate, s.Momentum}
	n, k := wholes(len(grad))
	switch {
	case n > 0 && nesterov:
		sgdNesterovAVX512(n, &grad[0], &m[0], &value[0], &c)
	case n > 0:
		sgdMomentumAVX512(n, &grad[0], &m[0], &value[0], &c)
	}
	switch {
	case k > 0 && nesterov:
		sgdNesterovAVX2(k, &grad[n], &m[n], &value[n], &c)
	case k > 0:
		sgdMomentumAVX2(k, &grad[n], &m[n], &value[n], &c)
	}
	n += k
	sgdMomentumGo(s, nesterov, grad[n:], m[n:], value[n:])
}

func (s *RMSPropStep) constants() [8]float32 {
	return [8]float32{s.Factor, -s.Bound, s.Bound, s.Rate, s.Alpha, 1 - s.Alpha, s.Eps, s.Momentum}
}

func rmsprop(s *RMSPropStep, grad, v, value []float32) {
	c := s.constants()
	n, k := wholes(len(grad))
	if n > 0 {
		rmspropAVX512(n, &grad[0], &v[0], &value[0], &c)
	}
	if k > 0 {
		rmspropAVX2(k, &grad[n], &v[n], &value[n], &c)
	}
	n += k
	rmspropGo(s, grad[n:], v[n:], value[n:])
}

func rmspropMomentum(s *RMSPropStep, grad, v, m, value []float32) {
	c := s.constants()
	n, k := wholes(len(grad))
	if n > 0 {
		rmspropMomentumAVX512(n, &grad[0], &v[0], &m[0], &value[0], &c)
	}
	if k > 0 {
		rmspropMomentumAVX2(k, &grad[n], &v[n], &m[n], &value[n], &c)
	}
	n += k
	rmspropMomentumGo(s, grad[n:], v[n:], m[n:], value[n:])
}
