package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// downloadJob copies rows to host memory, where they lie close.
type downloadJob struct {
	from, to            []byte
	rows, width, stride int // bytes of a row, and from row to row
	rowsPerTask         int
}

// RunTask copies a block of rows.
func (j *downloadJob) RunTask(_, task int) {
	for i := task * j.rowsPerTask; i < min((task+1)*j.rowsPerTask, j.rows); i++ {
		copy(j.to[i*j.width:(i+1)*j.width], j.from[i*j.stride:])
	}
}

// Download copies src to dst.
func (q *Queue) Download(src tensor.Tensor, dst []byte) {
	if int64(len(dst)) != src.Bytes() {
		panic(&tensor.ShapeError{Op: "Download", Got: fmt.Sprintf("%d bytes", len(dst)), Want: fmt.Sprintf("%d for %s", src.Bytes(), src)})
	}
	if !q.ready(src) || len(dst) == 0 {
		return
	}
	size := int(src.Type.Size())
	j := &q.download
	*j = downloadJob{from: bytesOf(src), to: dst, rows: src.Rows, width: src.Cols * size, stride: src.Stride * size}
	j.rowsPerTask = max(1, 4*flatBlock/j.width)
	q.group.Do(tasks(j.rows, j.rowsPerTask), j)
	j.from, j.to = nil, nil
}
