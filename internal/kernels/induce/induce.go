package induce

import (
	"math/bits"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// level says which kernels run: those of AVX-512, of AVX2, or Go.
var level = cpufeat.Chosen()

// vector reports whether the assembly runs.
func vector() bool { return assembly && level >= cpufeat.AVX2 }

// chunk is how many rows one call of the assembly takes, which cannot be interrupted.
const chunk = 512

// Rows are rows of a CSR matrix and the set whose members are looked for in them.
type Rows struct {
	Indptr  []int64
	Indices []int32
	Words   []uint32 // the set
	Nodes   []int32  // the rows to look at
}

// Out is where entries go: their columns and their positions in the matrix.
type Out struct {
	Starts []int32 // one for each row: where its entries start
	Cols   []int32
	IDs    []int64
}

// Slack is how much room behind the entries of a row Scan needs to take the row.
const Slack = 16

// Scan writes the members found in rows from, from+1, … to o, from entry at on, in the
// order of the matrix. It ends after the last row or before the first one that might not
// leave [Slack] entries of room, and returns that row and where its entries would start.
func Scan(r *Rows, o *Out, from, at int) (row, end int) {
	limit := min(len(o.Cols), len(o.IDs))
	for vector() && from < len(r.Nodes) {
		n := min(chunk, len(r.Nodes)-from)
		done, next := scan(r, o, from, n, limit, at)
		from, at = from+done, next
		if done < n {
			return from, at
		}
	}
	for ; from < len(r.Nodes); from++ {
		v := r.Nodes[from]
		lo, hi := r.Indptr[v], r.Indptr[v+1]
		if int(hi-lo)+Slack > limit-at {
			break
		}
		o.Starts[from] = int32(at)
		at = scanRow(r.Words, r.Indices[lo:hi], lo, o.Cols, o.IDs, at)
	}
	return from, at
}

// scanRow writes every id and keeps it if it is a member: a fifth of a dense row is, which
// no branch predictor can foresee.
func scanRow(words []uint32, row []int32, lo int64, cols []int32, ids []int64, at int) int {
	for i, u := range row {
		cols[at], ids[at] = u, lo+int64(i)
		at += int(words[uint32(u)>>5] >> (uint32(u) & 31) & 1)
	}
	return at
}

// ScanRow is Scan of one row that needs no room behind its entries. It returns how many
// there are; if they do not fit, what it wrote is incomplete.
func ScanRow(r *Rows, o *Out, row, at int) int {
	v := r.Nodes[row]
	o.Starts[row] = int32(at)
	limit := min(len(o.Cols), len(o.IDs))
	k := at
	for e := r.Indptr[v]; e < r.Indptr[v+1]; e++ {
		u := r.Indices[e]
		if r.Words[uint32(u)>>5]>>(uint32(u)&31)&1 == 0 {
			continue
		}
		if k < limit {
			o.Cols[k], o.IDs[k] = u, e
		}
		k++
	}
	return k - at
}

// Size returns how many entries rows from, from+1, … have.
func Size(r *Rows, from int) int {
	m := 0
	for _, v := range r.Nodes[from:] {
		for _, u := range r.Indices[r.Indptr[v]:r.Indptr[v+1]] {
			m += int(r.Words[uint32(u)>>5] >> (uint32(u) & 31) & 1)
		}
	}
	return m
}

// Local replaces every member of the set in cols by the number of members below it.
// rank[i] is the number of members below node 32*i where words[i] is not 0.
func Local(cols []int32, words []uint32, rank []int32) {
	const block = 64 * chunk
	for vector() && len(cols) > 0 {
		n := min(block, len(cols))
		local(cols[:n], words, rank)
		cols = cols[n:]
	}
	for k, u := range cols {
		i, below := uint32(u)>>5, uint32(1)<<(uint32(u)&31)-1
		cols[k] = rank[i] + int32(bits.OnesCount32(words[i]&below))
	}
}

// Count adds 1 to counts[e] for every entry e from starts[v] to the end of row v that leads
// into the set. Rows that are counted at the same time must differ.
func Count(r *Rows, starts []int64, counts []uint32) {
	nodes := r.Nodes
	for vector() && len(nodes) > 0 {
		n := min(chunk, len(nodes))
		count(r, nodes[:n], starts, counts)
		nodes = nodes[n:]
	}
	for _, v := range nodes {
		lo, hi := starts[v], r.Indptr[v+1]
		for k, u := range r.Indices[lo:hi] {
			counts[lo+int64(k)] += r.Words[uint32(u)>>5] >> (uint32(u) & 31) & 1
		}
	}
}

// Scale computes y[k] = float32(float64(x[ids[k]]) * (1/deg)) for the entries k of row i from
// starts[i] to starts[i+1], where deg is the length of row nodes[i] in the matrix.
func Scale(nodes []int32, indptr []int64, starts []int32, ids []int64, x, y []float32) {
	for vector() && len(nodes) > 0 && len(ids) > 0 {
		n := min(chunk, len(nodes))
		scale(nodes[:n], indptr, starts, ids, x, y)
		nodes, starts = nodes[n:], starts[n:]
	}
	for i, v := range nodes {
		inv := 1 / float64(indptr[v+1]-indptr[v])
		for k := starts[i]; k < starts[i+1]; k++ {
			y[k] = float32(float64(x[ids[k]]) * inv)
		}
	}
}
