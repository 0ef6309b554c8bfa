package cpu

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// lossRows is the number of rows of a task: exponentials make rows expensive.
const lossRows = 64

// lossBuffer is room for the exponentials and targets of some columns.
type lossBuffer struct{ e, t [chunk]float64 }

type softmaxJob struct {
	logits, dlogits matrix[float32]
	class           matrix[int32]
	weight          matrix[float32]
	eps             float64   // of the logarithm of each row's loss; 0: the loss itself
	sums            []float64 // of each task
	bad             firstBad
}

// RunTask computes a block of rows.
func (j *softmaxJob) RunTask(_, task int) {
	var b lossBuffer
	total := 0.0
	for i := task * lossRows; i < min((task+1)*lossRows, j.logits.rows); i++ {
		d := j.dlogits.row(i)
		w := j.weight.s[i*j.weight.stride]
		if w == 0 {
			clear(d)
			continue
		}
		x := j.logits.row(i)
		c := int(j.class.s[i*j.class.stride])
		if uint(c) >= uint(len(x)) {
			j.bad.note(i)
			return
		}
		ce := softmaxRow(x, c, w, d, &b)
		if j.eps > 0 {
			scaleRow(1/(j.eps+ce), d)
			ce = math.Log1p(ce / j.eps)
		}
		total += float64(w) * ce
	}
	j.sums[task] = total
}

func scaleRow(f float64, d []float32) {
	for i, v := range d {
		d[i] = float32(f * float64(v))
	}
}

// softmaxRow returns the cross entropy of the row and sets d, unless empty, to its gradient
// times w. Exponentials are of differences to the maximum and cannot overflow.
func softmaxRow(x []float32, class int, w float32, d []float32, b *lossBuffer) float64 {
	top := x[0]
	for _, v := range x {
		if v > top { // a NaN is found by the exponentials
			top = v
		}
	}
	sum := 0.0
	for lo := 0; lo < len(x); lo += chunk {
		part := x[lo:min(lo+chunk, len(x))]
		e := b.e[:len(part)]
		rows.ExpDiff(part, top, e)
		for _, v := range e {
			sum += v
		}
		if len(d) > 0 {
			narrow(e, d[lo:])
		}
	}
	if len(d) > 0 {
		f := float32(float64(w) / sum)
		for i := range d {
			d[i] *= f
		}
		// In double precision: near certainty the difference is far below a float32 of 1.
		d[class] = float32(float64(w) * (math.Exp(float64(x[class])-float64(top))/sum - 1))
	}
	return math.Log(sum) + float64(top) - float64(x[class])
}

// narrow: d = e.
func narrow(e []float64, d []float32) {
	d = d[:len(e)]
	for i, v := range e {
		d[i] = float32(v)
	}
}

// SoftmaxXent computes loss = sum_v weight[v] CE(logits[v], class[v]); dlogits = its gradient. A
// class outside the columns fails the queue if its weight is not 0.
func (q *Queue) SoftmaxXent(logits, class, weight, loss, dlogits tensor.Tensor) {
	q.softmaxXent("SoftmaxXent", 0, logits, class, weight, loss, dlogits)
}

// LogSoftmaxXent computes loss = sum_v weight[v] (ln(eps + CE(logits[v], class[v])) - ln eps);
// else as SoftmaxXent.
func (q *Queue) LogSoftmaxXent(eps float64, logits, class, weight, loss, dlogits tensor.Tensor) {
	q.softmaxXent("LogSoftmaxXent", eps, logits, class, weight, loss, dlogits)
}

