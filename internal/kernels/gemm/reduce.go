package gemm

import "github.com/saint-gnn/saint/internal/kernels/f32"

// reduce sums rows of the partial products into c, in order, if there are several, and tells
// that they are done.
func (ws *Workspace) reduce(worker, task int) {
	j := &ws.job
	rows := max(reduceRows, j.aligned)
	lo, hi := task*rows, min(j.m, (task+1)*rows)
	if j.slabs > 1 {
		j.sum(ws.partial, lo, hi)
	}
	if j.done != nil {
		j.done.RowsDone(worker, lo, hi)
	}
}

// sum computes rows [lo,hi) of c.
func (j *job) sum(partial []float32, lo, hi int) {
	for i := lo; i < hi; i++ {
		row := j.c[i*j.ldc : i*j.ldc+j.n]
		for slab := range j.slabs {
			part := partial[slab*j.m*j.n+i*j.n:][:len(row)]
			if slab == 0 {
				addFirst(part, j.beta, row)
			} else {
				f32.Add(part, row)
			}
		}
	}
}

// addFirst computes row = part + beta row.
func addFirst(part []float32, beta float32, row []float32) {
	if beta == 0 {
		copy(row, part)
		return
	}
	for x, v := range part {
		row[x] = v + beta*row[x]
	}
}
