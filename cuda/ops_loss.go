package cuda

import (
	"github.com/saint-gnn/saint/trainer/tensor"
)

// lossOp is a loss whose kernel leaves each row's loss in scratch memory, and adds those.
type lossOp struct {
	name   string
	kernel string
	report int
	smooth float32
	share  tensor.Tensor
	eps    float64 // of its logarithm; 0: the loss itself
}

func (q *Queue) xent(o lossOp, logits, target, weight, loss, dlogits tensor.Tensor) {
	matrixOf(o.name, "logits", logits)
	classes := o.kernel == "softmax_xent" || target.Type == tensor.I32
	if classes {
		want(o.name, "target", target, tensor.I32, logits.Rows, 1)
	} else {
		want(o.name, "target", target, tensor.U8, logits.Rows, logits.Cols)
	}
	want(o.name, "weight", weight, tensor.F32, logits.Rows, 1)
	want(o.name, "loss", loss, tensor.F32, 1, 1)
	option(o.name, "dlogits", dlogits, logits.Rows, logits.Cols)
	if !q.ready(o.share, logits, target, weight, loss, dlogits) {
		return
	}
	rows := q.temporary(8 * max(1, logits.Rows))
	l := q.with().int(logits.Rows, logits.Cols).f32(o.smooth)
	if o.kernel == "softmax_xent" {
		l.f32(float32(o.eps))
	}
	l.row(o.share).mat(logits)
	switch {
	case o.kernel == "softmax_xent":
		l.mat(target)
	case classes:
		l.mat(tensor.Tensor{}, target)
	default:
		l.mat(target, tensor.Tensor{})
	}
	q.checked = q.checked || classes
	q.rows(kernel{"loss", o.kernel}, logits.Rows, l.mat(weight).ptr(rows).mat(dlogits).ptr(q.fault).int(o.report))
	q.launch(kernel{"reduce", "sum_rows"}, dim(1, 1), blockThreads, q.with().int(logits.Rows).ptr(rows).flag(false).row(loss))
}

// SoftmaxXent computes loss = sum_v weight[v] CE(logits[v], class[v]); dlogits = its gradient. A
// class outside the columns is reported by Sync if its weight is not 0.
func (q *Queue) SoftmaxXent(logits, class, weight, loss, dlogits tensor.Tensor) {
	q.xent(lossOp{name: "SoftmaxXent", kernel: "softmax_xent", report: reportSoftmax}, logits, class, weight, loss, dlogits)
}

// LogSoftmaxXent computes loss = sum_v weight[v] (ln(eps + CE(logits[v], class[v])) - ln eps); else as
// SoftmaxXent.
func (q *Queue) LogSoftmaxXent(eps float64, logits, class, weight, loss, dlogits tensor.Tensor) {
	q.xent(lossOp{name: "LogSoftmaxXent", kernel: "softmax_xent", report: reportLogSoftmax, eps: eps}, logits, class, weight, loss, dlogits)
}

// SigmoidXent computes loss = sum_v weight[v] sum_c BCE(logits[v,c], target[v,c]); dlogits = its
// gradient. Integer targets are classes, as in SoftmaxXent.
func (q *Queue) SigmoidXent(logits, target, weight, loss, dlogits tensor.Tensor) {
	q.xent(lossOp{name: "SigmoidXent", kernel: "sigmoid_xent", report: reportSigmoid}, logits, target, weight, loss, dlogits)
}

// SmoothSoftmaxXent computes the loss of softmax with class weights and smoothed labels.
func (q *Queue) SmoothSoftmaxXent(smooth float32, share, logits, class, weight, loss, dlogits tensor.Tensor) {
	const op = "SmoothSoftmaxXent"
	want(op, "share", share, tensor.F32, 1, logits.Cols)
	q.xent(lossOp{op, "softmax_xent", reportSmoothSoftmax, smooth, share, 0}, logits, class, weight, loss, dlogits)
}

// SmoothSigmoidXent computes the loss of sigmoid with class weights and smoothed labels.
func (q *Queue) SmoothSigmoidXent(smooth float32, share, logits, target, weight, loss, dlogits tensor.Tensor) {
	const op = "SmoothSigmoidXent"
	want(op, "share", share, tensor.F32, 1, logits.Cols)
	q.xent(lossOp{op, "sigmoid_xent", reportSmoothSigmoid, smooth, share, 0}, logits, target, weight, loss, dlogits)
}
