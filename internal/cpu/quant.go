package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/quant"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

var (
	_ tensor.QuantOps = (*Queue)(nil)
	_ tensor.BF16Ops  = (*Queue)(nil)
)

// KeepsBF16 says that codes may be values in 16 bits.
func (*Queue) KeepsBF16() {}

// quantJob is one pass of Quantize or Dequantize.
type quantJob struct {
	groups
	scratch  [][]float32 // one a thread
	bias     []float32
	above    []float32 // values a little above -bias, for going back
	signs    matrix[uint8]
	act      tensor.Act
	back     bool
	signed   bool // the pass does signs
	byRow    bool // it goes over rows, else over groups
	restored bool // of going back: codes gave x its values
	several  int  // rows that are encoded together; 0: none are
}

// RunTask does a few groups, or rows.
func (j *quantJob) RunTask(worker, task int) {
	lo := task * j.groupsOfTask
	j.block(worker, lo, min(lo+j.groupsOfTask, j.count()))
}

// block does groups or rows [lo,hi).
func (j *quantJob) block(worker, lo, hi int) { j.some(worker, lo, hi, hi) }

// some is block where the worker will go on up to end: no other worker is there.
func (j *quantJob) some(worker, lo, hi, end int) {
	if j.several > 0 {
		for ; lo < hi; lo += j.several {
			j.encodeRows(lo, min(lo+j.several, hi), end, j.scratch[worker])
		}
		return
	}
	for i := lo; i < hi; i++ {
		switch {
		case j.back && j.byRow:
			j.restore(i)
		case j.back:
			j.decode(i, j.scratch[worker])
		case j.signed:
			j.stage(i, j.scratch[worker])
		case j.byRow:
			for k := range j.inRow {
				j.encode(i*j.inRow+k, j.scratch[worker])
			}
		default:
			j.encode(i, j.scratch[worker])
		}
	}
}

// valuesTogether is how many values are encoded together at most: they stay in the first cache.
const valuesTogether = 4096

// together returns how many rows can be encoded by one call of the kernel.
func (j *quantJob) together() int {
	if j.back || !j.byRow || j.codes == nil || j.bits == tensor.BF16Bits || j.inRow == 0 || j.width%quant.Unit != 0 && !j.few() {
		return 0
	}
	return max(1, valuesTogether/j.x.cols)
}

// encodeRows does rows [lo,hi), whose groups do not cross rows. Meanwhile it asks for those up to end.
func (j *quantJob) encodeRows(lo, hi, end int, buf []float32) {
	cols, few := j.x.cols, j.few()
	y, scratch := buf[:(hi-lo)*cols], buf[j.several*cols:]
	inPlace := !j.signed && j.x.stride == cols
	if inPlace {
		y = j.x.s[lo*cols : hi*cols]
	}
	units := len(y) / quant.Unit
	zeros, invs := scratch[:units], scratch[units:2*units]
	for i := lo; i < hi; i++ {
		x, to := j.x.row(i), y[(i-lo)*cols:][:cols]
		var least, most float32
		switch {
		case j.signed:
			least, most = quant.Stage(x, j.bias, j.act == tensor.ReLU, to, j.signs.row(i))
		case !inPlace:
			copy(to, x)
		}
		if few {
			continue
		}
		for k := range j.inRow {
			if j.inRow > 1 || !j.signed {
				least, most = quant.Range(to[k*j.width:][:j.width])
			}
			zero, inv := j.describe(i*j.inRow+k, least, most)
			for u := range j.width / quant.Unit {
				at := ((i-lo)*cols+k*j.width)/quant.Unit + u
				zeros[at], invs[at] = zero, inv
			}
		}
	}
	var soon quant.Soon
	if hi < end {
		soon = quant.Soon{X: j.x.s[hi*j.x.stride:], Cols: cols, Stride: j.x.stride}
	}
	first, last := lo*j.inRow, hi*j.inRow
	codes, word := j.codes[first*j.bytes:last*j.bytes], uint64(first)*j.words
	if few {
		quant.PackGroups(j.bits, j.key, word, y, j.packed[first:last], scratch, soon, codes)
	} else {
		quant.PackAll(j.bits, zeros, invs, j.key, word, y, soon, codes)
	}
}

