package tensor

// SGDStep is one update's constants. With g clipped as AdamStep says:
//
//	m     = Momentum m + g                          if Momentum > 0, else m stays out of it
//	value = value - LR m, or with Nesterov value - LR (g + Momentum m)
type SGDStep struct {
	LR, Momentum        float32
	Nesterov            bool
	ClipNorm, ClipValue float32
}

// RMSPropStep is one update's constants. With g clipped as AdamStep says:
//
//	v     = Alpha v + (1-Alpha) g²;  u = g / (sqrt(v) + Eps)
//	m     = Momentum m + u                          if Momentum > 0
//	value = value - LR m, or without momentum value - LR u
type RMSPropStep struct {
	LR, Alpha, Eps, Momentum float32
	ClipNorm, ClipValue      float32
}

// UpdateOps are the operations of the optimizers besides Adam; they are part of Queue.
type UpdateOps interface {
	// Scale: t = f t.
	Scale(f float32, t Tensor)
	// SGD: one update of value and m; see SGDStep. m is absent without momentum. sumsq is
	// Adam's. grad becomes 0.
	SGD(h SGDStep, sumsq, grad, m, value Tensor)
	// RMSProp: one update of value, v and m; see RMSPropStep. m is absent without momentum.
	// sumsq is Adam's. grad becomes 0.
	RMSProp(h RMSPropStep, sumsq, grad, v, m, value Tensor)
}

// LossOps are the operations of losses with class weights or smoothed labels; they are part
// of Queue. share (1×C) weighs the classes. A target t counts as (1-smooth) t + smooth u,
// where u gives every class the same: 1/C under softmax, 1/2 under sigmoid.
type LossOps interface {
	// SmoothSoftmaxXent: loss (1×1) = sum_v weight[v] ((1-smooth) share[y_v] CE(logits[v], y_v) +
	// smooth/C sum_c share[c] CE(logits[v], c)); else as SoftmaxXent.
	SmoothSoftmaxXent(smooth float32, share, logits, class, weight, loss, dlogits Tensor)
	// SmoothSigmoidXent: loss (1×1) = sum_v weight[v] sum_c share[c] BCE(logits[v,c],
	// (1-smooth) target[v,c] + smooth/2); else as SigmoidXent.
	SmoothSigmoidXent(smooth float32, share, logits, target, weight, loss, dlogits Tensor)
}

// LogLossOps is the logarithm of a loss, which a device may do without.
type LogLossOps interface {
	// LogSoftmaxXent: loss (1×1) = sum_v weight[v] (ln(eps + CE(logits[v], class[v])) - ln eps),
	// eps more than 0; else as SoftmaxXent.
	LogSoftmaxXent(eps float64, logits, class, weight, loss, dlogits Tensor)
}
