//go:build !amd64 || noasm

package rows

func sgd(s *SGDStep, grad, value []float32) { sgdGo(s, grad, value) }

func sgdMomentum(s *SGDStep, nesterov bool, grad, m, value []float32) {
	sgdMomentumGo(s, nesterov, grad, m, value)
}

func rmsprop(s *RMSPropStep, grad, v, value []float32) { rmspropGo(s, grad, v, value) }

func rmspropMomentum(s *RMSPropStep, grad, v, m, value []float32) {
	rmspropMomentumGo(s, grad, v, m, value)
}