// stage writes the signs of row i and, where rows are the groups, its codes.
func (j *quantJob) stage(i int, buf []float32) {
	x := j.x.row(i)
	buf = buf[:len(x)]
	lo, hi := quant.Stage(x, j.bias, j.act == tensor.ReLU, buf, j.signs.row(i))
	switch {
	case j.codes == nil:
	case j.inRow == 1:
		j.pack(i, buf, lo, hi)
	default:
		for k := range j.inRow {
			y := buf[k*j.width:][:j.width]
			lo, hi = quant.Range(y)
			j.pack(i*j.inRow+k, y, lo, hi)
		}
	}
}

// encode writes the codes of group i.
func (j *quantJob) encode(i int, buf []float32) {
	x := j.direct(i)
	if x == nil || j.bias != nil {
		lo, hi := j.span(i)
		x = buf[:hi-lo]
		j.copy(i, x, false)
		if j.bias != nil {
			j.activate(lo, x)
		}
	}
	lo, hi := quant.Range(x)
	j.pack(i, x, lo, hi)
}

// activate turns x, elements from at on, into act(x + bias).
func (j *quantJob) activate(at int, x []float32) {
	c := at % j.x.cols
	for k, v := range x {
		v += j.bias[c]
		if j.act == tensor.ReLU {
			v = max(v, 0)
		}
		x[k] = v
		if c++; c == j.x.cols {
			c = 0
		}
	}
}

// decode writes the values of group i.
func (j *quantJob) decode(i int, buf []float32) {
	x := j.direct(i)
	if x != nil {
		j.unpack(i, x)
		return
	}
	lo, hi := j.span(i)
	x = buf[:hi-lo]
	j.unpack(i, x)
	j.copy(i, x, true)
}

// restore gives row i its values and the signs it had.
func (j *quantJob) restore(i int) {
	x := j.x.row(i)
	switch {
	case j.codes != nil:
		j.unpackRow(i, x)
	case !j.restored:
		clear(x)
	}
	if j.signed {
		quant.Unstage(j.bias, j.above, j.signs.row(i), x)
	}
}

// Quantize writes signs = (x + bias > 0), codes and stats = those of act(x + bias).
func (q *Queue) Quantize(h tensor.Quant, bias, x, signs, codes, stats tensor.Tensor) {
	const op = "Quantize"
	checkQuant(op, h, bias, x, signs, codes, stats)
	if !q.usable(bias, x, signs, codes, stats) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	if inRows(h, x) && q.joins(x, false, []tensor.Tensor{bias}, []tensor.Tensor{signs, codes, stats}) {
		j := q.put.quant()
		*j = quantJob{act: h.Act, signs: view[uint8](signs), scratch: j.scratch, signed: signs.Present(), byRow: true}
		if j.signed {
			j.bias = q.biasOf(bias, x.Cols)
		}
		j.groups = newGroups(h, x, codes, stats)
		j.prepare(q)
		q.follow(j)
		return
	}
	q.flush()
	q.quantPasses(h, bias, x, signs, codes, stats, false)
}

// inRows reports whether groups of x do not cross rows.
func inRows(h tensor.Quant, x tensor.Tensor) bool {
	_, width := h.Groups(x.Rows, x.Cols)
	return width > 0 && x.Cols%width == 0
}

// biasOf returns the elements of a bias, zeros if it is absent.
func (q *Queue) biasOf(bias tensor.Tensor, cols int) []float32 {
	if bias.Present() {
		return view[float32](bias).s
	}
	return q.zeroRow(cols)
}

// Dequantize writes x = values of the codes, with the signs that they had.
func (q *Queue) Dequantize(h tensor.Quant, bias, signs, codes, stats, x tensor.Tensor) {
	const op = "Dequantize"
	checkQuant(op, h, bias, x, signs, codes, stats)
	if q.ready(bias, x, signs, codes, stats) {
		q.quantPasses(h, bias, x, signs, codes, stats, true)
	}
}

// quantPasses goes over rows, over groups that cross them, or over both.
func (q *Queue) quantPasses(h tensor.Quant, bias, x, signs, codes, stats tensor.Tensor, back bool) {
	if x.Rows == 0 || x.Cols == 0 {
		return
	}
	j := &q.quant
	*j = quantJob{act: h.Act, back: back, signs: view[uint8](signs), scratch: j.scratch, above: j.above}
	if signs.Present() {
		j.bias = q.biasOf(bias, x.Cols)
		if back {
			j.above = above(j.bias, j.above)
		}
	}
	if inRows(h, x) {
		j.groups = newGroups(h, x, codes, stats)
		q.runQuant(signs.Present(), true)
		return
	}
	pass := func() {
		j.groups = newGroups(h, x, codes, stats)
		q.runQuant(false, false)
	}
	if back && codes.Present() {
		pass()
		j.restored = true
	}
	if signs.Present() {
		whole := h
		whole.Group = 0
		j.groups = newGroups(whole, x, tensor.Tensor{}, stats)
		q.runQuant(true, true)
	}
	if !back && codes.Present() {
		pass()
	}
}

