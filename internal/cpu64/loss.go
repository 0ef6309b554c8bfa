package cpu64

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// lossJob is a loss, softmax or sigmoid, with class weights and smoothed labels; the plain
// losses are the case of weights 1 and no smoothing.
type lossJob struct {
	sigmoid         bool
	eps             float64 // of the logarithm of each row's loss; 0: the loss itself
	smooth          float64
	share           []float64
	shares          float64 // their sum
	logits, dlogits matrix[float64]
	classes         bool // targets are classes
	class           matrix[int32]
	target          matrix[uint8]
	weight          matrix[float64]
	bad             firstBad
}

func (j *lossJob) do(lo, hi int, part []float64) {
	for i := lo; i < hi; i++ {
		x, d, w := j.logits.row(i), j.dlogits.row(i), *j.weight.at(i)
		if w == 0 {
			clear(d)
			continue
		}
		class := -1
		if j.classes {
			class = int(*j.class.at(i))
			if uint(class) >= uint(j.logits.cols) {
				j.bad.note(i)
				return
			}
		}
		if j.sigmoid {
			part[0] += w * j.sigmoidRow(x, j.target.row(i), class, d)
		} else {
			part[0] += w * j.damped(j.softmaxRow(x, class, d), d)
		}
		scale(w, d)
	}
}

// damped returns ln(eps + loss) - ln eps of a row's loss and divides d, its gradient, by eps + loss.
func (j *lossJob) damped(loss float64, d []float64) float64 {
	if j.eps == 0 {
		return loss
	}
	scale(1/(j.eps+loss), d)
	return math.Log1p(loss / j.eps)
}

// softmaxRow returns the loss of the row and sets d, unless empty, to its gradient: with q_c =
// smooth/C share[c], plus (1-smooth) share[y] for class y, the loss is Q logsumexp(x) - sum_c
// q_c x_c and its gradient Q softmax(x) - q, where Q is the sum of q.
func (j *lossJob) softmaxRow(x []float64, class int, d []float64) float64 {
	top := x[0]
	for _, v := range x {
		if v > top { // a NaN is found by the exponentials
			top = v
		}
	}
	even, hard := j.smooth/float64(len(x)), (1-j.smooth)*j.share[class]
	mass := hard + even*j.shares
	sum, dot := 0.0, hard*(x[class]-top)
	for c, v := range x {
		sum += math.Exp(v - top)
		if even > 0 {
			dot += even * j.share[c] * (v - top)
		}
	}
	for c := range d {
		d[c] = mass*math.Exp(x[c]-top)/sum - even*j.share[c]
		if c == class {
			d[c] -= hard
		}
	}
	return mass*math.Log(sum) - dot
}

// sigmoidRow returns sum_c share[c] (max(x,0) - x t + log(1+exp(-|x|))) and sets d, unless
// empty, to (sigmoid(x)-t) share. Without target t is the one-hot row of class.
func (j *lossJob) sigmoidRow(x []float64, target []uint8, class int, d []float64) float64 {
	total := 0.0
	for c, v := range x {
		t := 0.0
		if len(target) > 0 && target[c] != 0 || c == class {
			t = 1
		}
		t = (1-j.smooth)*t + j.smooth/2
		e := math.Exp(-math.Abs(v))
		total += j.share[c] * (max(v, 0) - v*t + math.Log1p(e))
		if len(d) > 0 {
			p := 1 / (1 + e)
			if v < 0 {
				p = e / (1 + e)
			}
			d[c] = (p - t) * j.share[c]
		}
	}
	return total
}

// oneRow returns n ones.
func (q *Queue) oneRow(n int) []float64 {
	for len(q.ones) < n {
		q.ones = append(q.ones, 1)
	}
	return q.ones[:n]
}

