package loss

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// SoftmaxLog is a logarithm of each node's cross entropy: sum_v w_v (ln(eps + CE_v) - ln eps)
// with eps = 1 - ln 2. It grows more slowly than the cross entropy, so that nodes that are far off,
// as mislabelled ones are, pull less (Wang et al., "Bag of Tricks of Node Classification",
// arXiv:2103.13355, section 3.2). With two equally likely classes ln(eps + CE) is 0.
type SoftmaxLog struct{ Softmax }

// epsLog is eps of SoftmaxLog.
const epsLog = 1 - math.Ln2

// Name returns "softmax_log".
func (SoftmaxLog) Name() string { return "softmax_log" }

// Eval implements Loss. The device must pass Check.
func (SoftmaxLog) Eval(q tensor.Queue, logits, target, weight, out, dlogits tensor.Tensor) {
	q.(tensor.LogLossOps).LogSoftmaxXent(epsLog, logits, target, weight, out, dlogits)
}

// Uninformed returns weightSum (ln(eps + ln C) - ln eps).
func (SoftmaxLog) Uninformed(classes int, weightSum float64) float64 {
	return weightSum * math.Log1p(math.Log(float64(classes))/epsLog)
}

// Check says if l needs what the device of q cannot do.
func Check(l Loss, q tensor.Queue) error {
	if _, ok := l.(SoftmaxLog); ok {
		if _, ok := q.(tensor.LogLossOps); !ok {
			return fmt.Errorf("this device has no loss %s; use the CPU, or loss: softmax", l.Name())
		}
	}
	return nil
}

// Reported returns the loss that validations report of models trained with l, so that they can be
// compared: that of softmax for its logarithm, else l.
func Reported(l Loss) Loss {
	if _, ok := l.(SoftmaxLog); ok {
		return Softmax{}
	}
	return l
}
