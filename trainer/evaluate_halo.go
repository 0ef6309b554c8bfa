package trainer

import (
	"runtime"
	"sync"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// halo is the nodes that some rows of a graph depend on: the rows' own first, then their neighbours in
// the order in which they are met, theirs, and so on. Entries of a row keep their order, so that what is
// summed over it is what the whole graph gives, to the bit.
type halo struct {
	local   []int32 // number of a node plus 1; 0: it is not among them
	nodes   []int32
	whole   int   // how many of the nodes have all of their entries
	entries int64 // of those
}

// of makes the halo that of rows [lo,hi) after so many hops.
func (h *halo) of(g *formats.Graph, lo, hi, hops int) {
	if len(h.local) < g.NumNodes() {
		h.local = make([]int32, g.NumNodes())
	}
	for _, v := range h.nodes {
		h.local[v] = 0
	}
	h.nodes, h.whole, h.entries = h.nodes[:0], 0, 0
	for v := lo; v < hi; v++ {
		h.nodes = append(h.nodes, int32(v))
		h.local[v] = int32(len(h.nodes))
	}
	for range hops {
		from, to := h.whole, len(h.nodes)
		for _, v := range h.nodes[from:to] {
			row := g.Indices[g.Indptr[v]:g.Indptr[v+1]]
			h.entries += int64(len(row))
			for _, u := range row {
				if h.local[u] == 0 {
					h.nodes = append(h.nodes, u)
					h.local[u] = int32(len(h.nodes))
				}
			}
		}
		h.whole = to
	}
}

// haloTile makes r.csr the rows of the halo that have all of their entries, and rows without any for the
// others where rows says so, and r.tile those of the tile. Columns are the halo's nodes.
func (r *evalRun) haloTile(h *halo, own, rows int) {
	g := r.graph
	if r.weighting == nn.Symmetric {
		r.degreeScale(g)
	}
	r.indptr, r.cols = grow(r.indptr, rows+1), grow(r.cols, int(h.entries))
	r.values, r.loops = grow(r.values, int(h.entries)), grow(r.loops, rows)
	at := int32(0)
	for i := range rows {
		r.indptr[i] = at
		if i < h.whole {
			v := h.nodes[i]
			at += int32(g.Indptr[v+1] - g.Indptr[v])
		}
	}
	r.indptr[rows] = at
	r.haloRows(h, rows)
	r.csr = tensor.CSR{
		Rows: rows, Cols: len(h.nodes),
		Indptr:  r.ints(slotIndptr, r.indptr),
		Indices: r.ints(slotIndices, r.cols),
		Values:  r.column(slotValues, r.values),
	}
	r.tile = nn.RowTile{A: &r.csr, Lo: 0, Hi: own, Src: len(h.nodes), Weighting: r.weighting}
	if r.weighting == nn.Symmetric {
		r.tile.Loops = r.column(slotLoops, r.loops)
	}
}

// haloRows writes the entries of the halo's rows, on all cores where there are many.
func (r *evalRun) haloRows(h *halo, rows int) {
	g := r.graph
	fillIn := func(lo, hi int) {
		for i := lo; i < hi; i++ {
			v := h.nodes[i]
			if r.weighting == nn.Symmetric {
				r.loops[i] = float32(r.scale[v] * r.scale[v])
			}
			a, b := int(r.indptr[i]), int(r.indptr[i+1])
			if i >= h.whole {
				continue
			}
			row := g.Indices[g.Indptr[v]:g.Indptr[v+1]]
			for k, u := range row {
				r.cols[a+k] = h.local[u] - 1
			}
			r.weighRow(g, int(v), r.values[a:b])
		}
	}
	parts := int(min(int64(runtime.GOMAXPROCS(0)), 1+h.entries/manyEntries))
	var all sync.WaitGroup
	for i := range parts - 1 {
		all.Go(func() { fillIn(rows*i/parts, rows*(i+1)/parts) })
	}
	fillIn(rows*(parts-1)/parts, rows)
	all.Wait()
}