// SoftmaxXent computes loss = sum_v weight[v] CE(logits[v], class[v]); dlogits = its gradient. A
// class outside the columns fails the queue if its weight is not 0.
func (q *Queue) SoftmaxXent(logits, class, weight, loss, dlogits tensor.Tensor) {
	q.xent("SoftmaxXent", false, 0, 0, tensor.Tensor{}, logits, class, weight, loss, dlogits)
}

// SigmoidXent computes loss = sum_v weight[v] sum_c BCE(logits[v,c], target[v,c]); dlogits = its
// gradient. Integer targets are classes; one outside the columns fails the queue if its
// weight is not 0.
func (q *Queue) SigmoidXent(logits, target, weight, loss, dlogits tensor.Tensor) {
	q.xent("SigmoidXent", true, 0, 0, tensor.Tensor{}, logits, target, weight, loss, dlogits)
}

// LogSoftmaxXent computes loss = sum_v weight[v] (ln(eps + CE(logits[v], class[v])) - ln eps);
// else as SoftmaxXent.
func (q *Queue) LogSoftmaxXent(eps float64, logits, class, weight, loss, dlogits tensor.Tensor) {
	q.xent("LogSoftmaxXent", false, eps, 0, tensor.Tensor{}, logits, class, weight, loss, dlogits)
}

// SmoothSoftmaxXent computes the loss of softmax with class weights and smoothed labels.
func (q *Queue) SmoothSoftmaxXent(smooth float32, share, logits, class, weight, loss, dlogits tensor.Tensor) {
	wantNumbers("SmoothSoftmaxXent", "share", share, 1, logits.Cols)
	q.xent("SmoothSoftmaxXent", false, 0, smooth, share, logits, class, weight, loss, dlogits)
}

// SmoothSigmoidXent computes the loss of sigmoid with class weights and smoothed labels.
func (q *Queue) SmoothSigmoidXent(smooth float32, share, logits, target, weight, loss, dlogits tensor.Tensor) {
	wantNumbers("SmoothSigmoidXent", "share", share, 1, logits.Cols)
	q.xent("SmoothSigmoidXent", true, 0, smooth, share, logits, target, weight, loss, dlogits)
}

// xent computes a loss; without share the classes weigh the same.
func (q *Queue) xent(op string, sigmoid bool, eps float64, smooth float32, share, logits, target, weight, loss, dlogits tensor.Tensor) {
	matrixOf(op, "logits", logits)
	classes := !sigmoid || target.Type == tensor.I32
	if classes {
		want(op, "target", target, tensor.I32, logits.Rows, 1)
	} else {
		want(op, "target", target, tensor.U8, logits.Rows, logits.Cols)
	}
	wantNumbers(op, "weight", weight, logits.Rows, 1)
	wantNumbers(op, "loss", loss, 1, 1)
	option(op, "dlogits", dlogits, logits.Rows, logits.Cols)
	if !q.ready(share, logits, target, weight, loss, dlogits) {
		return
	}
	j := &q.loss
	j.sigmoid, j.eps, j.smooth, j.classes = sigmoid, eps, float64(smooth), classes
	j.share, j.shares = numbers(share).s, 0
	if !share.Present() {
		j.share = q.oneRow(logits.Cols)
	}
	for _, s := range j.share {
		j.shares += s
	}
	j.logits, j.dlogits, j.weight = numbers(logits), numbers(dlogits), numbers(weight)
	j.class, j.target = matrix[int32]{}, matrix[uint8]{}
	if classes {
		j.class = view[int32](target)
	} else {
		j.target = view[uint8](target)
	}
	j.bad.reset()
	total := q.sumRows(logits.Rows, 1, j)
	if i, bad := j.bad.row(); bad {
		q.err = fmt.Errorf("cpu64: %s: class %d of row %d is outside %d columns", op, *j.class.at(i), i, logits.Cols)
		return
	}
	*at(loss) = total[0]
}

// at returns the element of a 1×1 tensor.
func at(t tensor.Tensor) *float64 {
	m := numbers(t)
	return m.at(0)
}