func (q *Queue) runQuant(signed, byRow bool) {
	j := &q.quant
	j.signed, j.byRow = signed, byRow
	j.prepare(q)
	j.alone(q)
}

// prepare makes room for what workers do by themselves.
func (j *quantJob) prepare(q *Queue) {
	if len(j.scratch) < q.group.Threads() {
		j.scratch = make([][]float32, q.group.Threads())
	}
	j.several = j.together()
	need := j.width
	if j.byRow {
		need = j.x.cols
		j.groupsOfTask = max(1, flatBlock/need)
	}
	if j.several > 0 {
		need = j.several * (need + 2*need/quant.Few)
	}
	for i, s := range j.scratch {
		if len(s) < need {
			j.scratch[i] = make([]float32, need)
		}
	}
}

// alone does all groups, or rows.
func (j *quantJob) alone(q *Queue) {
	q.group.Do(tasks(j.count(), j.groupsOfTask), j)
}

func (*quantJob) done(*Queue) {}

// count returns the number of groups or rows.
func (j *quantJob) count() int {
	if j.byRow {
		return j.x.rows
	}
	return j.n
}

func checkQuant(op string, h tensor.Quant, bias, x, signs, codes, stats tensor.Tensor) {
	matrixOf(op, "x", x)
	option(op, "bias", bias, 1, x.Cols)
	if h.Bits != tensor.BF16Bits {
		together(op, "codes, stats", codes, stats)
	}
	if signs.Present() {
		want(op, "signs", signs, tensor.U8, x.Rows, tensor.SignBytes(x.Cols))
	} else if bias.Present() {
		panic(&tensor.ShapeError{Op: op, Got: "a bias without signs", Want: "both or neither"})
	}
	if !codes.Present() {
		return
	}
	if h.Bits == tensor.BF16Bits {
		if h.Group != 0 || stats.Present() {
			panic(&tensor.ShapeError{Op: op, Got: "statistics or groups", Want: "none of them beside values in 16 bits"})
		}
		want(op, "codes", codes, tensor.U8, 1, h.CodeBytes(x.Rows, x.Cols))
		return
	}
	if h.Group < 0 || h.Bits != 1 && h.Bits != 2 && h.Bits != 4 && h.Bits != 8 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d bits, groups of %d", h.Bits, h.Group), Want: "1, 2, 4 or 8 bits and groups of 0 or more"})
	}
	want(op, "codes", codes, tensor.U8, 1, h.CodeBytes(x.Rows, x.Cols))
	n, _ := h.Groups(x.Rows, x.Cols)
	if stats.Type == tensor.I32 {
		want(op, "stats", stats, tensor.I32, n, 1)
	} else {
		want(op, "stats", stats, tensor.F32, n, 2)
	}
}

// signsJob fills a matrix with v and -v.
type signsJob struct {
	t   matrix[float32]
	key uint64
	v   float32
	grid
}

// RunTask fills one block.
func (j *signsJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	var words [chunk / 32]uint32
	for i := r0; i < r1; i++ {
		row := j.t.row(i)[c0:c1]
		at := uint64(i)*uint64(j.t.cols) + uint64(c0)
		for len(row) > 0 {
			skip := int(at % 32)
			n := min(len(row), chunk-skip)
			philox.Words(j.key, at/32, words[:(skip+n+31)/32])
			for k := range row[:n] {
				row[k] = j.v
				if words[(skip+k)/32]>>((skip+k)%32)&1 != 0 {
					row[k] = -j.v
				}
			}
			row, at = row[n:], at+uint64(n)
		}
	}
}

// Signs writes t = v or -v, with the same probability.
func (q *Queue) Signs(key tensor.RandKey, v float32, t tensor.Tensor) {
	matrixOf("Signs", "t", t)
	if !q.ready(t) {
		return
	}
	j := &q.signs
	j.t, j.v, j.key = view[float32](t), v, philox.Key(key.Seed, key.Step, key.Layer, key.Slot)
	j.grid = newGrid(j.t.rows, j.t.cols)
	q.group.Do(j.tasks(), j)
}
