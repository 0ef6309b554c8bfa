package gemm

import "github.com/saint-gnn/saint/internal/kernels/f32"

// reduce sums rows of the partial products into c, in order.
func (ws *Workspace) reduce(task int) {
	j := &ws.job
	for i := task * reduceRows; i < min(j.m, (task+1)*reduceRows); i++ {
		row := j.c[i*j.ldc : i*j.ldc+j.n]
		for slab := range j.slabs {
			part := ws.partial[slab*j.m*j.n+i*j.n:][:len(row)]
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
