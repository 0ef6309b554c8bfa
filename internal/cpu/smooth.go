package cpu

import (
	"math"

	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// smoothJob is a loss with class weights and smoothed labels, softmax or sigmoid.
type smoothJob struct {
	sigmoid         bool
	smooth          float64
	share           []float32
	shares          float64 // their sum
	logits, dlogits matrix[float32]
	class           matrix[int32] // or target, for sigmoid of label lists
	target          matrix[uint8]
	classes         bool
	weight          matrix[float32]
	sums            []float64 // of each task
	bad             firstBad
}

// RunTask computes a block of rows.
func (j *smoothJob) RunTask(_, task int) {
	var e [chunk]float64
	total := 0.0
	for i := task * lossRows; i < min((task+1)*lossRows, j.logits.rows); i++ {
		d := j.dlogits.row(i)
		w := float64(j.weight.s[i*j.weight.stride])
		if w == 0 {
			clear(d)
			continue
		}
		x, c := j.logits.row(i), -1
		if j.classes {
			c = int(j.class.s[i*j.class.stride])
			if uint(c) >= uint(len(x)) {
				j.bad.note(i)
				return
			}
		}
		switch {
		case !j.sigmoid:
			total += w * j.softmaxRow(x, c, w, d, &e)
		case j.classes:
			total += w * j.sigmoidRow(x, nil, c, w, d, &e)
		default:
			total += w * j.sigmoidRow(x, j.target.row(i), c, w, d, &e)
		}
	}
	j.sums[task] = total
}

// softmaxRow returns the loss of the row and sets d, unless empty, to its gradient times w:
// with target weights q_c = smooth/C share[c], plus (1-smooth) share[y] for class y, the loss
// is Q logsumexp(x) - sum_c q_c x_c and its gradient Q softmax(x) - q, where Q is their sum.
func (j *smoothJob) softmaxRow(x []float32, class int, w float64, d []float32, e *[chunk]float64) float64 {
	top := x[0]
	for _, v := range x {
		if v > top { // a NaN is found by the exponentials
			top = v
		}
	}
	even := j.smooth / float64(len(x))
	hard := (1 - j.smooth) * float64(j.share[class])
	mass := hard + even*j.shares
	sum, dot := 0.0, hard*(float64(x[class])-float64(top))
	for lo := 0; lo < len(x); lo += chunk {
		part := x[lo:min(lo+chunk, len(x))]
		exps := e[:len(part)]
		rows.ExpDiff(part, top, exps)
		for i, v := range exps {
			sum += v
			dot += even * float64(j.share[lo+i]) * (float64(part[i]) - float64(top))
		}
	}
	for lo := 0; lo < len(d); lo += chunk {
		part := x[lo:min(lo+chunk, len(x))]
		exps := e[:len(part)]
		rows.ExpDiff(part, top, exps)
		for i, v := range exps {
			g := mass*v/sum - even*float64(j.share[lo+i])
			if lo+i == class {
				g -= hard
			}
			d[lo+i] = float32(w * g)
		}
	}
	return mass*math.Log(sum) - dot
}

// sigmoidRow returns sum_c share[c] (max(x,0) - x t + log(1+exp(-|x|))) and sets d, unless
// empty, to (sigmoid(x)-t) share w. Without target, t is the one-hot row of class.
func (j *smoothJob) sigmoidRow(x []float32, target []uint8, class int, w float64, d []float32, e *[chunk]float64) float64 {
	total := 0.0
	for lo := 0; lo < len(x); lo += chunk {
		part := x[lo:min(lo+chunk, len(x))]
		exps := e[:len(part)]
		rows.ExpNegAbs(part, exps)
		for i, v := range part {
			t := 0.0
			if target != nil && target[lo+i] != 0 || lo+i == class {
				t = 1
			}
			t = (1-j.smooth)*t + j.smooth/2
			share, xi := float64(j.share[lo+i]), float64(v)
			total += share * (max(xi, 0) - xi*t + math.Log1p(exps[i]))
			if len(d) == 0 {
				continue
			}
			p := 1 / (1 + exps[i])
			if xi < 0 {
				p = exps[i] / (1 + exps[i])
			}
			d[lo+i] = float32((p - t) * share * w)
		}
	}
	return total
}

// SmoothSoftmaxXent computes the loss of softmax with class weights and smoothed labels. A
// class outside the columns fails the queue if its weight is not 0.
func (q *Queue) SmoothSoftmaxXent(smooth float32, share, logits, class, weight, loss, dlogits tensor.Tensor) {
	q.smoothXent("SmoothSoftmaxXent", false, smooth, share, logits, class, weight, loss, dlogits)
}

// SmoothSigmoidXent computes the loss of sigmoid with class weights and smoothed labels.
// Integer targets are classes, as in SigmoidXent.
func (q *Queue) SmoothSigmoidXent(smooth float32, share, logits, target, weight, loss, dlogits tensor.Tensor) {
	q.smoothXent("SmoothSigmoidXent", true, smooth, share, logits, target, weight, loss, dlogits)
}

func (q *Queue) smoothXent(op string, sigmoid bool, smooth float32, share, logits, target, weight, loss, dlogits tensor.Tensor) {
	matrixOf(op, "logits", logits)
	classes := !sigmoid || target.Type == tensor.I32
	if classes {
		want(op, "target", target, tensor.I32, logits.Rows, 1)
	} else {
		want(op, "target", target, tensor.U8, logits.Rows, logits.Cols)
	}
	want(op, "share", share, tensor.F32, 1, logits.Cols)
	want(op, "weight", weight, tensor.F32, logits.Rows, 1)
	want(op, "loss", loss, tensor.F32, 1, 1)
	option(op, "dlogits", dlogits, logits.Rows, logits.Cols)
	if !q.ready(share, logits, target, weight, loss, dlogits) {
		return
	}
	j := &q.smooth
	j.sigmoid, j.smooth, j.classes = sigmoid, float64(smooth), classes
	j.share, j.shares = view[float32](share).s, 0
	for _, s := range j.share {
		j.shares += float64(s)
	}
	j.logits, j.dlogits, j.weight = view[float32](logits), view[float32](dlogits), view[float32](weight)
	if classes {
		j.class = view[int32](target)
	} else {
		j.target = view[uint8](target)
	}
	n := tasks(logits.Rows, lossRows)
	j.sums = q.lossScratch(n)
	j.bad.reset()
	q.group.Do(n, j)
	if i := j.bad.index(); i >= 0 {
		q.err = badClass(op, j.class, i, logits.Cols)
		return
	}
	view[float32](loss).s[0] = float32(inOrder(j.sums))
}
