package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// chunk is the number of elements for which intermediate results are kept on the stack.
const chunk = 512

type dropoutJob struct {
	grid
	key       uint64
	threshold uint64 // a word below it drops the element
	scale     float32
	x, y      matrix[float32]
}

// RunTask computes one block.
func (j *dropoutJob) RunTask(_, task int) {
	var words [chunk]uint32
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		x, y := j.x.row(i), j.y.row(i)
		for c := c0; c < c1; c += chunk {
			n := min(chunk, c1-c)
			philox.Words(j.key, uint64(i)*uint64(j.x.cols)+uint64(c), words[:n])
			rows.Drop(words[:n], j.threshold, j.scale, x[c:c+n], y[c:c+n])
		}
	}
}

// Dropout computes y = x/(1-p) where kept, else 0.
func (q *Queue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	matrixOf("Dropout", "x", x)
	want("Dropout", "y", y, tensor.F32, x.Rows, x.Cols)
	if !(p >= 0 && p <= 1) {
		panic(&tensor.ShapeError{Op: "Dropout", Got: fmt.Sprintf("rate %g", p), Want: "0 to 1"})
	}
	if !q.ready(x, y) {
		return
	}
	j := &q.dropout
	j.key = philox.Key(key.Seed, key.Step, key.Layer, key.Slot)
	j.threshold = philox.Threshold(p)
	j.scale = 0
	if p < 1 {
		j.scale = float32(1 / (1 - float64(p)))
	}
	j.x, j.y = view[float32](x), view[float32](y)
	if x.Stride == x.Cols && y.Stride == y.Cols {
		j.x, j.y = j.x.flat(), j.y.flat()
	}
	j.grid = newGrid(j.x.rows, j.x.cols)
	q.group.Do(j.tasks(), j)
}