func (q *Queue) softmaxXent(op string, eps float64, logits, class, weight, loss, dlogits tensor.Tensor) {
	matrixOf(op, "logits", logits)
	want(op, "class", class, tensor.I32, logits.Rows, 1)
	want(op, "weight", weight, tensor.F32, logits.Rows, 1)
	want(op, "loss", loss, tensor.F32, 1, 1)
	option(op, "dlogits", dlogits, logits.Rows, logits.Cols)
	if !q.ready(logits, class, weight, loss, dlogits) {
		return
	}
	j := &q.softmax
	j.logits, j.dlogits = view[float32](logits), view[float32](dlogits)
	j.class, j.weight, j.eps = view[int32](class), view[float32](weight), eps
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

func badClass(op string, class matrix[int32], i, cols int) error {
	return fmt.Errorf("cpu: %s: class %d of row %d is outside %d columns", op, class.s[i*class.stride], i, cols)
}

// inOrder adds sums in task order.
func inOrder(sums []float64) float64 {
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}

type sigmoidJob struct {
	logits, dlogits matrix[float32]
	class           matrix[int32]
	target          matrix[uint8]
	classes         bool
	weight          matrix[float32]
	sums            []float64
	bad             firstBad
}

// RunTask computes a block of rows.
func (j *sigmoidJob) RunTask(_, task int) {
	var b lossBuffer
	total := 0.0
	for i := task * lossRows; i < min((task+1)*lossRows, j.logits.rows); i++ {
		d := j.dlogits.row(i)
		w := j.weight.s[i*j.weight.stride]
		if w == 0 {
			clear(d)
			continue
		}
		x := j.logits.row(i)
		if !j.classes {
			total += float64(w) * sigmoidRow(x, j.target.row(i), -1, w, d, &b)
			continue
		}
		c := int(j.class.s[i*j.class.stride])
		if uint(c) >= uint(len(x)) {
			j.bad.note(i)
			return
		}
		total += float64(w) * sigmoidRow(x, nil, c, w, d, &b)
	}
	j.sums[task] = total
}

// sigmoidRow returns sum_c max(x,0) - x*t + log(1+exp(-|x|)) and sets d, unless empty, to
// (sigmoid(x)-t)*w. Without target, t is the one-hot row of class.
func sigmoidRow(x []float32, target []uint8, class int, w float32, d []float32, b *lossBuffer) float64 {
	total := 0.0
	for lo := 0; lo < len(x); lo += chunk {
		hi := min(lo+chunk, len(x))
		e, t := b.e[:hi-lo], b.t[:hi-lo]
		if target != nil {
			for i, v := range target[lo:hi] {
				t[i] = float64(v)
			}
		} else {
			clear(t)
			if class >= lo && class < hi {
				t[class-lo] = 1
			}
		}
		rows.ExpNegAbs(x[lo:hi], e)
		total += sigmoidLoss(x[lo:hi], e, t)
		if len(d) > 0 {
			sigmoidGrad(x[lo:hi], e, t, float64(w), d[lo:hi])
		}
	}
	return total
}

// sigmoidLoss returns the sum of the losses of up to chunk columns, e = exp(-|x|). Their
// logarithms are one logarithm of a product, which is at most 2^chunk.
func sigmoidLoss(x []float32, e, t []float64) float64 {
	e, t = e[:len(x)], t[:len(x)]
	total, product := 0.0, 1.0
	for i, v := range x {
		positive := math.Float32bits(v)
		if v < 0 {
			positive = 0
		}
		total += float64(math.Float32frombits(positive)) - float64(v)*t[i]
		product *= 1 + e[i]
	}
	return total + math.Log(product)
}

func sigmoidGrad(x []float32, e, t []float64, w float64, d []float32) {
	e, t, d = e[:len(x)], t[:len(x)], d[:len(x)]
	for i, v := range x {
		s, u := math.Float64bits(1), math.Float64bits(e[i])
		if v < 0 {
			s = u
		}
		d[i] = float32((math.Float64frombits(s)/(1+e[i]) - t[i]) * w)
	}
}

// SigmoidXent computes loss = sum_v weight[v] sum_c BCE(logits[v,c], target[v,c]); dlogits = its
// gradient. Integer targets are classes; one outside the columns fails the queue if its
// weight is not 0.
func (q *Queue) SigmoidXent(logits, target, weight, loss, dlogits tensor.Tensor) {
	const op = "SigmoidXent"
	matrixOf(op, "logits", logits)
	if target.Type == tensor.I32 {
		want(op, "target", target, tensor.I32, logits.Rows, 1)
	} else {
		want(op, "target", target, tensor.U8, logits.Rows, logits.Cols)
	}
	want(op, "weight", weight, tensor.F32, logits.Rows, 1)
	want(op, "loss", loss, tensor.F32, 1, 1)
	option(op, "dlogits", dlogits, logits.Rows, logits.Cols)
	if !q.ready(logits, target, weight, loss, dlogits) {
		return
	}
	j := &q.sigmoid
	j.logits, j.dlogits, j.weight = view[float32](logits), view[float32](dlogits), view[float32](weight)
	if j.classes = target.Type == tensor.I32; j.classes {
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
