//go:build !noasm

package induce

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

//go:generate sh ../_asm/generate.sh induce

// assembly is whether there is any.
const assembly = true

func wide() bool { return level >= cpufeat.AVX512 }

// scan takes n rows.
func scan(r *Rows, o *Out, from, n, limit, at int) (rows, end int) {
	kernel := scan256
	if wide() {
		kernel = scan512
	}
	return kernel(n, &r.Nodes[from], &r.Indptr[0], unsafe.SliceData(r.Indices), &r.Words[0], limit, at,
		&o.Starts[from], unsafe.SliceData(o.Cols), unsafe.SliceData(o.IDs))
}

func local(cols []int32, words []uint32, rank []int32) {
	kernel := local256
	if wide() {
		kernel = local512
	}
	kernel(len(cols), &cols[0], &words[0], &rank[0])
}

func count(r *Rows, nodes []int32, starts []int64, counts []uint32) {
	kernel := count256
	if wide() {
		kernel = count512
	}
	kernel(len(nodes), &nodes[0], &starts[0], &r.Indptr[0], unsafe.SliceData(r.Indices), &r.Words[0],
		unsafe.SliceData(counts))
}

func scale(nodes []int32, indptr []int64, starts []int32, ids []int64, x, y []float32) {
	kernel := scale256
	if wide() {
		kernel = scale512
	}
	kernel(len(nodes), &nodes[0], &indptr[0], &starts[0], &ids[0], &x[0], &y[0])
}

func pop(f *Frontier, n int, values []uint64, dst []int32) (pops, total int) {
	return pop512(n, &values[0], &f.indptr[0], unsafe.SliceData(f.indices), int(f.clip), &f.sums[0], &f.items[0].start, int(f.total), &dst[0])
}
