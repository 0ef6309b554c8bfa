// Package metric scores predictions: F1 micro and macro, accuracy, ROC-AUC and a report by
// class, with scikit-learn's definitions and edge cases (0/0 counts as 0; macro averages
// over the classes that occur in truth or prediction).
package metric

import (
	"math"
	"slices"
	"sort"
)

// Confusion counts predictions by class. The zero value of NumClasses classes comes from
// NewConfusion. Counts are integers, so any order of adding gives the same scores.
// Not safe for concurrent use.
type Confusion struct {
	tp, fp, fn  []int64 // by class
	rows, right int64   // nodes; nodes whose whole prediction is right
}

// NewConfusion returns empty counts for that many classes.
func NewConfusion(classes int) *Confusion {
	return &Confusion{tp: make([]int64, classes), fp: make([]int64, classes), fn: make([]int64, classes)}
}

// AddClass counts one single-label prediction.
func (c *Confusion) AddClass(pred, truth int32) {
	c.rows++
	if pred == truth {
		c.right++
		c.tp[truth]++
		return
	}
	c.fp[pred]++
	c.fn[truth]++
}

// AddLogits counts one node: the argmax of its logits (the lowest class wins a tie).
func (c *Confusion) AddLogits(logits []float32, truth int32) { c.AddClass(Argmax(logits), truth) }

// AddMultiLogits counts one multi-label node: class k is predicted where sigmoid(logit) > 0.5.
func (c *Confusion) AddMultiLogits(logits []float32, truth []uint8) {
	truth, tp, fp, fn := truth[:len(logits)], c.tp[:len(logits)], c.fp[:len(logits)], c.fn[:len(logits)]
	wrong := int64(0)
	for k, x := range logits { // without branches, which nobody could foresee
		pred, real := positive(x), nonzero(uint64(truth[k]))
		tp[k] += pred & real
		fp[k] += pred &^ real
		fn[k] += real &^ pred
		wrong |= pred ^ real
	}
	c.rows++
	c.right += 1 - wrong
}

// positive returns 1 if x > 0, else 0; NaN counts as 0.
func positive(x float32) int64 {
	const infinity = 0x7f800000
	bits := uint64(math.Float32bits(x))
	return nonzero(bits) & int64((bits-infinity-1)>>63)
}

// nonzero returns 1 if x, less than 2^63, is not 0.
func nonzero(x uint64) int64 { return int64(-x >> 63) }

// Argmax returns the index of the largest value, the lowest one of equals.
func Argmax(x []float32) int32 {
	best, most := 0, x[0]
	for i, v := range x {
		if v > most {
			best, most = i, v
		}
	}
	return int32(best)
}

// Add adds the counts of other, which has as many classes.
func (c *Confusion) Add(other *Confusion) {
	for k := range c.tp {
		c.tp[k] += other.tp[k]
		c.fp[k] += other.fp[k]
		c.fn[k] += other.fn[k]
	}
	c.rows += other.rows
	c.right += other.right
}

// Reset empties the counts.
func (c *Confusion) Reset() {
	clear(c.tp)
	clear(c.fp)
	clear(c.fn)
	c.rows, c.right = 0, 0
}

// Rows returns the number of nodes counted.
func (c *Confusion) Rows() int64 { return c.rows }

func f1(tp, fp, fn int64) float64 {
	if tp == 0 {
		return 0
	}
	return 2 * float64(tp) / float64(2*tp+fp+fn)
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// F1Micro is F1 over the counts of all classes together.
func (c *Confusion) F1Micro() float64 {
	var tp, fp, fn int64
	for k := range c.tp {
		tp, fp, fn = tp+c.tp[k], fp+c.fp[k], fn+c.fn[k]
	}
	return f1(tp, fp, fn)
}

// F1Macro is the mean F1 of the classes that occur in truth or prediction of single-label
// data and of all classes of multi-label data, as scikit-learn averages.
func (c *Confusion) F1Macro(multi bool) float64 {
	sum, n := 0.0, 0
	for k := range c.tp {
		if !multi && c.tp[k]+c.fp[k]+c.fn[k] == 0 {
			continue
		}
		sum += f1(c.tp[k], c.fp[k], c.fn[k])
		n++
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// Accuracy is the share of nodes whose whole prediction is right.
func (c *Confusion) Accuracy() float64 { return ratio(c.right, c.rows) }

// ClassScore is one line of a report.
type ClassScore struct {
	Class                 int
	Precision, Recall, F1 float64
	Support               int64 // nodes that have the class
}

// Report returns precision, recall, F1 and support of every class.
func (c *Confusion) Report() []ClassScore {
	out := make([]ClassScore, len(c.tp))
	for k := range out {
		tp, fp, fn := c.tp[k], c.fp[k], c.fn[k]
		out[k] = ClassScore{k, ratio(tp, tp+fp), ratio(tp, tp+fn), f1(tp, fp, fn), tp + fn}
	}
	return out
}

// ROCAUC is the area under the receiver operating characteristic of scores for 0/1 truth,
// ties counting half (the Mann-Whitney statistic). It is NaN if truth has only one class.
// Cost O(n log n); neither slice is kept or changed.
func ROCAUC(scores []float32, truth []uint8) float64 {
	order := make([]int32, len(scores))
	for i := range order {
		order[i] = int32(i)
	}
	sort.Slice(order, func(a, b int) bool { return scores[order[a]] < scores[order[b]] })
	var pos, neg int64
	rankSum := 0.0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		j = max(j, i+1) // NaN equals nothing, not even itself
		mean := float64(i+j+1) / 2
		for _, v := range order[i:j] {
			if truth[v] != 0 {
				pos++
				rankSum += mean
			} else {
				neg++
			}
		}
		i = j
	}
	if pos == 0 || neg == 0 {
		return math.NaN()
	}
	return (rankSum - float64(pos)*float64(pos+1)/2) / (float64(pos) * float64(neg))
}

// MeanROCAUC is the mean ROC-AUC of the columns (tasks) of row-major n×k scores for which
// it is defined, as OGB averages; NaN if there is none.
func MeanROCAUC(scores []float32, truth []uint8, k int) float64 {
	n := 0
	if k > 0 {
		n = len(scores) / k
	}
	col, lab := make([]float32, n), make([]uint8, n)
	var defined []float64
	for j := range k {
		for i := range n {
			col[i], lab[i] = scores[i*k+j], truth[i*k+j]
		}
		if a := ROCAUC(col, lab); !math.IsNaN(a) {
			defined = append(defined, a)
		}
	}
	if len(defined) == 0 {
		return math.NaN()
	}
	slices.Sort(defined) // a fixed order of adding, whatever the order of the classes
	sum := 0.0
	for _, a := range defined {
		sum += a
	}
	return sum / float64(len(defined))
}
