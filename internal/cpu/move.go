package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/internal/kernels/half"
	"github.com/saint-gnn/saint/trainer/tensor"
)

type gatherJob struct {
	src, dst            []byte
	idx                 matrix[int32]
	srcRows             int
	width, from, to     int // bytes of a row, and from row to row in src and dst
	bad                 firstBad
	rowsPerTask, rowsTo int
	drop                dropper
	x, y                matrix[float32] // src and dst where elements are dropped
	halves              matrix[uint16]  // src where it is widened to y
}

// RunTask copies a block of rows.
func (j *gatherJob) RunTask(_, task int) {
	lo := task * j.rowsPerTask
	for i := lo; i < min(lo+j.rowsPerTask, j.rowsTo); i++ {
		k := int(j.idx.s[i*j.idx.stride])
		if uint(k) >= uint(j.srcRows) {
			j.bad.note(i)
			return
		}
		if j.halves.s != nil {
			j.widen(i, k, min(lo+j.rowsPerTask, j.rowsTo))
			continue
		}
		if j.drop.on {
			j.drop.row(i, 0, j.x.row(k), j.y.row(i))
			continue
		}
		copy(j.dst[i*j.to:i*j.to+j.width], j.src[k*j.from:k*j.from+j.width])
	}
}

// widen writes row k of the halves to row i, and fetches the row that comes next of those before
// end.
func (j *gatherJob) widen(i, k, end int) {
	x := j.halves.row(k)
	next := x
	if i+1 < end {
		if n := int(j.idx.s[(i+1)*j.idx.stride]); uint(n) < uint(j.srcRows) {
			next = j.halves.row(n)
		}
	}
	y := j.y.row(i)
	half.Decode(x, next, y)
	if j.drop.on {
		j.drop.row(i, 0, y, y)
	}
}

// GatherRows computes dst[i] = drop(src[idx[i]]). An index outside src fails the queue. Rows of F16
// become those of an F32 dst.
func (q *Queue) GatherRows(src, idx tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	halves := src.Type == tensor.F16 && dst.Type == tensor.F32
	if halves {
		want("GatherRows", "src", src, tensor.F16, src.Rows, dst.Cols)
	} else {
		want("GatherRows", "src", src, dst.Type, src.Rows, dst.Cols)
	}
	want("GatherRows", "idx", idx, tensor.I32, dst.Rows, 1)
	want("GatherRows", "dst", dst, dst.Type, dst.Rows, dst.Cols)
	drops := dropOf("GatherRows", drop, dst)
	if drops.on {
		matrixOf("GatherRows", "dst", dst)
		q.rememberGathered(drop.Key, &drops, dst.Rows, dst.Cols)
	}
	if !q.ready(src, idx, dst) || dst.Rows == 0 || dst.Cols == 0 {
		return
	}
	size := int(dst.Type.Size())
	j := &q.gather
	j.src, j.dst, j.idx, j.srcRows = bytesOf(src), bytesOf(dst), view[int32](idx), src.Rows
	j.width, j.from, j.to = dst.Cols*size, src.Stride*size, dst.Stride*size
	j.rowsTo, j.rowsPerTask = dst.Rows, max(1, 4*flatBlock/j.width)
	j.halves, j.drop = matrix[uint16]{}, drops
	switch {
	case halves:
		j.halves, j.y = view[uint16](src), view[float32](dst)
	case drops.on:
		j.x, j.y = view[float32](src), view[float32](dst)
	}
	j.bad.reset()
	q.group.Do(tasks(dst.Rows, j.rowsPerTask), j)
	i := j.bad.index()
	if i < 0 {
		j.drop.drawn()
	} else {
		q.err = fmt.Errorf("cpu: GatherRows: index %d at %d is outside %d rows", j.idx.s[i*j.idx.stride], i, src.Rows)
	}
}

type axpbyJob struct {
	grid
	alpha, beta float32
	x, y        matrix[float32]
	broadcast   bool
}

// RunTask computes one block.
func (j *axpbyJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		k := i
		if j.broadcast {
			k = 0
		}
		axpby(j.alpha, j.x.row(k)[c0:c1], j.beta, j.y.row(i)[c0:c1])
	}
}

// axpby works through the row in pieces that stay in the first cache, because some cases
// take two kernels.
func axpby(alpha float32, x []float32, beta float32, y []float32) {
	for len(x) > 0 {
		n := min(len(x), 1024)
		switch beta {
		case 0:
			copy(y[:n], x[:n])
			if alpha != 1 {
				f32.Scale(alpha, y[:n])
			}
		case 1:
			f32.Axpy(alpha, x[:n], y[:n])
		default:
			f32.Scale(beta, y[:n])
			f32.Axpy(alpha, x[:n], y[:n])
		}
		x, y = x[n:], y[n:]
	}
}

// Axpby computes y = alpha x + beta y; x of one row is broadcast. With beta 0 y is not read.
func (q *Queue) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	matrixOf("Axpby", "y", y)
	if x.Rows == 1 {
		want("Axpby", "x", x, tensor.F32, 1, y.Cols)
	} else {
		want("Axpby", "x", x, tensor.F32, y.Rows, y.Cols)
	}
	if !q.ready(x, y) {
		return
	}
	j := &q.axpby
	j.alpha, j.beta, j.x, j.y = alpha, beta, view[float32](x), view[float32](y)
	j.broadcast = x.Rows == 1
	if x.Rows == y.Rows && x.Stride == x.Cols && y.Stride == y.Cols {
		j.x, j.y, j.broadcast = j.x.flat(), j.y.flat(), false
	}
	j.grid = newGrid(j.y.rows, j.y.cols)
	q.group.Do(j.tasks(), j)
}

type fillJob struct {
	grid
	v  float32
	t  tensor.DType
	f  matrix[float32]
	i  matrix[int32]
	u8 matrix[uint8]
}

// RunTask fills one block.
func (j *fillJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		switch j.t {
		case tensor.F32:
			set(j.f.row(i)[c0:c1], j.v)
		case tensor.I32:
			set(j.i.row(i)[c0:c1], int32(j.v))
		case tensor.U8:
			set(j.u8.row(i)[c0:c1], uint8(j.v))
		}
	}
}

func set[T element](s []T, v T) {
	if v == 0 {
		clear(s)
		return
	}
	first := s[:min(len(s), 1024)]
	for i := range first {
		first[i] = v
	}
	for s = s[len(first):]; len(s) > 0; {
		s = s[copy(s, first):]
	}
}

// Fill computes t = v, converted to t's element type.
func (q *Queue) Fill(v float32, t tensor.Tensor) {
	want("Fill", "t", t, t.Type, t.Rows, t.Cols)
	if !q.ready(t) {
		return
	}
	j := &q.fill
	j.v, j.t = v, t.Type
	switch t.Type {
	case tensor.F32:
		j.f = view[float32](t).flat()
		j.grid = newGrid(j.f.rows, j.f.cols)
	case tensor.I32:
		j.i = view[int32](t).flat()
		j.grid = newGrid(j.i.rows, j.i.cols)
	case tensor.U8:
		j.u8 = view[uint8](t).flat()
		j.grid = newGrid(j.u8.rows, j.u8.cols)
	}
	q.group.Do(j.tasks(), j)
}
